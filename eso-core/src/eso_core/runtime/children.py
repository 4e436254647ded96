"""Providers as child processes on loopback, with mutual TLS by a CA that lives as long as this process.

A manifest's address stays as it would be in a cluster: its provider's port is looked up here, and the certificate carries
the manifest's host name, which is verified. Children end with this process, whatever ends it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from provider_common.certificates import KeyPair, issue_ca, issue_leaf

from eso_core.api.stores import Store
from eso_core.client.endpoints import ClientTls, Endpoint, host_of
from eso_core.reconcile.calls import CallError
from eso_core.runtime.kinds import Needed, Provider, kind_of

_log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
"""Seconds for a child to serve."""
STOP_TIMEOUT = 8.0
"""Seconds for a child to drain; then it is killed."""
_LOOK = 0.01
_LAST_LINES = 5


@dataclass(slots=True)
class _Child:
    """One provider's process. `port` is 0 until it serves; `problem` says why it does not."""

    hosts: frozenset[str]
    process: subprocess.Popen[bytes]
    folder: Path
    log: Path | None
    started: float = field(default_factory=time.monotonic)
    port: int = 0
    problem: str = ""


class Children:
    """Starts, watches and stops the providers that a folder needs. A context manager; also tells where they are."""

    def __init__(self, manifests: Path, *, verbose: bool = False) -> None:
        self._manifests = manifests
        self._verbose = verbose
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._ca: KeyPair | None = None
        self._tls: ClientTls | None = None
        self._lock = threading.Lock()
        self._children: dict[Provider, _Child] = {}
        self._needed = Needed({}, {})
        self._count = 0

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="eso-core-")
        self._ca = issue_ca(common_name="eso-core dev")
        leaf = issue_leaf(self._ca, usage="client")
        self._tls = ClientTls(self._ca.certificate, leaf.certificate, bytes(leaf.key))
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            children, self._children = list(self._children.values()), {}
        _stop(children)
        if self._temporary is not None:
            self._temporary.cleanup()

    def start(self, needed: Needed) -> list[str]:
        """Start what `needed` asks for and does not run yet, stop what is no longer asked for. Returns at once, with the names of
        the distributions that were started.
        """
        started = []
        with self._lock:
            self._needed = needed
            hosts = needed.hosts()
            gone = [
                provider
                for provider, child in self._children.items()
                if child.hosts != hosts.get(provider) or child.process.poll() is not None
            ]
            stopped = [self._children.pop(provider) for provider in gone]
            for provider, names in hosts.items():
                if provider not in self._children:
                    self._children[provider] = self._started(provider, names)
                    started.append(provider.distribution)
        _stop(stopped)
        return started

    def _started(self, provider: Provider, hosts: frozenset[str]) -> _Child:
        assert self._temporary is not None
        assert self._ca is not None
        self._count += 1
        folder = Path(self._temporary.name) / f"{provider.module}-{self._count}"
        folder.mkdir(mode=0o700)
        leaf = issue_leaf(self._ca, usage="server", hosts=sorted(hosts | {"localhost", "127.0.0.1"}))
        files = {"ca.crt": self._ca.certificate, "tls.key": leaf.key, "tls.crt": leaf.certificate}
        for name, content in files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)
        command = [
            *(sys.executable, "-P", "-m", provider.module, "serve"),
            *("--manifests", str(self._manifests.resolve())),
            *("--host", "127.0.0.1", "--port", "0", "--http-host", "127.0.0.1", "--http-port", "0"),
            *("--tls-dir", str(folder), "--ready-file", str(folder / "ready.json"), "--exit-with-parent"),
        ]
        log = None if self._verbose else folder / "log"
        output: IO[bytes] | int = subprocess.DEVNULL if log is None else log.open("wb")
        try:
            # Its own session: an interrupt from the keyboard is for this process, which then stops its children in order.
            process = subprocess.Popen(  # noqa: S603 - the module's name comes from installed metadata
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if log is None else output,
                start_new_session=True,
            )
        finally:
            if not isinstance(output, int):
                output.close()
        _log.debug("started %s as process %d", provider.distribution, process.pid)
        return _Child(hosts, process, folder, log)

    def wait(self) -> None:
        """Return when every child serves, or has said why it does not."""
        while True:
            with self._lock:
                waiting = [
                    item for item in self._children.items() if not item[1].port and not item[1].problem
                ]
            for provider, child in waiting:
                _look(provider, child)
            if not waiting:
                return
            time.sleep(_LOOK)

    def ended(self) -> float | None:
        """How many seconds the child lived that has ended by itself; None when there is none."""
        with self._lock:
            return min(
                (
                    time.monotonic() - child.started
                    for child in self._children.values()
                    if not child.problem and child.process.poll() is not None
                ),
                default=None,
            )

    def endpoint(self, store: Store) -> Endpoint:
        """Where the store's provider listens. Raises CallError when it is not installed, or did not start."""
        refuse_token(store)
        assert self._tls is not None
        address = store.spec.provider_config.address
        with self._lock:
            problem = self._needed.problems.get((address, kind_of(store)))
            provider = self._needed.addresses.get(address)
            child = None if provider is None else self._children.get(provider)
        if problem:
            raise CallError(problem, code="INVALID_SPEC")
        if child is None or child.problem or not child.port:
            reason = child.problem if child is not None else f"no provider was started for {address}"
            raise CallError(
                reason or f"the provider at {address} has not started yet", code="UNAVAILABLE", retryable=True
            )
        return Endpoint(f"127.0.0.1:{child.port}", host_of(address), self._tls)


def refuse_token(store: Store) -> None:
    """Raise CallError for a store that wants a ServiceAccount's token to be sent: nothing in a folder can issue one."""
    auth = store.spec.provider_config.auth
    if auth is not None and auth.service_account_ref is not None and auth.service_account_ref.name:
        raise CallError(
            f"{store.where}: spec.providerConfig.auth.serviceAccountRef: a folder has no ServiceAccount tokens: remove it here, "
            "mutual TLS is used anyway",
            code="UNSUPPORTED",
        )


def _look(provider: Provider, child: _Child) -> None:
    try:
        child.port = int(json.loads((child.folder / "ready.json").read_bytes())["port"])
    except FileNotFoundError:
        code = child.process.poll()
        if code is not None:
            child.problem = (
                f"{provider.distribution} ended with status {code} before it served{_last_lines(child)}"
            )
        elif time.monotonic() - child.started > START_TIMEOUT:
            child.problem = (
                f"{provider.distribution} did not serve within {START_TIMEOUT:.0f} s{_last_lines(child)}"
            )


def _last_lines(child: _Child) -> str:
    if child.log is None:
        return ": its log is above"
    lines = child.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    return (
        f": its last words: {' | '.join(lines)}" if lines else " and said nothing: try again with --verbose"
    )


def _stop(children: list[_Child]) -> None:
    """Ask all to stop, then wait for each; who does not stop in time is killed."""
    for child in children:
        child.process.terminate()
    ends = time.monotonic() + STOP_TIMEOUT
    for child in children:
        try:
            child.process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
