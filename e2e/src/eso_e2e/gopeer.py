"""Runs the grpc-go peer of `e2e/servers/go-peer`: a core, or a provider, that shares no code with what it talks to."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eso_e2e.process import ServerError, ServerProcess, free_port


@dataclass(frozen=True)
class Load:
    """Calls that go on in the background."""

    process: subprocess.Popen[str]

    def end(self, *, timeout: float = 120) -> dict[str, Any]:
        """Let the calls that are under way end, and give the report: "calls" (by code), "failures" (texts), "materials" and
        "dials" (counts), "servers" (fingerprints of the certificates that were seen, in their order).
        """
        out, err = self.process.communicate(timeout=timeout)
        if self.process.returncode != 0:
            raise ServerError(err.strip())
        report: dict[str, Any] = json.loads(out)
        return report


@dataclass(frozen=True)
class GoPeer:
    """The program. `run` is one client connection that carries out steps; `serve` is a provider."""

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
        "dials" (TCP connections opened), "state" (of the connection at the end). `ping_seconds` 0 sends no pings;
        grpc-go takes less than 10 for 10. Raises ServerError on a bad script.
        """
        command = [
            str(self.binary),
            "call",
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
        script = json.dumps({"steps": list(steps)})
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise ServerError(done.stderr.strip())
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    @contextmanager
    def serve(
        self,
        *,
        ca: Path,
        cert: Path,
        key: Path,
        secrets: Mapping[str, str] | None = None,
        objects: Path | None = None,
        dialect: Literal["s", "p"] = "s",
        port: int | None = None,
        max_age: str = "30m",
        requests: Path | None = None,
    ) -> Iterator[str]:
        """Serve the contract's baseline as the Go providers do, from memory, and give the address.

        Any reference leads to `secrets`, unless the JSON file `objects` says which config objects there are. An absent secret
        is NOT_FOUND, or UNKNOWN in the older dialect `p`; every other error is UNKNOWN. Generators count up from 1. Connections
        get no older than `max_age` (Go's notation), and the file `requests` gets every request as a line of JSON.
        """
        folder = Path(tempfile.mkdtemp(prefix="eso-e2e-go-peer-"))
        content = folder / "secrets.json"
        content.touch(mode=0o600)
        content.write_text(json.dumps(dict(secrets or {})))
        address = f"127.0.0.1:{port or free_port()}"
        command: list[str | Path] = [self.binary, "serve", "-listen", address, "-secrets", content]
        command += ["-ca", ca, "-cert", cert, "-key", key]
        command += ["-dialect", dialect, "-max-age", max_age]
        if requests is not None:
            command += ["-requests", requests]
        if objects is not None:
            command += ["-objects", objects]
        try:
            with ServerProcess(command, log=folder / "log", remove=folder) as server:
                server.wait_ready(lambda: _listens(address))
                yield address
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def load(
        self,
        address: str,
        call: str,
        request: Mapping[str, Any],
        *,
        tls_dir: Path,
        server_name: str,
        workers: int = 4,
        calls: int = 0,
        shared: bool = True,
    ) -> Iterator[Load]:
        """Repeat one call from `workers` at a time, as a Go core does: its material (ca.crt, client.crt, client.key) is read
        from `tls_dir` for every call, new bytes make a new connection, nothing is retried. `shared` False connects anew for
        every call. With `calls` it ends by itself, else with the block or `Load.end()`.
        """
        command: list[str | Path] = [self.binary, "load", "-address", address, "-tls-dir", tls_dir]
        command += ["-server-name", server_name, "-workers", str(workers), "-calls", str(calls)]
        command.append(f"-shared={'true' if shared else 'false'}")
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"call": call, "request": dict(request)}))
        process.stdin.flush()
        try:
            yield Load(process)
        finally:
            process.kill()
            process.communicate()

    def certs(self, folder: Path, *, services: Sequence[str], namespace: str) -> None:
        """Make ca.crt, ca.key, tls.crt, tls.key, client.crt and client.key in `folder`, as the Go cert-controller does."""
        command: list[str | Path] = [self.binary, "certs", "-out", folder]
        command += ["-services", ",".join(services), "-namespace", namespace]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise ServerError(done.stderr.strip())


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
