"""Fake judged by the conformance suite, as a process of its own. Its faults play the backend that misbehaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eso_e2e import judged
from eso_e2e.judged import GENERATORS, STORES, made
from eso_e2e.served import Served
from provider_conformance.suite import EveryConformance
from provider_conformance.target import Existing, GeneratorTarget, Limits, Obj, StoreTarget, Target

DATA = [
    {"key": "versioned", "value": "the first", "version": "1"},
    {"key": "versioned", "value": "the second", "version": "2"},
    {"key": "versioned", "value": "the current"},
    {"key": "fixture", "value": "was here before"},
    {"key": "fault/oversize", "value": "to be padded"},
    {"key": "fault/slow", "value": "at last"},
]
SLOW = 1.5
FAULTS: list[dict[str, Any]] = [
    {"keys": ["fault/timeout", "fault/unavailable"], "status": "UNAVAILABLE"},
    {"keys": ["fault/denied"], "status": "PERMISSION_DENIED"},
    {"keys": ["fault/unauthenticated"], "status": "UNAUTHENTICATED"},
    {"keys": ["fault/rate"], "status": "RESOURCE_EXHAUSTED", "retryAfterMilliseconds": 2000},
    {"keys": ["fault/bug"], "status": "INTERNAL"},
    {"keys": ["fault/oversize"], "answerBytes": 5_000_000},
    {"keys": ["fault/hang"], "hang": True},
    {"keys": ["fault/slow"], "latencyMilliseconds": int(SLOW * 1000)},
]


def fake(api_version: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return made(api_version, "Fake", namespace, name, spec=spec)


MANIFESTS = [
    fake(STORES, "team-a", "main", {"data": DATA, "faults": FAULTS}),
    fake(STORES, "team-b", "main", {"data": [{"key": "fixture", "value": "of another team"}]}),
    fake(STORES, "team-a", "nonsense", {"data": [{"key": "", "value": ""}]}),
    fake(GENERATORS, "team-a", "fixed", {"data": {"user": "app", "pin": "1234"}}),
    fake(GENERATORS, "team-b", "fixed", {"data": {"user": "other"}}),
    fake(GENERATORS, "team-a", "nonsense", {"data": {"user": 1}}),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with judged.serving("provider_contrib", tmp_path_factory.mktemp("fake"), MANIFESTS) as running:
        yield running


@pytest.fixture(scope="module")
def target(served: Served) -> Target:
    store = StoreTarget(
        name="fake",
        api_version=STORES,
        kind="Fake",
        object="main",
        namespace="team-a",
        seed="push",
        keys=(
            Existing("versioned", b"the first", version="1"),
            Existing("versioned", b"the second", version="2"),
            Existing("versioned", b"the current"),
            Existing("fixture", b"was here before"),
        ),
        limits=Limits(find=("name",), missing_property="NOT_FOUND"),
        faults=judged.faults("fault/", hang=30, slow=SLOW, bug="fault/bug", unmanaged="fixture"),
        credentials=False,
        second=Obj("main", "team-b"),
        foreign=Obj("main", "team-b"),
        invalid=Obj("nonsense", "team-a"),
    )
    generator = GeneratorTarget(
        name="fake-generator",
        api_version=GENERATORS,
        kind="Fake",
        object="fixed",
        namespace="team-a",
        fixed=True,
        credentials=False,
        foreign=Obj("fixed", "team-b"),
        invalid=Obj("nonsense", "team-a"),
    )
    return judged.target(served, "provider-contrib", stores=(store,), generators=(generator,))


class TestConformance(EveryConformance):
    """Every check of the suite."""
