"""One lock per key, for what one caller at a time may make or change: the others wait, each within its own time."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from provider_common.errors import DeadlineError


class KeyedLocks:
    """A key has a lock for as long as somebody holds it or waits for it; failures leave nothing behind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._users: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @contextmanager
    def hold(self, key: Hashable, *, timeout: float) -> Iterator[None]:
        """Hold the lock of `key`. Raises DeadlineError when it is not free within `timeout` seconds."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
            self._users[key] = self._users.get(key, 0) + 1
        try:
            if not lock.acquire(timeout=timeout):
                raise DeadlineError(
                    "The time that the caller gave is over; it went by waiting for another call of the same thing"
                )
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key], self._locks[key]
