"""Locks whose wait ends with the call: a caller whose time is over does not stand in line any longer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from provider_common import TemporaryError, remaining


@contextmanager
def held(lock: threading.Lock, *, busy: str) -> Iterator[None]:
    """Hold `lock`. Raises DeadlineError when the caller's time ends first, TemporaryError saying `busy` when only that of the
    longest call does.
    """
    if not lock.acquire(timeout=remaining()):
        remaining()
        raise TemporaryError(busy)
    try:
        yield
    finally:
        lock.release()


class WriteLocks:
    """Within this process, changes of one secret come one after the other: KV v1 can't compare and set."""

    def __init__(self) -> None:
        # Names share a fixed number of locks: one too many in line costs less than a lock for every name there ever was.
        self._locks = tuple(threading.Lock() for _ in range(64))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep other writers of `name` waiting. Raises as `held`."""
        lock = self._locks[hash(name) % len(self._locks)]
        with held(lock, busy="Another push into the same secret does not come to an end"):
            yield
