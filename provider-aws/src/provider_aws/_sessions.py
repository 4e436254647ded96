"""Sessions of assumed roles: made once per identity, kept until shortly before they end, never by two at a time.

A session is fresh, stale or spent. Fresh is used. Stale is still used, while one caller renews it. Spent blocks: one
caller asks STS, the others wait for that and share its outcome, failure included. Time is passed in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from provider_common import DeadlineError, ProviderError
from provider_common.context import held

from provider_aws.auth import Keys

_log = logging.getLogger(__name__)

RENEW_BEFORE = 300.0
"""Seconds before its end from which a session is renewed, if that is no more than a fifth of its life."""
SPENT_BEFORE = 60.0
"""Seconds before its end from which a session is not used any more: a call may last for thirty."""
REFUSED_FOR = 5.0
"""Seconds for which a refused session is not asked for again."""
AWAY_FOR = 0.1
"""Seconds for which a failure that may pass is shared: with those who come at the same time."""
BUSY = "Another call's request to AWS STS does not come to an end"


@dataclass(frozen=True, slots=True)
class Session:
    """The keys of a role, and their life in seconds of the cache's clock."""

    keys: Keys = field(repr=False)
    starts: float
    ends: float

    def fresh(self, now: float) -> bool:
        """True while there is nothing to do."""
        return now < self.ends - min(RENEW_BEFORE, (self.ends - self.starts) / 5)

    def spent(self, now: float) -> bool:
        """True when it must not be used."""
        return now >= self.ends - min(SPENT_BEFORE, (self.ends - self.starts) / 10)


@dataclass(slots=True, eq=False)
class _Cell:
    """What is known of one identity."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: Session | None = None
    failure: ProviderError | None = None
    failed_until: float = 0.0
    attempts: int = 0
    renew_at: float = 0.0


class SessionCache:
    """All sessions of one provider. A key holds everything that its session depends on."""

    def __init__(self, *, clock: Callable[[], float] = time.time, limit: int = 10_000) -> None:
        self.clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._cells: dict[Hashable, _Cell] = {}

    def get(self, key: Hashable, make: Callable[[], Session]) -> Session:
        """The session of `key`, made by `make` when there is none that can be used. Raises what `make` raises."""
        cell = self._cell(key)
        session, now = cell.session, self.clock()
        if session is None or session.spent(now):
            return self._new(cell, make)
        if not session.fresh(now) and now >= cell.renew_at:
            self._renew(cell, session, make)
        return cell.session or session

    def drop(self, key: Hashable, keys: Keys) -> bool:
        """Forget the session of `key` because AWS refuses `keys`. True when a new one may help: not when the session is
        so new that it can't be that.
        """
        cell = self._cell(key)
        with held(cell.lock, busy=BUSY):
            if cell.session is None or cell.session.keys != keys:
                return True  # another call that was refused was here first
            if self.clock() - cell.session.starts < REFUSED_FOR:
                return False
            cell.session = None
            return True

    def _cell(self, key: Hashable) -> _Cell:
        with self._lock:
            cell = self._cells.get(key)
            if cell is None:
                if len(self._cells) >= self._limit:
                    now = self.clock()
                    self._cells = {
                        k: c for k, c in self._cells.items() if c.session and not c.session.spent(now)
                    }
                cell = self._cells[key] = _Cell()
            return cell

    def _renew(self, cell: _Cell, old: Session, make: Callable[[], Session]) -> None:
        # Whoever comes while somebody renews goes on with the old session: it is still good.
        if not cell.lock.acquire(blocking=False):
            return
        try:
            if cell.session is old:
                # If it fails, not again at every call.
                cell.renew_at = self.clock() + REFUSED_FOR
                cell.session = make()
        except DeadlineError:
            pass
        except ProviderError as error:
            _log.warning("renewing an AWS session failed: %s", error)
        finally:
            cell.lock.release()

    def _new(self, cell: _Cell, make: Callable[[], Session]) -> Session:
        seen = cell.attempts
        with held(cell.lock, busy=BUSY):
            session, now = cell.session, self.clock()
            if session is not None and not session.spent(now):
                return session
            if cell.failure is not None and (cell.attempts != seen or now < cell.failed_until):
                raise type(cell.failure)(cell.failure.message, retry_after=cell.failure.retry_after)
            cell.attempts += 1
            cell.session, cell.failure = None, None
            try:
                cell.session = made = make()
            except DeadlineError:
                # That was this caller's time. The next one has its own.
                raise
            except ProviderError as error:
                cell.failure = error
                cell.failed_until = self.clock() + (AWAY_FOR if error.retryable else REFUSED_FOR)
                raise
            return made
