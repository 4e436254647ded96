"""The core's metrics: the Go core's names, so that its dashboards work."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from eso_core.reconcile.calls import CallError
from eso_core.runtime.metrics import CoreMetrics
from eso_core.runtime.report import Report, Row
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

BOUNDS = ("0.01", "0.05", "0.1", "0.5", "1", "2", "5", "10", "30", "+Inf")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def scraped(metrics: CoreMetrics) -> Samples:
    registry = CollectorRegistry()
    registry.register(metrics)
    return parsed(generate_latest(registry).decode())


def sample(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_calls_are_counted_and_measured() -> None:
    """By method, address as in the manifest, and success."""
    metrics = CoreMetrics()
    target = "p.default.svc:8080"
    metrics.called("GetSecret", target, 0.02, None)
    metrics.called("GetSecret", target, 60.0, None)
    metrics.called("GetSecret", target, 0.5, CallError("gone", code="NO_SECRET"))
    found = scraped(metrics)
    good = {"method": "GetSecret", "target": target, "status": "success"}
    assert found[sample("grpc_client_requests_total", **good)] == 2
    assert found[sample("grpc_client_requests_total", **good | {"status": "error"})] == 1
    assert (
        found[
            sample(
                "grpc_client_request_errors_total", method="GetSecret", target=target, error_type="not_found"
            )
        ]
        == 1
    )
    buckets = {
        le: found[sample("grpc_client_request_duration_seconds_bucket", **good, le=le)] for le in BOUNDS
    }
    assert buckets == dict.fromkeys(BOUNDS, 1) | {"0.01": 0, "+Inf": 2}
    assert not any("_created" in name for name, _labels in found)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("DEADLINE_EXCEEDED", "x", "timeout"),
        ("UNAVAILABLE", "x", "unavailable"),
        ("UNAVAILABLE", "Connection refused", "connection_refused"),
        ("ACCESS_DENIED", "x", "forbidden"),
        ("CREDENTIALS", "x", "unauthorized"),
        ("NO_SECRET", "x", "not_found"),
        ("BUG", "x", "unknown"),
    ],
)
def test_errors_are_of_a_few_kinds(code: str, message: str, kind: str) -> None:
    """A bounded number of series."""
    metrics = CoreMetrics()
    metrics.called("GetSecret", "t", 0.1, CallError(message, code=code))
    assert (
        scraped(metrics)[
            sample("grpc_client_request_errors_total", method="GetSecret", target="t", error_type=kind)
        ]
        == 1
    )


def test_the_state_of_each_external_secret_is_told() -> None:
    """Also that it failed, which is what alerts are made of. One that is gone is no longer told."""
    metrics = CoreMetrics()
    metrics.synced(Report([Row("n", "gone", "SecretSynced", True, "")]))
    metrics.synced(
        Report([Row("n", "bad", "SecretSyncedError", False, ""), Row("n", "theirs", "NotManaged", None, "")])
    )
    found = scraped(metrics)
    assert found[sample("externalsecret_sync_calls_error", name="bad", namespace="n")] == 1
    assert found[sample("externalsecret_sync_calls_total", name="bad", namespace="n")] == 1
    conditions = {
        labels: value for (name, labels), value in found.items() if name == "externalsecret_status_condition"
    }
    bad = {"name": "bad", "namespace": "n", "condition": "Ready"}
    assert conditions == {
        frozenset((bad | {"status": "False"}).items()): 1,
        frozenset((bad | {"status": "True"}).items()): 0,
    }


def test_they_are_served_while_watching(start: Any, folder: Any) -> None:
    """On loopback, when asked for."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.write("a.yaml", folder.store, folder.external)
    process = start(
        "eso_core",
        "dev",
        folder.path,
        "--output",
        folder.output,
        "--watch",
        "--json",
        "--metrics-port",
        str(port),
    )
    assert json.loads(process.stdout.readline())["ok"] is True
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        found = parsed(answer.read().decode())
    target = "provider-contrib.default.svc:8080"
    for method in ("GetSecret", "Validate", "Capabilities"):
        assert (
            found[sample("grpc_client_requests_total", method=method, target=target, status="success")] == 1
        )
