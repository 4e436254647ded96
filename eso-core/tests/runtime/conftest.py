"""Folders of manifests, and cores that run over them: with calls from a table, or as a real process with real providers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from eso_core.api.secrets import Secret
from eso_core.reconcile.externalsecret import Trigger
from eso_core.reconcile.routing import Settings
from eso_core.runtime.folder import load
from eso_core.runtime.output import Output
from eso_core.runtime.report import Report, Row
from eso_core.runtime.syncing import Syncer

STORE = """
apiVersion: secretstore.external-secrets.io/v2alpha1
kind: SecretStore
metadata: {name: main, namespace: team-a}
spec:
  providerConfig:
    address: provider-contrib.default.svc:8080
    providerRef: {kind: Fake, name: values}
---
apiVersion: provider.secretstore.external-secrets.io/v2alpha1
kind: Fake
metadata: {name: values, namespace: team-a}
spec: {data: [{key: k, value: from-fake}]}
"""
EXTERNAL = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: app, namespace: team-a}
spec:
  secretStoreRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, kind: SecretStore, name: main}
  data: [{secretKey: v, remoteRef: {key: k}}]
"""
GENERATOR = """
apiVersion: generator.external-secrets.io/v2alpha1
kind: Generator
metadata: {name: token, namespace: team-a}
spec:
  providerConfig:
    address: provider-password.default.svc:8080
    providerRef: {kind: Password, name: strong}
---
apiVersion: provider.generator.external-secrets.io/v2alpha1
kind: Password
metadata: {name: strong, namespace: team-a}
spec: {length: 12}
"""
GENERATED = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: token, namespace: team-a}
spec:
  refreshInterval: 1h
  dataFrom:
    - sourceRef:
        generatorRef: {apiVersion: generator.external-secrets.io/v2alpha1, kind: Generator, name: token}
"""


@dataclass
class Folder:
    """A folder of manifests that a test writes, and the folder for the results."""

    path: Path
    output: Path
    store: str = STORE
    external: str = EXTERNAL
    generator: str = GENERATOR
    generated: str = GENERATED

    def write(self, name: str, *manifests: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n---\n".join(textwrap.dedent(text) for text in manifests))
        return path

    def secret(self, namespace: str = "team-a", name: str = "app") -> Secret | None:
        return Output(self.output).secret(namespace, name)


@dataclass
class Passes:
    """Passes over a folder with calls from a table; time is the test's."""

    folder: Folder
    calls: Any
    now: datetime
    syncer: Syncer = field(init=False)

    def __post_init__(self) -> None:
        self.syncer = Syncer(Output(self.folder.output), self.calls, Settings(), clock=lambda: self.now)

    def run(self, trigger: Trigger = Trigger.SCHEDULE, *, patient: bool = False) -> Report:
        with self.syncer.output.opened():
            return self.syncer.run(load(self.folder.path), trigger, patient=patient)

    def row(self, name: str = "app", **options: Any) -> Row:
        return next(row for row in self.run(**options).rows if row.name == name)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder."""
    made = Folder(tmp_path / "manifests", tmp_path / "out")
    made.path.mkdir()
    return made


@pytest.fixture
def passes(folder: Folder, calls: Any, bench: Any) -> Passes:
    """A store and an ExternalSecret in a folder."""
    folder.write("a.yaml", folder.store, folder.external)
    calls.secrets = {"k": b"value"}
    return Passes(folder, calls, bench.now)


@dataclass(frozen=True)
class Ended:
    """What a run of the command line left."""

    status: int
    out: str
    err: str


@pytest.fixture
def core() -> Callable[..., Ended]:
    """Runs `eso-core` as a process of its own."""

    def run(*arguments: str | Path, **environ: str) -> Ended:
        command = [sys.executable, "-m", "eso_core", *map(str, arguments)]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=90, env=os.environ | environ, check=False
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process in the background; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*command: str | Path, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
