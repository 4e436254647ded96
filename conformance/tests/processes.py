"""Providers with a target file below `targets/` as what they are: processes with a command line, certificates and signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from eso_e2e.served import Served
from provider_conformance.target import Target
from provider_conformance.targetfile import load_target

TARGETS = Path(__file__).parents[1] / "targets"


@contextmanager
def running(name: str, folder: Path) -> Iterator[Target]:
    """The provider, running below `folder`, as its target file says."""
    process = Served(f"provider_{name}", folder, TARGETS / name / "manifests")
    process.start()
    try:
        file = TARGETS / name / "target.yaml"
        target = load_target(file, endpoint=process.endpoint, tls_dir=process.certs.path)
        metrics = f"http://127.0.0.1:{process.http_port}/metrics"
        yield replace(target, tls=process.tls, metrics_url=metrics, process=process)
    finally:
        process.stop()
