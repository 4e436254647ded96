"""A Kubernetes API server with its etcd: RBAC, ServiceAccount tokens and CRDs as in a cluster, but no nodes.

Neither a kubelet nor a controller manager is started.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from eso_e2e import servers
from eso_e2e.http import JsonClient
from eso_e2e.kube_api import KubeApi
from eso_e2e.pki import CertificateAuthority
from eso_e2e.process import ServerProcess, free_port, wait_until

ISSUER = "https://kubernetes.default.svc"


class Etcd:
    """One etcd member that keeps its data in a folder and promises nothing about a power cut."""

    def __init__(self, folder: Path, *, progress: servers.Progress = servers.say) -> None:
        """Start it and wait until it answers."""
        port, peer_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        peer_url = f"http://127.0.0.1:{peer_port}"
        command: list[str | Path] = [
            servers.find("etcd", progress=progress),
            *("--data-dir", folder / "etcd-data", "--unsafe-no-fsync", "--log-level=warn"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
            *("--initial-cluster", f"default={peer_url}"),
        ]
        self.api = JsonClient(self.url)
        self.process = ServerProcess(command, log=folder / "etcd.log", remove=folder)
        try:
            self.process.wait_ready(lambda: self.api.answers("/health"))
        except BaseException:
            self.stop()
            raise

    def compact(self) -> None:
        """Forget all history before now: a watch that asks for an older resource version is told 410."""
        revision = self.api("POST", "/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        self.api("POST", "/v3/kv/compaction", {"revision": revision, "physical": True})

    def stop(self) -> None:
        """End the process and close the client."""
        self.api.close()
        self.process.stop()


class KubeApiserver(KubeApi):
    """An API server of our own, which can be stopped and started again as a test needs it."""

    def __init__(self, *, progress: servers.Progress = servers.say) -> None:
        """Start etcd and the API server, about 4 s once they are built. Raises NotToBeHadError, ServerError."""
        self._binary = servers.find("kube-apiserver", progress=progress)
        folder = Path(tempfile.mkdtemp(prefix="eso-e2e-kube-"))
        self._process: ServerProcess | None = None
        self.etcd: Etcd | None = None
        authority = CertificateAuthority(folder / "pki", "eso-e2e kubernetes CA")
        self._serving = authority.issue(
            "kube-apiserver", ("localhost", "127.0.0.1", "kubernetes.default.svc")
        )
        self._signing = authority.issue("service-accounts")
        self.port = free_port()
        token = secrets.token_urlsafe(24)
        url = f"https://127.0.0.1:{self.port}"
        super().__init__(folder, url=url, ca_file=authority.ca_file, admin_token=token)
        self._token_file = folder / "tokens.csv"
        self._token_file.touch(mode=0o600)
        self._token_file.write_text(f'{token},admin,admin,"system:masters"\n')
        try:
            self.etcd = Etcd(folder, progress=progress)
            self.start_apiserver()
        except BaseException:
            self.close()
            raise

    def start_apiserver(self) -> None:
        """Start the API server on its port with the same etcd, and wait until it is ready."""
        assert self.etcd is not None
        self.stop_apiserver()
        keys = self._signing
        command: list[str | Path] = [
            self._binary,
            *(f"--etcd-servers={self.etcd.url}", "--bind-address=127.0.0.1", f"--secure-port={self.port}"),
            *(f"--tls-cert-file={self._serving.cert}", f"--tls-private-key-file={self._serving.key}"),
            *(f"--token-auth-file={self._token_file}", "--authorization-mode=RBAC"),
            *(f"--service-account-issuer={ISSUER}", f"--service-account-signing-key-file={keys.key}"),
            *(f"--service-account-key-file={keys.cert}", "--service-cluster-ip-range=10.0.0.0/24"),
            # That admission plugin waits for a token controller, which does not run here.
            *("--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"),
            "--shutdown-delay-duration=0s",
        ]
        self._process = ServerProcess(command, log=self.folder / "kube-apiserver.log", remove=self.folder)
        self._process.wait_ready(lambda: self.api.answers("/readyz"))
        wait_until(
            lambda: self.api.answers("/api/v1/namespaces/default"), seconds=90, what="namespace default"
        )

    def stop_apiserver(self) -> None:
        """End the API server and keep its data: connections are refused until `start_apiserver`."""
        if self._process is not None:
            self._process.stop(seconds=5)
            self._process = None

    @contextmanager
    def outage(self) -> Iterator[None]:
        """End the API server for the time of the block; afterwards it is ready again, whatever happened."""
        self.stop_apiserver()
        try:
            yield
        finally:
            self.start_apiserver()

    def expire_watches(self) -> None:
        """Make every resource version seen so far too old: history is compacted, the API server's cache is new."""
        assert self.etcd is not None
        self.etcd.compact()
        self.start_apiserver()

    def log_tail(self) -> str:
        """The last lines of the API server's log."""
        log = self.folder / "kube-apiserver.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def close(self) -> None:
        """End both servers and delete their folder."""
        self.stop_apiserver()
        super().close()
        if self.etcd is not None:
            self.etcd.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
