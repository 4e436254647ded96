"""Passes over a folder by the providers that run already (`sync`) or by children (`dev`), once or again and again."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping
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
from eso_core.runtime.folder import Loaded, Signature, load, signature
from eso_core.runtime.kinds import installed, needed
from eso_core.runtime.output import Output
from eso_core.runtime.report import Report
from eso_core.runtime.syncing import Progress, Syncer

_LOOK = 0.25
"""Seconds between two looks at the folder."""


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
    with output.opened(), closing(GrpcCalls(endpoints, observer=job.observer)) as calls:
        endpoints.loaded = load(job.folder)
        return Syncer(output, calls, job.settings, abort=calls.close).run(
            endpoints.loaded, job.trigger, job.progress
        )


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
            output.opened(),
            Children(job.folder, verbose=self._verbose) as children,
            closing(GrpcCalls(children, observer=job.observer)) as calls,
        ):
            syncer = Syncer(output, calls, job.settings, abort=calls.close)
            trigger, why = job.trigger, _Why.CHANGED
            while True:
                seen = signature(job.folder)
                loaded = load(job.folder)
                self._provide(loaded, output, children)
                report = syncer.run(loaded, trigger, job.progress, patient=why is _Why.DUE)
                shown(report)
                why = _Why.ENDED if once else self._wait(seen, syncer, children, stop)
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

    def _wait(self, seen: Signature, syncer: Syncer, children: Children, stop: threading.Event) -> _Why:
        """Return when a pass is needed, or when `stop` is set."""
        while not stop.wait(_LOOK):
            if signature(self._job.folder) != seen:
                return _Why.CHANGED
            if not children.running():
                self._job.say("a provider ended: starting it again")
                return _Why.CHANGED
            due = syncer.next_at()
            if due is not None and due <= datetime.now(UTC):
                return _Why.DUE
        return _Why.ENDED
