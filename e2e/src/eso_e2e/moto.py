"""moto's AWS server in a process of its own, so that it is reached the way AWS is: over the network only."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from eso_e2e.http import JsonClient
from eso_e2e.process import ServerProcess, free_port


class MotoApi:
    """A moto server that is there: `url` is the endpoint of every AWS service."""

    def __init__(self, url: str) -> None:
        """Prepare the client; nothing is sent yet."""
        self.url = url
        self.api = JsonClient(url)

    def reset(self) -> None:
        """Forget every resource of every account."""
        self.api("POST", "/moto-api/reset")

    def close(self) -> None:
        """Close the kept connections; the server stays."""
        self.api.close()


class MotoServer(MotoApi):
    """A moto server of our own."""

    def __init__(self) -> None:
        """Start it and wait until it answers, about 3 s. Raises ServerError."""
        self._folder = Path(tempfile.mkdtemp(prefix="eso-e2e-moto-"))
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}")
        self._process = ServerProcess(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            log=self._folder / "moto.log",
            # moto calls boto3 itself, which would otherwise look for a developer's credentials.
            env={"HOME": str(self._folder), "AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto"},
            remove=self._folder,
        )
        try:
            self._process.wait_ready(lambda: self.api.answers("/moto-api/data.json"))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and delete its folder."""
        super().close()
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
