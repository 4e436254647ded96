"""The four generators judged by the conformance suite, as a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from eso_e2e.served import Served
from provider_conformance.suite import GeneratorConformance
from provider_conformance.target import GeneratorTarget, Obj, Target

GROUP = "provider.generator.external-secrets.io/v2alpha1"
SEED = {"name": "seed", "key": "value"}
SPECS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Password": ({"length": 32, "allowRepeat": True}, {"length": 44}),
    "UUID": ({}, {"version": 1}),
    "SSHKey": ({"keyType": "ed25519"}, {"keySize": 512}),
    "MFA": ({"secret": SEED, "length": 64}, {"secret": SEED, "algorithm": "md5"}),
}
"""Per kind a spec that works and one that can't."""


def manifests() -> Iterator[dict[str, Any]]:
    for namespace in ("team-a", "team-b"):
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "seed", "namespace": namespace},
            "stringData": {"value": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
        }
        for kind, (good, bad) in SPECS.items():
            yield manifest(kind, namespace, "main", good)
            yield manifest(kind, namespace, "nonsense", bad)
    yield manifest("MFA", "team-a", "borrower", {"secret": {**SEED, "namespace": "team-b"}})


def manifest(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("password")
    (folder / "manifests").mkdir()
    (folder / "manifests" / "generators.yaml").write_text(yaml.safe_dump_all(manifests()))
    running = Served("provider_password", folder, folder / "manifests")
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def target(served: Served) -> Target:
    generators = tuple(
        GeneratorTarget(
            name=kind.lower(),
            api_version=GROUP,
            kind=kind,
            object="main",
            namespace="team-a",
            # A code holds for 30 seconds, so two calls in a row answer the same.
            fixed=kind == "MFA",
            credentials=kind == "MFA",
            # It has no settings, and is made without its object as in Go.
            object_optional=kind == "UUID",
            foreign=Obj("main", "team-b"),
            foreign_selector=Obj("borrower", "team-a") if kind == "MFA" else None,
            invalid=Obj("nonsense", "team-a"),
        )
        for kind in SPECS
    )
    return Target(
        name="provider-password",
        endpoint=served.endpoint,
        tls=served.tls,
        generators=generators,
        metrics_url=f"http://127.0.0.1:{served.http_port}/metrics",
        health_url=f"http://127.0.0.1:{served.http_port}/healthz",
        process=served,
    )


class TestConformance(GeneratorConformance):
    """Every check of the suite that concerns generators and their server."""
