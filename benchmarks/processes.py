"""Processes under measurement: starting them, their memory, and a load from the compiled client ghz."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    pid: int
    port: int
    http_port: int
    started_in: float
    """Seconds from exec to ready."""

    def rss(self) -> float:
        """Resident memory in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise LookupError("no VmRSS")

    def metric(self, name: str) -> float:
        """The sum of all samples of a metric."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))
        )


@contextmanager
def running(
    command: Sequence[str], ready: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start `command`, with `environ` on top of ours, wait for its ready file, stop it at the end."""
    ready.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, **(environ or {})}
    )
    try:
        while not ready.exists() or not ready.read_text():
            if process.poll() is not None:
                raise RuntimeError(f"{command[:3]} ended with {process.returncode} before it was ready")
            time.sleep(0.002)
        ports = json.loads(ready.read_text())
        yield Running(process.pid, ports["port"], ports.get("http_port", 0), time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(timeout=60)


def provider(module: str, manifests: Path, tls: Path, ready: Path, *extra: str) -> list[str]:
    """The command line of a provider on loopback."""
    return [
        sys.executable, "-m", module, "serve", "--manifests", str(manifests), "--tls-dir", str(tls),
        "--host", "127.0.0.1", "--port", "0", "--http-host", "127.0.0.1", "--http-port", "0",
        "--ready-file", str(ready), *extra,
    ]  # fmt: skip


def load(
    ghz: Path, port: int, tls: Path, request: dict[str, Any], *, clients: int, calls: int
) -> dict[str, float]:
    """Calls per second and the median in milliseconds of `calls` GetSecret from `clients` at once, one connection each ten."""
    command = [
        str(ghz), "--proto", "provider/v1/secretstore.proto", "--import-paths", ".",
        "--call", "provider.v1.SecretStoreProvider.GetSecret", "-d", json.dumps(request),
        "--cacert", str(tls / "ca.crt"), "--cert", str(tls / "client.crt"), "--key", str(tls / "client.key"),
        "--cname", "localhost", "-c", str(clients), "--connections", str(max(1, clients // 10)), "-n", str(calls),
        "--format", "json", f"127.0.0.1:{port}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT / "proto", capture_output=True, check=True)
    report = json.loads(done.stdout)
    if report["statusCodeDistribution"] != {"OK": calls}:
        raise RuntimeError(f"not every call was answered: {report['statusCodeDistribution']}")
    quantiles = {entry["percentage"]: entry["latency"] / 1e6 for entry in report["latencyDistribution"]}
    return {"rps": report["rps"], "p50_ms": quantiles[50], "p99_ms": quantiles[99]}
