"""The four generators judged by the conformance suite, as a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eso_e2e import judged
from eso_e2e.judged import GENERATORS, made
from eso_e2e.served import Served
from provider_conformance.suite import GeneratorConformance
from provider_conformance.target import GeneratorTarget, Target

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
        yield made(
            "v1", "Secret", namespace, "seed", stringData={"value": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}
        )
        for kind, (good, bad) in SPECS.items():
            yield made(GENERATORS, kind, namespace, "main", spec=good)
            yield made(GENERATORS, kind, namespace, "nonsense", spec=bad)
    yield made(GENERATORS, "MFA", "team-a", "borrows", spec={"secret": {**SEED, "namespace": "team-b"}})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with judged.serving("provider_password", tmp_path_factory.mktemp("password"), manifests()) as running:
        yield running


@pytest.fixture(scope="module")
def target(served: Served) -> Target:
    generators = tuple(
        GeneratorTarget(
            name=kind.lower(),
            api_version=GENERATORS,
            kind=kind,
            # A code holds for 30 seconds, so two calls in a row answer the same.
            fixed=kind == "MFA",
            credentials=kind == "MFA",
            # It has no settings, and is made without its object as in Go.
            object_optional=kind == "UUID",
            **judged.generator_objects(),
        )
        for kind in SPECS
    )
    return judged.target(served, "provider-password", generators=generators)


class TestConformance(GeneratorConformance):
    """Every check of the suite that concerns generators and their server."""
