"""Providers of this repository as what they are: processes with a command line, certificates in a folder, and signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from broken.target import Certificates
from provider_conformance.target import Target
from provider_conformance.targetfile import load_target

TARGETS = Path(__file__).parents[1] / "targets"


class ProviderProcess:
    """One provider, started by its own command. Started again, it listens where it did before."""

    def __init__(self, command: str, manifests: Path, folder: Path, certificates: Certificates) -> None:
        """`command` is the name of the distribution's script."""
        self._command = [
            str(Path(sys.executable).with_name(command)),
            "serve",
            "--host",
            "127.0.0.1",
            "--http-host",
            "127.0.0.1",
        ]
        self._manifests = manifests
        self.folder = folder
        self._certificates = certificates
        self._ports = (0, 0)
        self._process: subprocess.Popen[bytes] | None = None
        certificates.write(folder / "server")

    def start(self) -> None:
        """Start, and wait until it says where it listens."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        port, http_port = self._ports
        with (self.folder / "provider.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(port), "--http-port", str(http_port), "--manifests", str(self._manifests),
                 "--tls-dir", str(self.folder / "server"), "--ready-file", str(ready)],
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the provider did not start: {(self.folder / 'provider.log').read_text()[-2000:]}"
                )
            time.sleep(0.05)
        said = json.loads(ready.read_text())
        self._ports = (int(said["port"]), int(said["http_port"]))

    def stop(self) -> int:
        """SIGTERM, and wait; the exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(60)
        self._process = None
        return status

    def target(self, file: Path) -> Target:
        """What the file says, at this process."""
        client = self.folder / "client"
        client.mkdir(exist_ok=True)
        ca, leaf = self._certificates.ca, self._certificates.client
        for name, content in (("ca.crt", ca.pem), ("client.crt", leaf.cert), ("client.key", leaf.key)):
            (client / name).write_bytes(content)
        target = load_target(file, endpoint=f"127.0.0.1:{self._ports[0]}", tls_dir=client)
        assert target.tls is not None
        tls = replace(target.tls, ca_key=ca.key_pem, rewrite_dir=self.folder / "server")
        metrics = f"http://127.0.0.1:{self._ports[1]}/metrics"
        return replace(target, tls=tls, metrics_url=metrics, process=self)
