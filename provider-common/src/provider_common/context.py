"""`Context`: what the SDK hands to an author beside the request. It grows; signatures do not.

`remaining()` tells how much of the current call's time is left, wherever in the provider it is asked.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

from provider_common._locks import KeyedLocks
from provider_common.auth import AuthResolver
from provider_common.errors import DeadlineError, TemporaryError
from provider_common.requests import RetrySettings, StoreInfo
from provider_common.spec import Spec

SpecT = TypeVar("SpecT", bound=Spec)
T = TypeVar("T")

_call: ContextVar[tuple[float, Callable[[], bool] | None] | None] = ContextVar("call", default=None)
"""The current call's deadline, and what tells whether its caller is still there."""

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
    call = _call.get()
    if call is None:
        return LONGEST_CALL
    deadline, is_there = call
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineError("The time that the caller gave is over")
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
    longest = LONGEST_CALL if seconds is None else min(seconds, LONGEST_CALL)
    _call.set((time.monotonic() + longest, caller_is_there))


@contextmanager
def call_deadline(seconds: float | None) -> Iterator[None]:
    """`start_call` for a block: what code outside of a server, a test say, gives to a store it calls by itself."""
    outer = _call.get()
    start_call(seconds)
    try:
        yield
    finally:
        _call.set(outer)


_SHORTEST_PAUSE = (0.1, 0.3)
"""Seconds between two tries of a backend call at least: somewhere between these, so that callers do not march in step."""

_LOOK_AFTER = 0.25
"""Seconds after which a waiting call looks whether its caller is still there."""


@contextmanager
def held(lock: threading.Lock, *, busy: str) -> Iterator[None]:
    """Hold `lock`: a caller whose time is over does not stand in line any longer.

    Raises DeadlineError when the caller's time ends first, TemporaryError saying `busy` when only that of the longest call
    does.
    """
    if not lock.acquire(timeout=remaining()):
        remaining()
        raise TemporaryError(busy)
    try:
        yield
    finally:
        lock.release()


class ApiCallCounter(Protocol):
    """Counts calls to a backend."""

    def count(self, provider: str, call: str, *, ok: bool) -> None:
        """One call of `call` to `provider` ended."""


_UNUSED_FOR = 3600.0
"""Seconds for which a shared object stays that nobody uses."""
_MOST_UNUSED = 1000
"""Shared objects that may wait for somebody to use them again; then the one that waits for longest goes."""


class Holder:
    """An open store, or a running call of a generator: what it asked for is in use until it ends."""

    def __init__(self) -> None:
        self.holds: list[_Shared] | None = []
        """None once it ended: an author's code that outlives it holds nothing any more."""


class _Shared:
    """One shared object."""

    def __init__(self, made: Any, *, keep: bool) -> None:
        self.made = made
        self.keep = keep
        self.holders = 0
        self.used = 0.0
        self.discarded = False


