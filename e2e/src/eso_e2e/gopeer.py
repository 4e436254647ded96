"""Runs the grpc-go client of `e2e/servers/go-peer`: a caller that shares no code with what it calls."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eso_e2e.process import ServerError


@dataclass(frozen=True)
class GoPeer:
    """The program; each `run` is one client connection that carries out steps and reports on them."""

    binary: Path

    def run(
        self,
        address: str,
        steps: Sequence[dict[str, Any]],
        *,
        ca: Path,
        cert: Path,
        key: Path,
        server_name: str | None = None,
        ping_seconds: float = 10,
        deadline_seconds: float = 30,
        timeout: float = 180,
    ) -> dict[str, Any]:
        """Carry out `steps` in order over mutual TLS and return the report.

        A step is {"call": "/package.Service/Method", "request": {...}} (protobuf's JSON) or {"idle": "60s"}. The report:
        "steps" (each with "code", "message", "response" and the "states" that the connection went through during it),
        "dials" (TCP connections opened), "state" (of the connection at the end). Raises ServerError on a bad script.
        """
        command = [
            str(self.binary),
            "-address",
            address,
            "-ca",
            str(ca),
            "-cert",
            str(cert),
            "-key",
            str(key),
        ]
        command += ["-ping", f"{ping_seconds}s", "-deadline", f"{deadline_seconds}s"]
        if server_name is not None:
            command += ["-server-name", server_name]
        done = subprocess.run(
            command,
            input=json.dumps({"steps": list(steps)}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(done.stderr.strip())
        report: dict[str, Any] = json.loads(done.stdout)
        return report
