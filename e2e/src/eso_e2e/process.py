"""One server process: started in its own group, watched until it answers, ended for certain.

It refuses to sleep for luck: readiness is a question asked until a deadline, and a server that dies first is
reported with the end of its own log.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from eso_e2e import guard

_TAIL_BYTES = 4000
_POLL_SECONDS = 0.05


class ServerError(Exception):
    """A server did not start, did not answer in time, or refused what a fixture asked of it."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on.

    It lies below the range from which the kernel takes the ports of outgoing connections. A port of that range can
    be taken by a client between two starts of a server, even by a client that tries to reach that very server.
    """
    for _ in range(200):
        port = random.randint(15000, 31000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise ServerError("no free TCP port between 15000 and 31000 on 127.0.0.1")


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask `condition` until it holds. Raises ServerError naming `what` when `seconds` are over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {seconds:g} s")
        time.sleep(_POLL_SECONDS)


class ServerProcess:
    """A command that runs until `stop()`, with its output in `log`.

    The whole process group ends with it, and it ends with this process, whichever way that ends.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        remove: Path | None = None,
    ) -> None:
        """Start `command` with the environment `env` added to a minimal one.

        `remove` names a folder that is deleted should this process die before it can stop the server.
        """
        self.name = Path(command[0]).name
        self.log = log
        options = ["--remove", str(remove)] if remove is not None else []
        read_end, self._lifeline = os.pipe()
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", guard.__file__, *options, "--", *map(str, command)],
                    stdin=read_end,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**_minimal_environment(), **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(read_end)

    @property
    def pid(self) -> int:
        """The id of the process group's leader."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._process.poll() is None

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        return self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float = 120.0) -> None:
        """Ask `ready` until it holds. Raises ServerError with the end of the log if the server ends or time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ServerError(
                    f"{self.name} ended with code {self._process.returncode}:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} was not ready within {seconds:g} s:\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, *, seconds: float = 10.0) -> None:
        """End the server: politely, then by force. Does nothing the second time."""
        if self._lifeline < 0:
            return
        self._process.terminate()  # the guard passes it on once; a second SIGTERM would cut some servers' shutdown short
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._lifeline)
        self._lifeline = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _minimal_environment() -> dict[str, str]:
    # A developer's KUBECONFIG, VAULT_TOKEN or AWS_PROFILE must never reach a test server.
    return {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LANG") if key in os.environ}
