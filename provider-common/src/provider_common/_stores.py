"""Open stores: opened once, kept, shared, closed. No grpc here.

A store is kept per everything its answers depend on: the kind, the configuration object (UID and spec), the scope and the
namespace of the credentials, the store that the user pointed at, and, only for kinds that ask for it, the caller's
namespace. What the credentials hold is compared again by hash when a store is used that was last checked a while ago.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from provider_common._reads import ReadWindow
from provider_common.auth import AuthResolver, Scope, TokenCache
from provider_common.catalog import Kind, StoreKind
from provider_common.context import (
    LONGEST_CALL,
    NOT_FOR_YOU,
    ApiCallCounter,
    Context,
    Holder,
    SharedObjects,
    call_deadline,
    remaining,
    time_is_over,
)
from provider_common.errors import (
    AccessDeniedError,
    DeadlineError,
    MissingReferenceError,
    NoSecretError,
    PermanentError,
    ProviderError,
    TemporaryError,
)
from provider_common.kube import KubeObject, KubeReader
from provider_common.provider import ProviderV2
from provider_common.requests import RetrySettings, StoreInfo
from provider_common.spec import Spec

_log = logging.getLogger(__name__)

CHECK_AFTER = 10.0
"""Seconds of use after which the credentials of a store are read again."""

_RECHECK_SOON = 1.0
"""Seconds between two checks when the backend keeps refusing."""

_LONGEST_CHECK = 2.0
"""Seconds that a check may take. What is open worked a moment ago: a slow API server is not to slow down every call."""

_RECHECK_AWAY = 5.0
"""Seconds after which Kubernetes is asked again when it could not be."""

_LONGEST_NEGATIVE = 1.0
"""Seconds for which an open that failed for good is not tried again."""

_MOST_PARSED = 10_000
"""Specs kept parsed; objects that are gone are among them until then."""


@dataclass(frozen=True, slots=True)
class Place:
    """One request, resolved: which configuration object of which kind, for whom."""

    kind: Kind[Any]
    config_namespace: str
    name: str
    scope: Scope
    store: StoreInfo | None = None
    store_digest: bytes = b""
    """Of `store`, so that it need not be compared field by field."""
    retry: RetrySettings = field(default_factory=RetrySettings)
    config: tuple[str, str, str] = field(init=False, repr=False)
    """The configuration object: its kind with group and version, namespace, name."""
    family: tuple[Hashable, ...] = field(init=False, repr=False)
    """Everything but the versions, and but the caller where the spec makes the store depend on him."""
    families: tuple[tuple[Hashable, ...], tuple[Hashable, ...]] = field(init=False, repr=False)
    """Of the store that all callers share, and of this caller's own: made once, for they are asked for at every call."""

    @property
    def title(self) -> str:
        """The configuration object in words."""
        return f"{self.kind.kind} {self.config_namespace}/{self.name}"

    def __post_init__(self) -> None:
        scope = self.scope
        store = (
            (self.store.api_version, self.store.kind, self.store.namespace, self.store.name)
            if self.store
            else ()
        )
        config = (self.kind.title, self.config_namespace, self.name)
        family = (
            *config,
            scope.store_kind,
            scope.cluster_scoped,
            scope.credentials_namespace,
            store,
        )
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "family", family)
        object.__setattr__(self, "families", ((*family, NOT_FOR_YOU), (*family, scope.source_namespace)))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A configuration object with its spec as a model."""

    source: KubeObject
    spec: Spec
    digest: bytes
    by_caller: bool = False
    """True when what is opened of it depends on the caller."""


class Configs:
    """Configuration objects with their specs parsed: once per object as long as it does not change."""

    def __init__(self, kube: KubeReader) -> None:
        self._kube = kube
        self._parsed: dict[tuple[str, str, str], Parsed] = {}

    def get(self, place: Place) -> Parsed:
        """The configuration object of `place`.

        Raises MissingReferenceError when there is none, InvalidSpecError when its spec can't be used, TemporaryError when
        the configuration objects are not known yet.
        """
        kind = place.kind
        found = self._kube.get_object(kind.api_version, kind.kind, place.config_namespace, place.name)
        if found is None:
            self._parsed.pop(place.config, None)
            raise MissingReferenceError(
                f"There is no {kind.kind} {place.name!r} ({kind.api_version}) in namespace {place.config_namespace!r}: "
                "create it, or correct providerRef",
                details={"kind": kind.kind, "name": place.name, "namespace": place.config_namespace},
            )
        parsed = self._parsed.get(place.config)
        if parsed is not None and parsed.source is found:
            return parsed
        digest = hashlib.sha256(json.dumps(found.spec, sort_keys=True, default=str).encode()).digest()
        if parsed is not None and parsed.digest == digest:
            # Only labels, status or the like changed: what is open stays open.
            parsed = Parsed(found, parsed.spec, digest, parsed.by_caller)
        else:
            spec = kind.spec.parse(found.spec, where=place.title)
            by_caller = kind.role == "store" and kind.cls.depends_on_caller(spec)
            parsed = Parsed(found, spec, digest, by_caller)
        if len(self._parsed) >= _MOST_PARSED:
            self._parsed.clear()
        self._parsed[place.config] = parsed
        return parsed


@dataclass(slots=True, eq=False)
class OpenStore:
    """One store that is open, and what is known about its use."""

    store: ProviderV2[Any]
    auth: AuthResolver = field(repr=False)
    holder: Holder = field(repr=False)
    source: KubeObject = field(repr=False)
    """The configuration object that it was opened with."""
    family: tuple[Hashable, ...] = field(repr=False)
    """Of one family, one store is open at a time."""
    version: tuple[Hashable, ...] = field(repr=False)
    reads: ReadWindow = field(repr=False)
    checked: float
    used: float
    users: int = 0
    retired: bool = False
    checking: threading.Lock = field(default_factory=threading.Lock, repr=False)


@dataclass(slots=True)
class _Opening:
    """An open that is under way; the others of the family wait for it. `error` is kept for a while when permanent."""

    version: tuple[Hashable, ...]
    gives_up: float
    """Nobody waits for it from then on: a login that hangs must not close the store for ever."""
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    expires: float = 0.0


class OpenStores:
    """The open stores of one server, bounded in number and in idle time."""

    def __init__(
        self,
        kube: KubeReader,
        *,
        tokens: TokenCache,
        shared: SharedObjects,
        calls: ApiCallCounter | None = None,
        read_window: float = 1.0,
        check_after: float = CHECK_AFTER,
        max_stores: int = 1000,
        max_idle: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_window`, `check_after` and `max_idle` are in seconds."""
        self._kube = kube
        self._configs = Configs(kube)
        self._tokens = tokens
        self._shared = shared
        self._calls = calls
        self._read_window = read_window
        self._check_after = check_after
        self._max_stores = max_stores
        self._max_idle = max_idle
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[Hashable, ...], OpenStore] = {}
        self._opening: dict[tuple[Hashable, ...], _Opening] = {}
        self._shut = False
        self.opened = 0
        self.closed = 0
        # Reads of stores that are closed by now; the window of an open store counts for itself.
        self._past_hits = 0
        self._past_misses = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def read_hits(self) -> int:
        """Reads answered without a backend call of their own."""
        with self._lock:  # a store that is retired meanwhile would be missed, and a counter must not fall
            return self._past_hits + sum(entry.reads.hits for entry in self._open.values())

    @property
    def read_misses(self) -> int:
        """Reads that cost a backend call."""
        with self._lock:
            return self._past_misses + sum(entry.reads.misses for entry in self._open.values())

    def config(self, place: Place) -> Parsed:
        """The configuration object of `place`; raises as `Configs.get`."""
        return self._configs.get(place)

    def ready(self, place: Place) -> OpenStore | None:
        """The open store of `place` if it can be used without waiting for anything, taken into use; else None."""
        parsed = self._configs.get(place)
        return self._take(_family(place, parsed), self._version(place, parsed), self._check_after)

    def acquire(self, place: Place) -> OpenStore:
        """The open store of `place`, opened or checked first where needed, taken into use.

        Raises what opening raises; one caller opens, the others of the family wait.
        """
        max_age = self._check_after
        while True:
            parsed = self._configs.get(place)
            family, version = _family(place, parsed), self._version(place, parsed)
            entry = self._take(family, version, max_age)
            if entry is not None:
                return entry
            with self._lock:
                entry = self._open.get(family)
            if entry is not None and entry.version == version:
                self._check(family, entry, longest=_LONGEST_CHECK)
            else:
                opened = self._open_once(place, family, version)
                if opened is not None:
                    return opened
            # Checked or opened a moment ago: good enough for this call, however short the interval is.
            max_age = float("inf")

    def _take(
        self, family: tuple[Hashable, ...], version: tuple[Hashable, ...], max_age: float
    ) -> OpenStore | None:
        now = self._clock()
        with self._lock:
            entry = self._open.get(family)
            if entry is None or entry.version != version or now - entry.checked >= max_age:
                return None
            entry.users += 1
            entry.used = now
            return entry

    def release(self, entry: OpenStore) -> None:
        """Give an acquired store back; a retired one is closed by its last user."""
        with self._lock:
            entry.users -= 1
            close = entry.retired and entry.users == 0
        if close:
            self._close(entry)

    @contextmanager
    def use(self, place: Place) -> Iterator[OpenStore]:
        """`acquire` and `release` around a block."""
        entry = self.acquire(place)
        try:
            yield entry
        finally:
            self.release(entry)

    def refused(self, place: Place, entry: OpenStore) -> bool:
        """The backend refused the credentials of `entry`: look at once whether they changed. True when they did, and a
        call may be tried again with the store that `acquire` then opens.
        """
        if entry.retired or self._clock() - entry.checked < _RECHECK_SOON:
            return entry.retired  # another call that was refused may have looked already
        entry.checked = float("-inf")
        # It does not work as it is: worth all the time there is.
        self._check(entry.family, entry, longest=LONGEST_CALL)
        return entry.retired

    def written(self, entry: OpenStore) -> None:
        """Something was written through `entry`: forget what was read, also by other stores of its class. They may lead to the
        same place in the backend by another reference.
        """
        with self._lock:
            entries = [each for each in self._open.values() if type(each.store) is type(entry.store)]
        for each in (entry, *entries):
            each.reads.clear()

    def sweep(self) -> None:
        """Close what has been idle for too long or whose configuration object is gone, and drop values past their window.
        Called now and then.
        """
        now = self._clock()
        with self._lock:
            entries = tuple(self._open.values())
        gone = {id(entry) for entry in entries if self._is_gone(entry.source)}
        with self._lock:
            ended = [
                (family, entry)
                for family, entry in self._open.items()
                if (entry.users == 0 and now - entry.used > self._max_idle) or id(entry) in gone
            ]
            unused = [entry for family, entry in ended if self._retire(family, entry)]
            entries = tuple(self._open.values())
            for family, opening in list(self._opening.items()):
                if opening.done.is_set() and now >= opening.expires:
                    del self._opening[family]
        for entry in unused:
            self._close(entry)
        for entry in entries:
            entry.reads.sweep()

    def _is_gone(self, source: KubeObject) -> bool:
        try:
            found = self._kube.get_object(source.api_version, source.kind, source.namespace, source.name)
        except ProviderError:
            return False  # it can't be said now
        return found is None

    def close(self) -> None:
        """Close every store; those in use, or still being opened, are closed by their last user."""
        with self._lock:
            self._shut = True
            entries = list(self._open.items())
            for family, entry in entries:
                self._retire(family, entry)
            unused = [entry for _, entry in entries if entry.users == 0]
        for entry in unused:
            self._close(entry)

    @staticmethod
    def _version(place: Place, parsed: Parsed) -> tuple[Hashable, ...]:
        return (parsed.source.uid, parsed.digest, place.store_digest)

    def _check(self, family: tuple[Hashable, ...], entry: OpenStore, *, longest: float) -> None:
        """Compare the credentials with what the store was opened with; retire the store when they changed. When Kubernetes
        can't be asked, or does not answer within `longest` seconds, the store stays as it is.
        """
        if not entry.checking.acquire(timeout=min(remaining(), longest)):
            return
        try:
            now = self._clock()
            if entry.retired or now - entry.checked < self._check_after:
                return
            try:
                with call_deadline(min(remaining(), longest)):
                    changed = entry.auth.changed()
            except (TemporaryError, AccessDeniedError) as error:
                _log.warning("credentials could not be read again: %s", error)
                entry.checked = self._clock() - self._check_after + min(_RECHECK_AWAY, self._check_after)
                return
            entry.checked = now
            if not changed:
                return
            with self._lock:
                unused = self._open.get(family) is entry and self._retire(family, entry)
            if unused:
                self._close(entry)
        finally:
            entry.checking.release()

    def _open_once(
        self, place: Place, family: tuple[Hashable, ...], version: tuple[Hashable, ...]
    ) -> OpenStore | None:
        """Open the store of `place` and take it into use; None when another call was opening it, and has ended."""
        now = self._clock()
        with self._lock:
            opening = self._opening.get(family)
            if opening is not None and opening.done.is_set():
                if opening.error is not None and opening.version == version and now < opening.expires:
                    raise opening.error.with_traceback(None)
                opening = None
            leads = opening is None or now >= opening.gives_up
            if opening is None or leads:
                opening = self._opening[family] = _Opening(version, now + LONGEST_CALL)
        if leads:
            return self._lead_open(place, family, opening)
        if not opening.done.wait(remaining()):
            raise DeadlineError(f"The time that the caller gave is over; {place.title} is still being opened")
        # A follower of another version, or of a leader whose own time was over, simply goes round again.
        if (
            opening.error is not None
            and opening.version == version
            and not isinstance(opening.error, DeadlineError)
        ):
            raise opening.error.with_traceback(None)
        return None

    def _lead_open(self, place: Place, family: tuple[Hashable, ...], opening: _Opening) -> OpenStore:
        try:
            entry = self._make(place)
        except BaseException as error:
            keep = isinstance(error, PermanentError) and self._read_window > 0
            opening.error = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            if isinstance(error, TemporaryError) and time_is_over():
                opening.error = DeadlineError("The time of the call that opened it was over")
            opening.expires = self._clock() + min(self._read_window, _LONGEST_NEGATIVE) if keep else 0.0
            with self._lock:
                if not keep and self._opening.get(family) is opening:
                    del self._opening[family]
            opening.done.set()
            raise
        unused: list[OpenStore] = []
        with self._lock:
            # Not the family that the call asked for: the spec may have changed since, and with it who may share the store.
            old = self._open.get(entry.family)
            if old is not None:
                unused += [old] if self._retire(entry.family, old) else []
            # In use from the start: whatever pushes it out, the call that opened it can work with it.
            self._open[entry.family] = entry
            while len(self._open) > self._max_stores or (self._shut and self._open):
                oldest, evicted = min(self._open.items(), key=lambda item: item[1].used)
                unused += [evicted] if self._retire(oldest, evicted) else []
            if self._opening.get(family) is opening:
                del self._opening[family]
        opening.done.set()
        for closing in unused:
            self._close(closing)
        return entry

    def _make(self, place: Place) -> OpenStore:
        parsed = self._configs.get(place)
        auth = AuthResolver(self._kube, scope=place.scope, spec=parsed.spec, tokens=self._tokens)
        kind: StoreKind = place.kind
        context = make_context(place, parsed, auth, shared=self._shared, calls=self._calls)
        now = self._clock()
        remaining()  # what can't end in time is not begun
        try:
            store = kind.cls.open(context)
        except BaseException as error:
            self._shared.release(context.holder)
            if not isinstance(error, NoSecretError):
                raise
            # A core would take it for the secret that it asked for, and delete the user's copy.
            raise MissingReferenceError(
                f"{place.title} can't be opened: {error.message}", details=error.details
            ) from None
        self.opened += 1
        reads = ReadWindow(self._read_window, clock=self._clock)
        version = self._version(place, parsed)
        return OpenStore(
            store,
            auth,
            context.holder,
            parsed.source,
            _family(place, parsed),
            version,
            reads,
            now,
            now,
            users=1,
        )

    def _retire(self, family: tuple[Hashable, ...], entry: OpenStore) -> bool:
        """Take `entry` out (the lock is held). True when nobody uses it, and the caller has to close it."""
        del self._open[family]
        entry.retired = True
        self._past_hits += entry.reads.hits
        self._past_misses += entry.reads.misses
        return entry.users == 0

    def _close(self, entry: OpenStore) -> None:
        self.closed += 1
        entry.reads.clear()
        try:
            entry.store.close()
        except Exception as error:  # noqa: BLE001 - a store that won't close must not fail the call that ends
            _log.warning("closing a %s failed: %s", type(entry.store).__name__, type(error).__name__)
        self._shared.release(entry.holder)


def _family(place: Place, parsed: Parsed) -> tuple[Hashable, ...]:
    return place.families[parsed.by_caller]


def make_context(
    place: Place,
    parsed: Parsed,
    auth: AuthResolver,
    *,
    shared: SharedObjects,
    calls: ApiCallCounter | None,
) -> Context[Any]:
    """What an author gets for `place`. A store that does not say `depends_on_caller` is not told the caller."""
    told = place.kind.role == "generator" or parsed.by_caller
    return Context(
        spec=parsed.spec,
        auth=auth,
        api_version=place.kind.api_version,
        kind=place.kind.kind,
        name=place.name,
        namespace=place.config_namespace,
        store_kind=place.scope.store_kind,
        store=place.store,
        retry=place.retry,
        log=logging.getLogger(f"provider.{place.kind.kind}"),
        caller=place.scope.source_namespace if told else NOT_FOR_YOU,
        shared_objects=shared,
        calls=calls,
    )


__all__ = ["CHECK_AFTER", "Configs", "OpenStore", "OpenStores", "Parsed", "Place", "make_context"]
