"""How many calls may wait for a backend at once, and how many of them for one store.

Threads can't be interrupted, so a backend that hangs keeps the threads it was given. The rule that keeps the rest of the
server alive: a store may hold at most as many slots as are still free. The first store that hangs gets half of the
slots, the next a quarter, and so on: with the default of 120 slots it takes seven stores that hang at once to take them
all. Then every further call that needs a backend is refused, and told when to come back, until the first of them gives up;
cached reads, health and Capabilities need no slot. No grpc here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from provider_common.context import remaining
from provider_common.errors import OverloadedError

RETRY_AFTER = 1.0
"""Seconds after which a refused caller may come back."""


class Admission:
    """Slots for calls that may block. `total` slots in all."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._lock = threading.Lock()
        self._used = 0
        self._by_store: dict[Hashable, int] = {}
        self._deadlines: dict[int, float] = {}
        self._next = 0
        self.refused = 0

    @contextmanager
    def slot(self, store: Hashable, title: str) -> Iterator[None]:
        """Hold one slot of `store`. Raises OverloadedError at once when it has its share; `title` names it to users."""
        ticket = self._take(store, title, time.monotonic() + remaining())
        try:
            yield
        finally:
            self._give_back(store, ticket)

    def _take(self, store: Hashable, title: str, deadline: float) -> int:
        with self._lock:
            mine = self._by_store.get(store, 0)
            if mine >= self._total - self._used:
                self.refused += 1
                raise OverloadedError(
                    f"{title} has {mine} calls waiting for its backend, which is its share of this server: try again later",
                    retry_after=RETRY_AFTER,
                )
            self._used += 1
            self._by_store[store] = mine + 1
            self._next += 1
            self._deadlines[self._next] = deadline
            return self._next

    def _give_back(self, store: Hashable, ticket: int) -> None:
        with self._lock:
            self._used -= 1
            del self._deadlines[ticket]
            if self._by_store[store] == 1:
                del self._by_store[store]
            else:
                self._by_store[store] -= 1

    @property
    def used(self) -> int:
        """Slots in use now."""
        return self._used

    def overdue(self) -> int:
        """Calls that still hold a thread although their caller's time is over."""
        now = time.monotonic()
        with self._lock:
            return sum(deadline < now for deadline in self._deadlines.values())
