"""The suite judges a Go provider of each dialect: what it keeps passes, where it differs is reported, nothing else fails."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
from broken.target import Certificates
from provider_conformance.differences import DIFFERENCES
from provider_conformance.registry import all_checks
from provider_conformance.run import Suite
from provider_conformance.targetfile import load_target
from provider_conformance.verdict import Result, Status

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.xdist_group("go-peer")]

HERE = Path(__file__).parent

BOTH = {
    "capabilities.unknown-kind",
    "cleanup.foreign-state",
    "cleanup.missing-object",
    "errors.backend-timeout",
    "errors.backend-unavailable",
    "errors.bad-api-version",
    "errors.bad-credentials",
    "errors.denied",
    "errors.invalid-settings",
    "errors.missing-object",
    "errors.names-the-thing",
    "errors.no-body",
    "errors.no-reference",
    "errors.unknown-kind",
    "find.bad-pattern",
    "find.lookaround-refused",
    "find.no-selector",
    "find.over-four-mib",
    "find.unsupported-selector",
    "generate.empty-source",
    "generate.foreign-denied",
    "generate.invalid-settings",
    "generate.missing-object",
    "generate.no-reference",
    "generate.unknown-kind",
    "get.empty-key",
    "get.property-of-text",
    "hostile.bad-utf8",
    "hostile.empty-messages",
    "hostile.fuzzed",
    "hostile.fuzzed-bytes",
    "hostile.garbage",
    "hostile.odd-patterns",
    "hostile.odd-references",
    "hostile.truncated",
    "map.not-an-object",
    "namespaces.denial-names-both",
    "namespaces.empty-source",
    "namespaces.foreign-denied-everywhere",
    "namespaces.foreign-hidden",
    "namespaces.foreign-object",
    "namespaces.foreign-object-denied",
    "namespaces.foreign-selector-denied",
    "namespaces.no-kind-is-namespaced",
    "namespaces.other-dialect-is-namespaced",
    "namespaces.unknown-kind-is-namespaced",
    "transport.health-per-service",
    "transport.too-large-answer",
    "validate.bad-credentials",
    "validate.foreign-denied",
    "validate.invalid-settings",
    "validate.missing-object",
    "write.missing-secret-key",
    "write.no-remote-key",
}
"""Differences that both dialects show."""

SEEN = {
    # Its certificates are tried in one dialect only: each of the two checks waits 15 s for a reload that never comes.
    "s": BOTH | {"transport.leaf-reload", "transport.ca-reload"},
    "p": BOTH
    | {
        "concurrency.parallel-absent",
        "deadlines.other-store-while-hanging",
        "delete.removes",
        "get.missing-key",
        "get.missing-property",
        "get.no-prefix-match",
        "hostile.huge-key",
        "hostile.odd-keys",
        "hostile.odd-properties",
        "map.missing-key",
        "map.missing-property",
        "namespaces.cluster-selector-honoured",
        "tenants.write-stays",
        "write.then-absent",
    },
}

KEPT = {
    "transport.health-serving",
    "transport.client-certificate-demanded",
    "transport.wrong-ca-refused",
    "transport.alpn-h2",
    "transport.reflection-lists",
    "transport.field-numbers",
    "transport.idle-connection",
    "get.value",
    "get.not-decoded",
    "get.property-nested",
    "get.property-big-number",
    "get.property-raw",
    "map.value-kinds",
    "find.many",
    "find.nothing",
    "write.round-trip",
    "write.whole-secret-exact",
    "delete.missing",
    "exists.no",
    "validate.no-source",
    "capabilities.no-io",
    "generate.fresh",
    "generate.state",
    "cleanup.after-generate",
    "namespaces.cluster-store-crosses",
    "deadlines.frees-server",
    "deadlines.cancelled-calls",
    "tenants.concurrent",
    "skew.baseline-reads",
    "errors.no-values",
    "errors.stable",
    "drain.exits-zero",
    "drain.finishes-calls",
}
"""What a Go provider has to pass: the promises that both sides of the contract live by."""


def _served() -> ModuleType:
    spec = importlib.util.spec_from_file_location("go_peer_served", HERE / "served.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(
    go_binary: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Literal["s", "p"]], dict[str, Result]]:
    """What the suite says of a dialect; each is judged once."""
    known: dict[str, dict[str, Result]] = {}

    def judge(dialect: Literal["s", "p"]) -> dict[str, Result]:
        if dialect not in known:
            known[dialect] = _judge(go_binary("go-peer"), dialect, tmp_path_factory.mktemp(dialect))
        return known[dialect]

    return judge


def _judge(binary: Path, dialect: str, folder: Path) -> dict[str, Result]:
    certificates, client = Certificates(), folder / "client"
    certificates.write(folder / "server")
    client.mkdir()
    for name, content in (
        ("ca.crt", certificates.ca.pem),
        ("client.crt", certificates.client.cert),
        ("client.key", certificates.client.key),
    ):
        (client / name).write_bytes(content)
    provider = _served().GoProvider(binary, dialect, folder / "server")
    target = load_target(HERE / f"{dialect}.yaml", endpoint=provider.endpoint, tls_dir=client)
    assert target.tls is not None
    rewrite = folder / "server" if dialect == "s" else None
    tls = replace(target.tls, ca_key=certificates.ca.key_pem, rewrite_dir=rewrite)
    provider.start()
    try:
        with Suite(replace(target, tls=tls, process=provider), seed=1) as suite:
            return {result.check: result for check in all_checks() for result in suite.run(check)}
    finally:
        provider.kill()


@pytest.mark.parametrize("dialect", ["s", "p"])
def test_nothing_fails_but_what_the_dialect_is_known_for(
    results: Callable[[str], dict[str, Result]], dialect: str
) -> None:
    """A failure without a documented difference is a defect: of the peer, of the list, or of the check."""
    failed = {name: r.reason for name, r in results(dialect).items() if r.status is Status.FAILED}

    assert failed == {}


@pytest.mark.parametrize("dialect", ["s", "p"])
def test_the_known_differences_are_exactly_these_and_each_has_its_reason(
    results: Callable[[str], dict[str, Result]], dialect: str
) -> None:
    """An excuse that is no longer needed would hide the next failure."""
    seen = {name: r.reason for name, r in results(dialect).items() if r.status is Status.DIFFERENCE}

    assert sorted(seen) == sorted(SEEN[dialect])
    assert all(reason.startswith(DIFFERENCES[dialect][name]) for name, reason in seen.items())


@pytest.mark.parametrize("dialect", ["s", "p"])
def test_a_go_provider_passes_what_both_sides_live_by(
    results: Callable[[str], dict[str, Result]], dialect: str
) -> None:
    """The suite knows no language: reading, writing, finding, transport and drain are judged as anywhere."""
    verdicts = {name: results(dialect)[name].status for name in KEPT}

    assert {name: str(status) for name, status in verdicts.items() if status is not Status.PASSED} == {}


@pytest.mark.parametrize("dialect", ["s", "p"])
def test_what_was_not_run_says_what_it_needs(
    results: Callable[[str], dict[str, Result]], dialect: str
) -> None:
    """A Go provider's target can't seed everything; nothing of it counts as passed."""
    silent = [name for name, r in results(dialect).items() if r.status is Status.NOT_RUN and not r.reason]

    assert silent == []
