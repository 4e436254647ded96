"""Makes the package of right and broken providers importable, and serves the right one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from broken.right import Right
from broken.served import Served
from broken.target import Certificates, target
from provider_conformance.target import Target

pytest_plugins = ["pytester"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long the judge took to be judged: the claim of the README, measured by every run."""
    reports = [
        report
        for found in terminalreporter.stats.values()
        for report in found
        if isinstance(report, pytest.TestReport) and "test_broken.py::" in report.nodeid
    ]
    judged = {
        report.nodeid for report in reports if "::test_exactly_the_named_checks_catch[" in report.nodeid
    }
    if judged:
        workers = len({getattr(report, "worker_id", "") for report in reports})
        each = sum(report.duration for report in reports) / workers
        terminalreporter.write_line(
            f"{len(judged)} providers, right and broken, judged in {each // 60:.0f} min {each % 60:.0f} s by {workers} at a time"
        )


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """A CA and its leaves: made once, as keys take time."""
    return Certificates()


@pytest.fixture
def served(certificates: Certificates, tmp_path: Path) -> Iterator[Served]:
    """The right provider, running."""
    certificates.write(tmp_path / "server")
    server = Served(Right(), tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def right_target(served: Served, certificates: Certificates) -> Target:
    """The right provider as a target."""
    return target(served, certificates)


@pytest.fixture
def target_file(served: Served, certificates: Certificates, tmp_path: Path) -> Path:
    """The right provider as a target file, seeded by push."""
    client = tmp_path / "client"
    client.mkdir()
    (client / "ca.crt").write_bytes(certificates.ca.pem)
    (client / "client.crt").write_bytes(certificates.client.cert)
    (client / "client.key").write_bytes(certificates.client.key)
    (client / "ca.key").write_bytes(certificates.ca.key_pem)
    file = tmp_path / "target.yaml"
    file.write_text(f"""
target: 1
name: right
endpoint: {served.endpoint}
tls: {{dir: client, ca_key: client/ca.key}}
metrics_url: {served.metrics_url}
stores:
- name: memory
  api_version: provider.secretstore.external-secrets.io/v2alpha1
  kind: Memory
  object: main
  namespace: team-a
  seed: push
  keys:
  - {{key: versioned, value: the first, version: 1}}
  - {{key: fixture, value: was here before}}
  limits: {{find: [name, tags, path]}}
  second: {{object: main, namespace: team-b}}
generators:
- {{name: token, api_version: provider.generator.external-secrets.io/v2alpha1, kind: Token, object: token,
    namespace: team-a, stateful: true}}
""")
    return file
