"""`make bench`: everything, in one run. Prints a table of what was reached and what is aimed at; keeps results.json."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eso_e2e.servers import find
from provider_common.certificates import issue_certs

from benchmarks import backends
from benchmarks.processes import Running, load, provider, running

RESULTS = Path(__file__).parent / "results.json"
ROUNDS = 5
OBJECT = """
apiVersion: provider.secretstore.external-secrets.io/v2alpha1
kind: Memory
metadata: {name: main, namespace: team-a}
spec: {}
"""


@dataclass(frozen=True)
class Result:
    """One number, and what it should be."""

    name: str
    value: float
    unit: str
    aim: str
    reached: bool


def request(key: str = "k") -> dict[str, Any]:
    """What a Go core sends."""
    return {
        "remote_ref": {"key": key, "decoding_strategy": "None", "metadata_policy": "None"},
        "provider_ref": {
            "api_version": "provider.secretstore.external-secrets.io/v2alpha1",
            "kind": "Memory",
            "name": "main",
            "namespace": "team-a",
            "store_ref_kind": "SecretStore",
        },
        "source_namespace": "team-a",
    }


class Bench:
    """The folder with certificates and manifests, and the load client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tls = issue_certs(folder / "tls", hosts=("localhost", "127.0.0.1")).path
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        (self.manifests / "memory.yaml").write_text(OBJECT)
        self.ghz = find("ghz")

    def sdk(self, *extra: str) -> Any:
        """Our server."""
        ready = self.folder / "sdk.json"
        return running(provider("benchmarks.sdk_server", self.manifests, self.tls, ready, *extra), ready)

    def bare(self) -> Any:
        """The bare one."""
        ready = self.folder / "bare.json"
        return running([sys.executable, "-m", "benchmarks.bare_server", str(self.tls), str(ready)], ready)

    def call(self, server: Running, key: str = "k", *, clients: int, calls: int) -> dict[str, float]:
        """A load on one server."""
        return load(self.ghz, server.port, self.tls, request(key), clients=clients, calls=calls)


def throughput(bench: Bench) -> list[Result]:
    """Ours against the bare server, in alternating rounds; the median of the rounds' ratios."""
    rps, p50, ours_p99 = [], [], []
    with bench.sdk() as ours, bench.bare() as bare:
        for server in (ours, bare):
            bench.call(server, clients=32, calls=2_000)
        for number in range(ROUNDS):
            progress(f"throughput, round {number + 1} of {ROUNDS}")
            many = [bench.call(server, clients=32, calls=10_000) for server in (ours, bare)]
            one = [bench.call(server, clients=1, calls=2_000) for server in (ours, bare)]
            rps.append(many[0]["rps"] / many[1]["rps"])
            p50.append(one[0]["p50_ms"] / one[1]["p50_ms"])
            ours_p99.append(one[0]["p99_ms"])
    ratio, latency = statistics.median(rps), statistics.median(p50)
    return [
        Result(
            "cached GetSecret, 32 clients: calls/s, ours : bare grpcio",
            ratio,
            "ratio",
            ">= 0.8",
            ratio >= 0.8,
        ),
        Result(
            "cached GetSecret, 1 client: p50, ours : bare grpcio", latency, "ratio", "<= 1.3", latency <= 1.3
        ),
    ]


def memory(bench: Bench) -> list[Result]:
    """Resident memory, and how it grows under load."""
    with bench.sdk() as ours:
        start = ours.rss()
        progress("memory, 10 000 calls")
        bench.call(ours, clients=32, calls=10_000)
        warm = ours.rss()
        progress("memory, 100 000 calls")
        bench.call(ours, clients=32, calls=90_000)
        growth = ours.rss() - warm
    return [
        Result("RSS after start", start, "MiB", "", True),
        Result("RSS after 10 000 calls", warm, "MiB", "", True),
        Result("RSS growth from 10 000 to 100 000 calls", growth, "MiB", "<= 5", growth <= 5),
    ]


def start_up(bench: Bench) -> list[Result]:
    """From exec to SERVING with a folder of manifests."""
    times = []
    for number in range(ROUNDS):
        progress(f"start-up, round {number + 1} of {ROUNDS}")
        with bench.sdk() as ours:
            times.append(ours.started_in)
    median = statistics.median(times)
    return [Result("from exec to SERVING, manifests in a folder", median, "s", "<= 1.5", median <= 1.5)]


def backend_calls(bench: Bench) -> list[Result]:
    """What 1 000 reads of one object cost the backend."""
    results = []
    for window, aim in (("1s", 100.0), ("0s", 1000.0)):
        progress(f"backend calls, read window {window}")
        with bench.sdk("--read-window", window) as ours:
            bench.call(ours, clients=1, calls=1_000)
            calls = ours.metric("externalsecret_provider_api_calls_count")
        results.append(
            Result(
                f"backend calls per 1 000 GetSecret, read window {window}",
                calls,
                "calls",
                f"<= {aim:g}",
                calls <= aim,
            )
        )
    return results


# What the Go providers cost at the same: one client, and so one login or one AssumeRole per hop, for every call.
AIMS = {
    "vault": {"Login": 1, "LookupSelf": 0},
    "aws": {"AssumeRole": 2},
    "gcp": {},
}


def real_backends(bench: Bench) -> list[Result]:
    """The providers in front of their backends."""
    results = []
    for name, start in (("vault", backends.vault), ("aws", backends.aws), ("gcp", backends.gcp)):
        progress(f"{name}: seeding")
        with start() as backend:
            for what, value, unit in backends.measure(backend, bench.folder, bench.tls):
                progress(f"{name}: {what}")
                aim, reached = _aim(name, what, value)
                results.append(Result(f"{name}: {what}", value, unit, aim, reached))
    return results


def _aim(name: str, what: str, value: float) -> tuple[str, bool]:
    limit: float | None = None
    if what.startswith("1 000 GetSecret"):
        limit = AIMS[name].get(what.rsplit(": ", 1)[1], 1000)
    elif what.startswith("10 secrets"):
        limit = 10
    elif what.startswith("from exec"):
        limit = 2.5
    return ("", True) if limit is None else (f"<= {limit:g}", value <= limit)


def progress(text: str) -> None:
    """One line that replaces itself on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text} …")
        sys.stderr.flush()


PARTS = (throughput, memory, start_up, backend_calls, real_backends)


def main() -> int:
    """Run everything; 0 when every aim is reached."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        results = [result for part in PARTS for result in part(bench)]
    progress("")
    width = max(len(result.name) for result in results)
    for result in results:
        mark = "" if not result.aim else "ok" if result.reached else "MISSED"
        print(f"{result.name:<{width}}  {result.value:>10.2f} {result.unit:<6} {result.aim:<8} {mark}")
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.system()}
    content = {"machine": machine, "results": [asdict(result) for result in results]}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")
    return 0 if all(result.reached for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
