"""A provider as its users run it: a process of its own, over a folder of manifests, with mutual TLS.

What a provider's own conformance test serves. Imports the SDK's certificates and the suite's target, so it is loaded only there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from provider_common.testing import issue_certs
from provider_conformance.target import Tls

from eso_e2e.process import wait_until


class Served:
    """`python -m MODULE serve`, with the start and stop that the conformance suite asks for."""

    def __init__(
        self, module: str, folder: Path, manifests: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """`folder` takes certificates, log and ready file; `environment` comes on top of this process's own."""
        self._module = module
        self.certs = issue_certs(folder / "certs", hosts=("localhost", "127.0.0.1"))
        self.port = self.http_port = 0
        self._folder = folder
        self._manifests = manifests
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Host and port; the same after a restart."""
        return f"localhost:{self.port}"

    @property
    def tls(self) -> Tls:
        """The caller's material, and the folder that the suite may rewrite."""
        return Tls(
            ca=self.certs.ca_file.read_bytes(),
            cert=self.certs.client_cert.read_bytes(),
            key=self.certs.client_key.read_bytes(),
            ca_key=self.certs.ca_key.read_bytes(),
            rewrite_dir=self.certs.path,
        )

    def start(self) -> None:
        """Serve, and wait until it does."""
        ready = self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        command: list[str | Path] = [
            sys.executable,
            "-m",
            self._module,
            "serve",
            "--manifests",
            self._manifests,
        ]
        command += ["--tls-dir", self.certs.path, "--ready-file", ready, "--exit-with-parent"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--http-host", "127.0.0.1", "--http-port", str(self.http_port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        wait_until(ready.exists, seconds=60, what="the provider to serve")
        ports = json.loads(ready.read_text())
        self.port, self.http_port = ports["port"], ports["http_port"]

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)
