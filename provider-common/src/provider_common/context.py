"""`Context`: what the SDK hands to an author beside the request. It grows; signatures do not.

`remaining()` tells how much of the current call's time is left, wherever in the provider it is asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from provider_common._locks import KeyedLocks
from provider_common.auth import AuthResolver
from provider_common.errors import DeadlineError, TemporaryError
from provider_common.requests import RetrySettings, StoreInfo
from provider_common.spec import Spec

SpecT = TypeVar("SpecT", bound=Spec)
T = TypeVar("T")

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_caller_is_there: ContextVar[Callable[[], bool] | None] = ContextVar("caller_is_there", default=None)

LONGEST_CALL = 30.0
"""Seconds that a call may take at most, also when the caller sets no deadline: what the Go core gives every call."""

_HARDLY = 0.5
"""Seconds in which nothing is worth beginning, and in which a client library's time-out may come a little early."""


def remaining() -> float:
    """Seconds left of the current call, at most `LONGEST_CALL`. Raises DeadlineError when none is left, or when the caller
    has gone.

    Ask before every backend call, and give the answer to the client library as its time-out: a call that can't end in
    time is not to be started.
    """
    deadline = _deadline.get()
    if deadline is None:
        return LONGEST_CALL
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineError("The time that the caller gave is over")
    is_there = _caller_is_there.get()
    if is_there is not None and not is_there():
        raise DeadlineError("The caller has gone")
    return min(left, LONGEST_CALL)


def time_is_over() -> bool:
    """True when the current call has hardly any time left: a time-out that it runs into is its own, and says nothing about
    the backend to others who wait for the same answer.
    """
    try:
        return remaining() < _HARDLY
    except DeadlineError:
        return True


def start_call(seconds: float | None, caller_is_there: Callable[[], bool] | None = None) -> None:
    """Give this thread's current call `seconds` from now, at most `LONGEST_CALL`. `caller_is_there` turns false when the
    call is cancelled: nobody waits for the answer any more. grpc runs every call in a context of its own, so there is nothing
    to put back.
    """
    _caller_is_there.set(caller_is_there)
    _deadline.set(time.monotonic() + (LONGEST_CALL if seconds is None else min(seconds, LONGEST_CALL)))


@contextmanager
def call_deadline(seconds: float | None) -> Iterator[None]:
    """`start_call` for a block: what code outside of a server, a test say, gives to a store it calls by itself."""
    outer, caller = _deadline.set(None), _caller_is_there.set(None)
    try:
        start_call(seconds)
        yield
    finally:
        _deadline.reset(outer)
        _caller_is_there.reset(caller)


class ApiCallCounter(Protocol):
    """Counts calls to a backend."""

    def count(self, provider: str, call: str, *, ok: bool) -> None:
        """One call of `call` to `provider` ended."""


class SharedObjects:
    """Objects that live as long as the provider: a token manager per identity, a channel per endpoint. Closed at drain,
    newest first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[object, Any] = {}
        self._making = KeyedLocks()

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The object of `key`, made by `make` the first time. One caller makes, the others wait.

        Raises what `make` raises, DeadlineError when the caller's time ends first.
        """
        with self._lock:
            if key in self._objects:
                return self._objects[key]  # type: ignore[no-any-return]
        with self._making.hold(key, timeout=remaining()):
            with self._lock:
                if key in self._objects:
                    return self._objects[key]  # type: ignore[no-any-return]
            made = make()
            with self._lock:
                self._objects[key] = made
            return made

    def discard(self, key: object) -> None:
        """Forget and close the object of `key`, if there is one."""
        with self._lock:
            made = self._objects.pop(key, None)
        _close(made)

    def close(self) -> None:
        """Close every object that has a `close` method, newest first."""
        with self._lock:
            objects, self._objects = list(self._objects.values()), {}
        for made in reversed(objects):
            _close(made)