class SharedObjects:
    """Objects that outlive one store: a token manager per identity, a channel per endpoint.

    An object stays while a store or a call that asked for it is there, and for an hour after, so a new store of the same
    credentials finds it; those of credentials that were rotated away leave then. Everything is closed at drain, newest first.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[object, _Shared] = {}
        self._discarded: set[_Shared] = set()
        """Forgotten, but still in use."""
        self._making = KeyedLocks()

    def __len__(self) -> int:
        return len(self._objects) + len(self._discarded)

    def get(
        self, key: object, make: Callable[[], T], *, holder: Holder | None = None, keep: bool = False
    ) -> T:
        """The object of `key`, made by `make` the first time. One caller makes, the others wait. It is in use until `holder`
        is released; with `keep` it never leaves before the drain.

        Raises what `make` raises, DeadlineError when the caller's time ends first.
        """
        with self._lock:
            if (shared := self._objects.get(key)) is not None:
                return cast("T", self._use(shared, holder))
        with self._making.hold(key, timeout=remaining()):
            with self._lock:
                if (shared := self._objects.get(key)) is not None:
                    return cast("T", self._use(shared, holder))
            made = make()
            with self._lock:
                shared = self._objects[key] = _Shared(made, keep=keep)
                return cast("T", self._use(shared, holder))

    def discard(self, key: object) -> None:
        """Forget the object of `key`, if there is one: the next `get` makes another. It is closed when nobody uses it."""
        with self._lock:
            shared = self._objects.pop(key, None)
            if shared is None:
                return
            if shared.holders:
                shared.discarded = True
                self._discarded.add(shared)
                return
        _close(shared.made)

    def release(self, holder: Holder) -> None:
        """`holder` has ended, and uses nothing any more."""
        with self._lock:
            held, holder.holds = holder.holds or (), None
            for shared in held:
                shared.holders -= 1
                shared.used = self._clock()
            gone = [shared for shared in held if shared.discarded and not shared.holders]
            self._discarded.difference_update(gone)
        for shared in gone:
            _close(shared.made)

    def sweep(self) -> None:
        """Close what nobody has used for long, and the oldest of what nobody uses when there is much of it."""
        now = self._clock()
        with self._lock:
            unused = [
                (shared.used, key, shared)
                for key, shared in self._objects.items()
                if not shared.holders and not shared.keep
            ]
            unused.sort(key=lambda entry: entry[0])
            too_many = len(unused) - _MOST_UNUSED
            gone = [
                (key, shared)
                for place, (used, key, shared) in enumerate(unused)
                if place < too_many or now - used >= _UNUSED_FOR
            ]
            for key, _ in gone:
                del self._objects[key]
        for _, shared in gone:
            _close(shared.made)

    def close(self) -> None:
        """Close every object that has a `close` method, newest first."""
        with self._lock:
            objects = [*self._discarded, *self._objects.values()]
            self._objects, self._discarded = {}, set()
        for shared in reversed(objects):
            _close(shared.made)

    def _use(self, shared: _Shared, holder: Holder | None) -> Any:
        """Note that `shared` is used (the lock is held)."""
        shared.used = self._clock()
        if holder is not None and holder.holds is not None and shared not in holder.holds:
            holder.holds.append(shared)
            shared.holders += 1
        return shared.made


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
    holder: Holder = field(default_factory=Holder, repr=False)
    """In whose name `shared` asks."""
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

    def shared(self, key: object, make: Callable[[], T], *, keep: bool = False) -> T:
        """The object of `key`, made by `make` the first time, and shared by all stores and generators of the provider.

        `key` has to hold everything the object depends on, credentials included (by a hash). The object is closed at drain,
        or once nobody has used it for an hour: no store that asked for it is open, no call of a generator that did is
        running. `keep` holds it until the drain: for what can't be made again, a count say.
        """
        return self.shared_objects.get(key, make, holder=self.holder, keep=keep)

    @contextmanager
    def changing(self, *name: Hashable) -> Iterator[None]:
        """Within this process, changes of what `name` names come one after the other, through whichever stores: for
        backends that can't compare and set. Other processes are not kept out.

        `name` has to hold everything that tells two secrets of the backend apart. Raises DeadlineError when the caller's time
        ends first.
        """
        changes = self.shared("changes", KeyedLocks)
        with changes.hold(name, timeout=remaining()):
            yield

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

        A retry that could not end before the caller's deadline is not made. However short the interval is, there are 0.1 to
        0.3 s between two tries, at random: `retryInterval: 0s` must not become a flood when a backend is down.
        """
        retries = self.retry.max_retries if self.retry.max_retries is not None else max_retries
        wait = self.retry.interval if self.retry.interval is not None else interval
        while True:
            try:
                return call()
            except DeadlineError:
                raise
            except TemporaryError as error:
                pause = max(wait, error.retry_after or 0.0, random.uniform(*_SHORTEST_PAUSE))  # noqa: S311 - no secret
                if retries <= 0 or pause >= remaining():
                    raise
                retries -= 1
                _pause(pause)


def _pause(seconds: float) -> None:
    """Raises DeadlineError when the caller goes away meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        # An event that nobody sets: a sleep that a debugger and a signal can break.
        threading.Event().wait(min(left, remaining(), _LOOK_AFTER))


NOT_FOR_YOU = "\0"
"""Marks a context whose author did not ask for the caller's namespace."""

__all__ = [
    "LONGEST_CALL",
    "NOT_FOR_YOU",
    "ApiCallCounter",
    "Context",
    "SharedObjects",
    "call_deadline",
    "held",
    "remaining",
    "start_call",
    "time_is_over",
]
