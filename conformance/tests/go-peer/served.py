"""Starts and stops the Go peer as Kubernetes would: by its command line, and by SIGTERM."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from eso_e2e.process import free_port

HERE = Path(__file__).parent


class GoProvider:
    """The Go peer of one dialect, at a port that stays. It is a `Process` of the suite."""

    def __init__(self, binary: Path, dialect: str, folder: Path) -> None:
        """`folder` has ca.crt, tls.crt and tls.key."""
        self.endpoint = f"127.0.0.1:{free_port()}"
        self._command = [
            str(binary), "serve", "-listen", self.endpoint, "-dialect", dialect, "-objects", str(HERE / "objects.json"),
            "-ca", str(folder / "ca.crt"), "-cert", str(folder / "tls.crt"), "-key", str(folder / "tls.key"),
        ]  # fmt: skip
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        host, _, port = self.endpoint.partition(":")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the Go peer does not listen: {self._log.read_text()[-500:]}")

    def stop(self) -> int:
        """SIGTERM, and what it ends with."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def kill(self) -> None:
        """Whatever happened, nothing is left running."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