def _close(made: object) -> None:
    close = getattr(made, "close", None)
    if callable(close):
        try:
            close()
        except Exception as error:  # noqa: BLE001 - one object that won't close must not keep the others open
            logging.getLogger(__name__).warning(
                "closing a shared %s failed: %s", type(made).__name__, type(error).__name__
            )


# Without slots: typing sets an attribute on what `Context[Model](...)` makes, and older Pythons trip over slots there.
@dataclass(frozen=True)
class Context(Generic[SpecT]):
    """What an author gets beside the request."""

    spec: SpecT
    """The configuration object's spec."""
    auth: AuthResolver = field(repr=False)
    """Turns selectors of the spec into credentials."""
    api_version: str
    """Group and version under which the configuration object was asked for (an alias, perhaps)."""
    kind: str
    """Kind under which the configuration object was asked for."""
    name: str
    """Name of the configuration object."""
    namespace: str
    """Namespace of the configuration object."""
    store_kind: str = ""
    """Kind of the store that the user pointed at, as the core names it; empty for generators of a Go core."""
    store: StoreInfo | None = None
    """The whole store or generator, when the core sends it (ours does, a Go core does not)."""
    retry: RetrySettings = field(default_factory=RetrySettings)
    """`retrySettings` of the store."""
    log: logging.Logger = field(default=logging.getLogger("provider"), repr=False)
    """Never log a value."""
    caller: str = field(default="", repr=False)
    """The caller's namespace; use `source_namespace`."""
    shared_objects: SharedObjects = field(default_factory=SharedObjects, repr=False)
    """Behind `shared`."""
    calls: ApiCallCounter | None = field(default=None, repr=False)
    """Behind `api_call`."""

    @property
    def source_namespace(self) -> str:
        """The namespace on whose behalf the core asks.

        Raises RuntimeError in a store whose class does not say `depends_on_caller` of its spec: such a store is shared by
        callers of several namespaces. May be empty while a store is validated.
        """
        if self.caller == NOT_FOR_YOU:
            raise RuntimeError(
                "source_namespace is only for stores whose class says depends_on_caller of their spec"
            )
        return self.caller

    @property
    def where(self) -> str:
        """The configuration object in words, for messages: `Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}"

    def shared(self, key: object, make: Callable[[], T]) -> T:
        """The object of `key` that lives as long as the provider, made by `make` the first time; closed at drain.

        `key` has to hold everything the object depends on, credentials included (by a hash).
        """
        return self.shared_objects.get(key, make)

    @contextmanager
    def api_call(self, provider: str, call: str) -> Iterator[None]:
        """Count one call to the backend in `externalsecret_provider_api_calls_count`; an exception counts as an error."""
        ok = False
        try:
            yield
            ok = True
        finally:
            if self.calls is not None:
                self.calls.count(provider, call, ok=ok)

    def retrying(self, call: Callable[[], T], *, max_retries: int = 0, interval: float = 1.0) -> T:
        """`call()`, tried again after a TemporaryError by the store's `retrySettings`, else by the arguments given.

        A retry that could not end before the caller's deadline is not made.
        """
        retries = self.retry.max_retries if self.retry.max_retries is not None else max_retries
        wait = self.retry.interval if self.retry.interval is not None else interval
        while True:
            try:
                return call()
            except DeadlineError:
                raise
            except TemporaryError as error:
                pause = max(wait, error.retry_after or 0.0)
                if retries <= 0 or pause >= remaining():
                    raise
                retries -= 1
                # An event that nobody sets: a sleep that a debugger and a signal can break.
                threading.Event().wait(pause)


NOT_FOR_YOU = "\0"
"""Marks a context whose author did not ask for the caller's namespace."""

__all__ = [
    "LONGEST_CALL",
    "NOT_FOR_YOU",
    "ApiCallCounter",
    "Context",
    "SharedObjects",
    "call_deadline",
    "remaining",
    "start_call",
    "time_is_over",
]
