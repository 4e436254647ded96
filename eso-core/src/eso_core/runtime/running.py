"""Passes over a folder by the providers that run already (`sync`) or by children (`dev`), once or again and again."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from eso_core.api.stores import Store
from eso_core.client.endpoints import FILES, ClientTls, Endpoint, host_of, read_tls
from eso_core.client.provider import GrpcCalls, Observer
from eso_core.reconcile.calls import CallError
from eso_core.reconcile.externalsecret import Trigger
from eso_core.reconcile.routing import Settings
from eso_core.runtime.children import Children, refuse_token
from eso_core.runtime.folder import Loaded, Watch, load, load_at_rest, signature
from eso_core.runtime.kinds import installed, needed
from eso_core.runtime.output import Output
from eso_core.runtime.report import Report
from eso_core.runtime.syncing import Progress, Syncer

_LOOK = 0.25
"""Seconds between two looks at the folder."""
_STABLE = 60.0
"""Seconds after which a provider that ends did not end because it was started."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with which folder."""

    folder: Path
    output: Path
    settings: Settings = field(default_factory=Settings)
    refresh: bool = False
    """Whether the first pass makes and reads everything anew."""
    progress: Progress | None = None
    say: Callable[[str], None] = lambda _text: None
    observer: Observer | None = None
    """Is told of every call."""

    @property
    def trigger(self) -> Trigger:
        """Why the first pass is made."""
        return Trigger.EVERYTHING if self.refresh else Trigger.READ


class Running:
    """Providers that run already: at the address of the manifest, or where `redirects` says."""

    def __init__(self, tls: ClientTls, redirects: Mapping[str, str]) -> None:
        self._tls = tls
        self._redirects = redirects
        self.loaded = Loaded()

    def endpoint(self, store: Store) -> Endpoint:
        """Where the store's provider is. Raises CallError when the store names a client certificate that is not in the folder."""
        refuse_token(store)
        address = store.spec.provider_config.address
        return Endpoint(self._redirects.get(address, address), host_of(address), self._material(store))

    def _material(self, store: Store) -> ClientTls:
        auth = store.spec.provider_config.auth
        certificate = auth.client_certificate if auth is not None else None
        if certificate is None or not certificate.name:
            return self._tls
        namespace = store.meta.namespace or certificate.namespace or ""
        where = f"{store.where}: spec.providerConfig.auth.clientCertificate"
        if not namespace:
            raise CallError(f"{where}.namespace: is required for a {store.kind}")
        if store.meta.namespace and certificate.namespace not in {None, store.meta.namespace}:
            raise CallError(
                f"{where}: a {store.kind} in namespace {store.meta.namespace!r} can't use a Secret in namespace "
                f"{certificate.namespace!r}"
            )
        secret = self.loaded.secrets.get((namespace, certificate.name))
        if secret is None or isinstance(secret, str):
            raise CallError(f"{where}: Secret {namespace}/{certificate.name} is not in the folder")
        missing = [name for name in FILES if not secret.data.get(name)]
        if missing:
            raise CallError(f"{where}: Secret {namespace}/{certificate.name} has no key {missing[0]!r}")
        return ClientTls(*(secret.data[name] for name in FILES))


def sync(job: Job, *, tls_dir: Path, redirects: Mapping[str, str]) -> Report:
    """One pass by providers that run already. Raises CallError for unusable certificates, OutputError for the output."""
    endpoints = Running(read_tls(tls_dir), redirects)
    output = Output(job.output)
    with output.opened(job.folder), closing(GrpcCalls(endpoints, observer=job.observer)) as calls:
        endpoints.loaded = loaded = load(job.folder)
        stores = [store for store in loaded.stores.values() if isinstance(store, Store)]
        known = {store.spec.provider_config.address for store in stores}
        loaded.notes += [
            f"--endpoint {address}: no store in {job.folder} has this address"
            for address in sorted(redirects.keys() - known)
        ]
        return Syncer(output, calls, job.settings, abort=calls.close).run(loaded, job.trigger, job.progress)


class _Why(enum.Enum):
    """Why waiting for the next pass is over."""

    CHANGED = "changed"
    DUE = "due"
    ENDED = "ended"


class Dev:
    """Passes by providers that are started for them."""

    def __init__(self, job: Job, *, verbose: bool = False) -> None:
        self._job = job
        self._verbose = verbose
        self._pause = 0.0

    def once(self) -> Report:
        """Start providers, make one pass, stop them. Raises OutputError."""
        return self.watch(lambda _report: None, threading.Event(), once=True)

    def watch(self, shown: Callable[[Report], None], stop: threading.Event, *, once: bool = False) -> Report:
        """Make a pass now, whenever the folder changes and whenever something is due, until `stop` is set. Each report is
        given to `shown`; the last one is returned. Raises OutputError.
        """
        job = self._job
        output = Output(job.output)
        with (
            output.opened(job.folder),
            Children(job.folder, verbose=self._verbose) as children,
            closing(GrpcCalls(children, observer=job.observer)) as calls,
        ):
            syncer = Syncer(output, calls, job.settings, abort=calls.close)
            trigger, why = job.trigger, _Why.CHANGED
            while True:
                loaded, seen = load_at_rest(job.folder)
                self._provide(loaded, output, children)
                report = syncer.run(loaded, trigger, job.progress, patient=why is _Why.DUE)
                # Whoever edits or removes a Secret wants to see it made again.
                written = signature(output.secrets)
                shown(report)
                watches = (Watch(job.folder, seen), Watch(output.secrets, written))
                why = _Why.ENDED if once else self._wait(watches, syncer, children, stop)
                if why is _Why.ENDED:
                    return report
                trigger = Trigger.SCHEDULE

    def _provide(self, loaded: Loaded, output: Output, children: Children) -> None:
        """Have a provider running for every kind in the folder, and for everything that is still to be cleaned up."""
        stores = [store for store in loaded.stores.values() if isinstance(store, Store)]
        stores += [state.store for state in output.states()]
        started = children.start(needed(stores, installed()))
        if started:
            self._job.say(f"starting {', '.join(sorted(started))}")
        children.wait()

    def _wait(
        self, watches: Sequence[Watch], syncer: Syncer, children: Children, stop: threading.Event
    ) -> _Why:
        """Return when a pass is needed, or when `stop` is set."""
        again: float | None = None
        while not stop.wait(_LOOK):
            if any(watch.look() for watch in watches):
                return _Why.CHANGED
            if again is None and (lived := children.ended()) is not None:
                pause = self._pause_after(lived)
                self._job.say(f"a provider ended: starting it again{f' in {pause:.0f} s' if pause else ''}")
                again = time.monotonic() + pause
            if again is not None and time.monotonic() >= again:
                return _Why.CHANGED
            due = syncer.next_at()
            if due is not None and due <= datetime.now(UTC):
                return _Why.DUE
        return _Why.ENDED

    def _pause_after(self, lived: float) -> float:
        """Seconds before a provider is started again that ended after `lived` seconds: one that ends again and again must not
        keep the machine busy.
        """
        self._pause = 0.0 if lived >= _STABLE else min(max(2 * self._pause, 1.0), _STABLE)
        return self._pause
