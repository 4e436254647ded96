"""Read, change, write: in one process, one after the other for each secret. Other processes are not kept out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from provider_common import TemporaryError, remaining


class WriteLocks:
    """One lock per secret, roughly: names share a fixed number of them."""

    def __init__(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(64))

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Keep other writers of `name` waiting, while the caller has time."""
        lock = self._locks[hash(name) % len(self._locks)]
        if not lock.acquire(timeout=remaining()):
            remaining()
            raise TemporaryError("Another push into the same secret does not come to an end")
        try:
            yield
        finally:
            lock.release()
