"""Sets up the two sides of interoperability tests: providers and cores of ours as processes of their own, and the Go peer, with
the certificates that the Go cert-controller makes.

It knows them by command line, environment and files only, as a cluster does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eso_e2e.gopeer import GoPeer
from eso_e2e.process import ServerError, ServerProcess, free_port

HOST = "provider-contrib.external-secrets.svc"
"""The Service's name: the Go core takes the namespace of the TLS Secret from it."""
ADDRESS = f"{HOST}:8080"
SERVICE, NAMESPACE = "provider-contrib", "external-secrets"
STORE_SERVICE = "/provider.v1.SecretStoreProvider"
_CLIENT = (("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key"))


@dataclass(frozen=True)
class GoCerts:
    """What the Go cert-controller puts into its Secret, as files. `path` is a link that is turned when they are replaced, as
    the mount of a Secret is.
    """

    peer: GoPeer
    path: Path

    @property
    def client(self) -> dict[str, Any]:
        """Keyword arguments of a client of the Go peer."""
        return {name: self.path / file for name, file in _CLIENT}

    @property
    def server(self) -> dict[str, Any]:
        """Keyword arguments of a server of the Go peer."""
        return {"ca": self.path / "ca.crt", "cert": self.path / "tls.crt", "key": self.path / "tls.key"}

    def replace(self, version: str, files: Mapping[str, bytes]) -> None:
        """Put `files` in place of what was there, all at once."""
        folder = self.path.parent / version
        folder.mkdir(mode=0o700)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        turned = folder.with_suffix(".link")
        turned.symlink_to(folder)
        turned.replace(self.path)

    def read(self) -> dict[str, bytes]:
        """The files as they are."""
        return {file.name: file.read_bytes() for file in self.path.iterdir()}

    def issued(self, folder: Path, *, same_ca: bool) -> dict[str, bytes]:
        """A new set, of the same CA or of a new one, that is not in place yet."""
        folder.mkdir(mode=0o700)
        if same_ca:
            for name in ("ca.crt", "ca.key"):
                (folder / name).write_bytes((self.path / name).read_bytes())
        self.peer.certs(folder, services=(SERVICE,), namespace=NAMESPACE)
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def go_certs(peer: GoPeer, folder: Path) -> GoCerts:
    """The first set, in a new folder below `folder`."""
    made = GoCerts(peer, folder / "certs")
    made.replace("first", made.issued(folder / "issued", same_ca=False))
    return made


@dataclass(frozen=True)
class RunningProvider:
    """A provider process of ours."""

    address: str
    http: str

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of its HTTP endpoint."""
        with urllib.request.urlopen(f"{self.http}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()

    def sample(self, metric: str) -> float:
        """The value of one metric, labels included in `metric`; 0 when there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{metric} "):
                return float(line.rpartition(" ")[2])
        return 0.0


@contextmanager
def our_provider(
    manifests: Path | None,
    tls_dir: Path,
    log: Path,
    *,
    kubeconfig: Path | None = None,
    command: Sequence[str] = ("-m", "provider_contrib"),
) -> Iterator[RunningProvider]:
    """A provider of ours, started as a Go provider is: flags and no command, the certificates by environment. It reads the folder
    `manifests`, or the cluster of `kubeconfig`.
    """
    port, http_port = free_port(), free_port()
    environment = {
        "TLS_CERT_DIR": str(tls_dir),
        "TLS_CA_CERT_FILE": "ca.crt",
        "TLS_CERT_FILE": "tls.crt",
        "TLS_KEY_FILE": "tls.key",
        **({"ESO_PROVIDER_MANIFESTS": str(manifests)} if manifests else {"KUBECONFIG": str(kubeconfig)}),
        "ESO_PROVIDER_HOST": "127.0.0.1",
        "ESO_PROVIDER_HTTP_HOST": "127.0.0.1",
        "ESO_PROVIDER_HTTP_PORT": str(http_port),
    }
    flags = (f"--port={port}", "--enable-tls=true", "--verbose=false")
    provider = RunningProvider(f"127.0.0.1:{port}", f"http://127.0.0.1:{http_port}")
    with ServerProcess([sys.executable, *command, *flags], log=log, env=environment) as process:
        process.wait_ready(lambda: _is_ready(provider))
        yield provider


def _is_ready(provider: RunningProvider) -> bool:
    try:
        return provider.get("/readyz")[0] == 200
    except OSError:
        return False


def our_core(
    manifests: Path, output: Path, tls_dir: Path, target: str, *options: str
) -> tuple[int, dict[str, Any]]:
    """One `eso-core sync` by the provider at `target`. Gives the exit status and the report."""
    command = [sys.executable, "-m", "eso_core", "sync", str(manifests), "--output", str(output), "--json"]
    command += ["--tls-dir", str(tls_dir), "--endpoint", f"{ADDRESS}={target}", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ)
    )
    if done.returncode not in {0, 1}:
        raise ServerError(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report
