"""How many calls may wait for a backend at once, and how many of them for one store. No grpc here.

Threads can't be interrupted, so a backend that hangs keeps the threads it was given. Three rules keep the others alive:

- **A share.** A store may hold as many slots as it leaves free, without touching a quarter that is kept for stores that hold
  none: one busy store gets 45 of 120 slots, and a store's first call finds a slot however many calls the busy ones make.
- **Those that hang have half in common.** A store that has waited for `HANGS_AFTER` seconds without one answer may be slow, or
  never answer. It gets further slots as long as it leaves as many of that half free; then its calls are refused at once, but
  for a trial every `HANGS_AFTER` seconds. An answer makes the store well again.
- **What hangs is written off.** Its slots no longer count, and spare threads stand in for its threads, up to as many again:
  two calls that hang cost the others one slot. So however many stores hang at once, after `HANGS_AFTER` seconds there are
  slots for those that answer.

What remains: more stores than the kept quarter, all beginning to hang within the same moment, can fill every slot for
`HANGS_AFTER` seconds. Nobody can tell them from busy ones by then. Cached reads, health and Capabilities need no slot.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from provider_common.context import remaining
from provider_common.errors import DeadlineError, OverloadedError, TemporaryError

RETRY_AFTER = 1.0
"""Seconds after which a caller may come back when its store has its share."""

HANGS_AFTER = 5.0
"""Seconds without an answer after which a store counts as hanging."""

_FORGET_AFTER = 300.0
"""Seconds after its last call for which a store that hung is remembered."""
_MOST_REMEMBERED = 10_000


@dataclass(slots=True, eq=False)
class _Store:
    """A store that has calls waiting, or that hung when it had the last one."""

    key: Hashable
    since: float
    """Of the last answer, or of the first call without one."""
    tried: float
    """When a call was last let through."""
    calls: dict[int, float] = field(default_factory=dict)
    """When the callers' time ends, by ticket."""


class Admission:
    """Slots for calls that may block: `slots` in all, and up to as many again in place of those that hang."""

    def __init__(self, slots: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._kept = slots // 4
        self._clock = clock
        self._lock = Lock()
        self._well: OrderedDict[Hashable, _Store] = OrderedDict()
        """Those with calls, the one that waits for longest first."""
        self._hanging: dict[Hashable, _Store] = {}
        self._well_calls = 0
        self._hanging_calls = 0
        self._tickets = 0
        self.refused = 0

    @contextmanager
    def slot(self, store: Hashable, title: str) -> Iterator[None]:
        """Hold one slot of `store`. Raises OverloadedError at once when it may have none; `title` names it to users."""
        left = remaining()
        began = self._clock()
        holder, ticket = self._take(store, title, began, began + left)
        answered = False
        try:
            yield
            answered = True
        except DeadlineError:
            raise
        except TemporaryError:
            # A refusal is an answer, a time-out is none. What came at once was no time-out.
            answered = self._clock() - began < HANGS_AFTER
            raise
        except BaseException:
            answered = True
            raise
        finally:
            self._give_back(holder, ticket, answered=answered)

    @property
    def used(self) -> int:
        """Calls that hold a thread now."""
        return self._well_calls + self._hanging_calls

    def hanging(self) -> int:
        """Stores that have calls without an answer for too long."""
        with self._lock:
            self._write_off(self._clock())
            return sum(bool(store.calls) for store in self._hanging.values())

    def overdue(self) -> int:
        """Calls that still hold a thread although their caller's time is over."""
        now = self._clock()
        with self._lock:
            stores = (*self._well.values(), *self._hanging.values())
            return sum(deadline < now for store in stores for deadline in store.calls.values())

    def _take(self, key: Hashable, title: str, now: float, deadline: float) -> tuple[_Store, int]:
        with self._lock:
            self._write_off(now)
            store = self._hanging.get(key)
            if store is not None and not store.calls and now - store.tried >= _FORGET_AFTER:
                del self._hanging[key]
                store = None
            if store is not None:
                crowded = len(store.calls) >= self._slots // 2 - self._hanging_calls
                if crowded and (now - store.tried < HANGS_AFTER or self._hanging_calls >= self._slots):
                    self.refused += 1
                    raise OverloadedError(
                        f"{title} has waited {now - store.since:.0f} s for its backend without an answer; until there is one, "
                        "single calls are let through: try again later",
                        retry_after=HANGS_AFTER,
                    )
                self._hanging_calls += 1
            else:
                store = self._well.get(key) or _Store(key, since=now, tried=now)
                mine, free = len(store.calls), self._slots - self._hanging_calls // 2 - self._well_calls
                if mine >= free - self._kept if mine else free <= 0:
                    self.refused += 1
                    raise OverloadedError(
                        f"{title} has {mine} calls waiting for its backend, which is its share of this server: "
                        "try again later",
                        retry_after=RETRY_AFTER,
                    )
                self._well[key] = store
                self._well_calls += 1
            store.tried = now
            self._tickets += 1
            store.calls[self._tickets] = deadline
            return store, self._tickets

    def _give_back(self, store: _Store, ticket: int, *, answered: bool) -> None:
        with self._lock:
            now = self._clock()
            self._write_off(now)
            del store.calls[ticket]
            hung = self._hanging.get(store.key) is store
            if hung:
                self._hanging_calls -= 1
            else:
                self._well_calls -= 1
            if answered:
                store.since = now
                if hung:
                    del self._hanging[store.key]
                    self._hanging_calls -= len(store.calls)
                    self._well_calls += len(store.calls)
                    self._well[store.key] = store
                self._well.move_to_end(store.key)
            if not store.calls:
                self._well.pop(store.key, None)

    def _write_off(self, now: float) -> None:
        """Tell who hangs by now (the lock is held)."""
        while self._well:
            store = next(iter(self._well.values()))
            if now - store.since < HANGS_AFTER:
                return
            del self._well[store.key]
            if len(self._hanging) >= _MOST_REMEMBERED:
                self._hanging = {key: kept for key, kept in self._hanging.items() if kept.calls}
            self._hanging[store.key] = store
            self._well_calls -= len(store.calls)
            self._hanging_calls += len(store.calls)
