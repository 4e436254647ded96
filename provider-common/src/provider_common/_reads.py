"""Reads of the same remote object that arrive together, or within a short window, cost one backend call.

Only reads: a push or a delete through this server clears the window, also of reads that are still under way. Errors are
not kept, except permanent ones (no such secret, say), and those for a moment. No grpc here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from provider_common.context import LONGEST_CALL, remaining, time_is_over
from provider_common.errors import DeadlineError, PermanentError, TemporaryError

T = TypeVar("T")

_LOOK_AFTER = 0.25
"""Seconds after which a waiting call looks whether its caller is still there."""
_LONGEST_NEGATIVE = 1.0
"""Seconds for which an error is kept at most, however long values are."""
_MAX_ENTRIES = 4096
_MAX_BYTES = 64 * 1024 * 1024


class _Read:
    """One read, under way or done."""

    __slots__ = ("done", "error", "expires", "gives_up", "size", "value")

    def __init__(self, gives_up: float) -> None:
        self.gives_up = gives_up
        """Nobody joins it from then on: a backend that hangs must not close the object for ever."""
        self.done = threading.Event()
        self.value: object = None
        self.error: Exception | None = None
        self.expires = 0.0
        self.size = 0


class ReadWindow:
    """The recent reads of one open store. `seconds` 0 keeps nothing: only reads that arrive together are shared."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._reads: dict[Hashable, _Read] = {}
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def peek(self, key: Hashable) -> Any | None:
        """The kept answer of `key`, or None. Raises a kept error. Never waits, takes no lock."""
        read = self._reads.get(key)
        if read is None or self._clock() >= read.expires:
            return None
        self.hits += 1
        if read.error is not None:
            raise _again(read.error)
        return read.value

    def get(self, key: Hashable, fetch: Callable[[], T], *, keep: bool = True) -> T:
        """The answer of `key`: kept, under way, or fetched now. With `keep` False it is shared while under way only.

        Raises what `fetch` raises, DeadlineError when the caller's time ends first.
        """
        while True:
            with self._lock:
                read, now = self._reads.get(key), self._clock()
                leads = read is None or now >= (read.expires if read.done.is_set() else read.gives_up)
                if leads:
                    self._bytes -= read.size if read is not None else 0
                    read = self._reads[key] = _Read(now + LONGEST_CALL)
            assert read is not None
            if leads:
                self.misses += 1
                return self._lead(key, read, fetch, keep=keep)
            # In slices: a caller that goes away while it waits for another's read must not keep its thread.
            while not read.done.wait(min(remaining(), _LOOK_AFTER)):
                pass
            if isinstance(read.error, DeadlineError):
                # The leader ran out of its own time. That says nothing about ours.
                continue
            self.hits += 1
            if read.error is not None:
                raise _again(read.error)
            return cast("T", read.value)

    def clear(self) -> None:
        """Forget everything; reads under way will not be kept, nor joined by later callers."""
        with self._lock:
            self._reads = {}
            self._bytes = 0

    def sweep(self) -> None:
        """Drop what is past the window, so that no value stays in memory for longer than it serves."""
        now = self._clock()
        with self._lock:
            for key, read in list(self._reads.items()):
                if read.done.is_set() and now >= read.expires:
                    self._drop(key, read)

    def _lead(self, key: Hashable, read: _Read, fetch: Callable[[], T], *, keep: bool) -> T:
        try:
            value = fetch()
        except Exception as error:
            read.error = error
            if isinstance(error, TemporaryError) and time_is_over():
                read.error = DeadlineError(
                    "The time of the call that read it was over"
                )  # for those who have more
            self._finish(key, read, keep=keep and isinstance(error, PermanentError), size=0)
            raise
        except BaseException as error:
            # A thread that is being killed answers its followers, too, instead of leaving them to their deadlines.
            read.error = RuntimeError(type(error).__name__)
            self._finish(key, read, keep=False, size=0)
            raise
        read.value = value
        self._finish(key, read, keep=keep, size=len(value) if isinstance(value, bytes) else 0)
        return value

    def _finish(self, key: Hashable, read: _Read, *, keep: bool, size: int) -> None:
        now = self._clock()
        size += _length(key)
        with self._lock:
            current = self._reads.get(key) is read
            fits = len(self._reads) <= _MAX_ENTRIES and self._bytes + size <= _MAX_BYTES
            if current and keep and self._seconds > 0 and fits:
                longest = self._seconds if read.error is None else min(self._seconds, _LONGEST_NEGATIVE)
                read.expires = now + longest
                read.size = size
                self._bytes += size
            elif current:
                del self._reads[key]
        read.done.set()
        if len(self._reads) > _MAX_ENTRIES // 2:
            self.sweep()

    def _drop(self, key: Hashable, read: _Read) -> None:
        del self._reads[key]
        self._bytes -= read.size


def _length(key: Hashable) -> int:
    """Bytes that a key takes, about: names are as long as a caller makes them, and an error is kept under its key, too."""
    return sum(len(part) for part in key if isinstance(part, str)) if isinstance(key, tuple) else 0


def _again(error: Exception) -> Exception:
    """The same error without the traceback it has gathered: it is raised in many threads."""
    return error.with_traceback(None)
