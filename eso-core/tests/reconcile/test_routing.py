"""From a reference to the wire: which store, for whom, under which names."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.reconcile.calls import Made
from eso_core.reconcile.routing import Settings
from eso_core.reconcile.world import Readiness

ENTRY = "\ndata: [{secretKey: v, remoteRef: {key: k}}]"
V2 = "apiVersion: secretstore.external-secrets.io/v2alpha1"


def store_ref(kind: str, name: str) -> str:
    return f"secretStoreRef: {{{V2}, kind: {kind}, name: {name}}}{ENTRY}"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("name: main", "no apiVersion means a v1 store"),
        (
            "apiVersion: external-secrets.io/v1, name: main",
            "apiVersion 'external-secrets.io/v1' means a v1 store",
        ),
        ("apiVersion: external-secrets.io/v1beta1, name: main", "means a v1 store"),
        (
            "apiVersion: secretstore.external-secrets.io/v3, name: main",
            "'secretstore.external-secrets.io/v3' is unknown",
        ),
        (
            f"{V2}, kind: Provider, name: main",
            "kind: 'Provider' is unknown: write SecretStore or ClusterSecretStore",
        ),
    ],
    ids=["absent", "v1", "v1beta1", "future", "kind"],
)
def test_only_v2_stores_are_called(bench: Any, reference: str, said: str) -> None:
    """A v1 store can't be reached from here; the error names the field and what to write."""
    outcome = bench.sync(f"secretStoreRef: {{{reference}}}{ENTRY}")
    assert outcome.ready is False
    assert outcome.message.startswith("spec.data[0] (key 'k'): secretStoreRef: ")
    assert said in outcome.message
    assert (
        "secretstore.external-secrets.io/v2alpha1" in outcome.message
        or "write SecretStore" in outcome.message
    )
    assert bench.calls.asked == []


@pytest.mark.parametrize(
    "reference",
    [
        "kind: Password, name: p",
        "apiVersion: generators.external-secrets.io/v1alpha1, kind: Password, name: p",
    ],
    ids=["absent", "v1alpha1"],
)
def test_only_v2_generators_are_called(bench: Any, reference: str) -> None:
    """The old kinds name a provider's object directly; here a Generator stands between."""
    outcome = bench.sync(f"dataFrom: [{{sourceRef: {{generatorRef: {{{reference}}}}}}}]")
    assert outcome.message.startswith("spec.dataFrom[0]: sourceRef.generatorRef: apiVersion: ")
    assert "write generator.external-secrets.io/v2alpha1" in outcome.message


def test_a_missing_store_is_a_failure_and_not_absence(bench: Any) -> None:
    """With deletionPolicy Delete, taking it for absence would delete the user's Secret."""
    outcome = bench.sync(f"{store_ref('SecretStore', 'gone')}\ntarget: {{deletionPolicy: Delete}}")
    assert (outcome.reason, outcome.delete) == ("SecretSyncedError", False)
    assert "SecretStore team-a/gone does not exist" in outcome.message


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("SecretStore", {}, ("team-a", "team-a", "SecretStore")),
        (
            "SecretStore",
            {"spec__providerConfig__providerRef__namespace": "team-a"},
            ("team-a", "team-a", "SecretStore"),
        ),
        ("ClusterSecretStore", {}, ("platform", "team-a", "ClusterSecretStore")),
        (
            "ClusterSecretStore",
            {"spec__authenticationScope": "ManifestNamespace"},
            ("platform", "team-a", "ClusterSecretStore"),
        ),
        (
            "ClusterSecretStore",
            {
                "spec__authenticationScope": "ManifestNamespace",
                "spec__providerConfig__providerRef__namespace": None,
            },
            ("team-a", "team-a", "ClusterSecretStore"),
        ),
    ],
    ids=[
        "namespaced",
        "own namespace written out",
        "provider namespace",
        "manifest namespace",
        "object of the caller",
    ],
)
def test_what_a_store_sends(
    bench: Any, world: Any, kind: str, changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    """Config object's namespace, caller and store kind decide where a provider reads credentials."""
    store = world.change(kind, **changes)
    bench.calls.secrets = {"k": b"v"}
    assert bench.sync(store_ref(kind, store.meta.name)).ready
    (via,) = bench.calls.vias("get_secret")
    assert (via.namespace, via.source_namespace, via.store_ref_kind) == expected
    assert via.api_version == "provider.secretstore.external-secrets.io/v2alpha1"


@pytest.mark.parametrize(
    ("kind", "name", "scope", "expected"),
    [
        ("SecretStore", "main", None, ("team-a", "team-a", "Provider")),
        ("ClusterSecretStore", "shared", "ProviderNamespace", ("platform", "platform", "ClusterProvider")),
        ("ClusterSecretStore", "shared", "ManifestNamespace", ("platform", "team-a", "ClusterProvider")),
    ],
    ids=["namespaced", "provider namespace", "manifest namespace"],
)
@pytest.mark.parametrize("by", ["annotation", "flag"])
def test_what_a_store_of_the_other_family_sends(
    bench: Any, world: Any, kind: str, name: str, scope: str | None, expected: tuple[str, ...], by: str
) -> None:
    """Go providers of that family know their own kinds only, and read credentials in the source namespace."""
    changes: dict[str, Any] = {} if scope is None else {"spec__authenticationScope": scope}
    if by == "annotation":
        changes["metadata__annotations"] = {"eso-core.external-secrets.io/dialect": "provider"}
    else:
        bench.settings = Settings(dialect="provider")
    world.change(kind, **changes)
    bench.calls.secrets = {"k": b"v"}
    assert bench.sync(store_ref(kind, name)).ready
    (via,) = bench.calls.vias("get_secret")
    assert (via.namespace, via.source_namespace, via.store_ref_kind) == expected


@pytest.mark.parametrize(
    ("scope", "reference", "expected"),
    [
        ("ProviderReference", "platform", ("platform", "platform")),
        ("ManifestReference", "platform", ("platform", "team-a")),
        ("ManifestReference", None, ("team-a", "team-a")),
    ],
)
def test_what_a_cluster_generator_sends(
    bench: Any, world: Any, scope: str, reference: str | None, expected: tuple[str, str]
) -> None:
    """authenticationNamespace decides in whose namespace a generator's credentials are read."""
    world.change(
        "Generator",
        kind="ClusterGenerator",
        metadata={"name": "shared"},
        spec__authenticationNamespace=scope,
        spec__providerConfig__providerRef__namespace=reference,
    )
    bench.calls.made = [Made({"a": b"1"})]
    ref = "{apiVersion: generator.external-secrets.io/v2alpha1, kind: ClusterGenerator, name: shared}"
    assert bench.sync(f"dataFrom: [{{sourceRef: {{generatorRef: {ref}}}}}]").ready
    (via,) = bench.calls.vias("generate")
    assert (via.namespace, via.source_namespace) == expected
    assert via.api_version == "provider.generator.external-secrets.io/v2alpha1"


@pytest.mark.parametrize(
    ("kind", "name", "cluster"),
    [("SecretStore", "main", "ClusterSecretStore"), ("Generator", "password", "ClusterGenerator")],
)
def test_a_namespaced_store_leads_nowhere_else(
    bench: Any, world: Any, kind: str, name: str, cluster: str
) -> None:
    """Else anyone who may create a store could use another team's credentials."""
    world.change(kind, spec__providerConfig__providerRef__namespace="team-b")
    if kind == "SecretStore":
        outcome = bench.sync(store_ref(kind, name))
    else:
        ref = "{apiVersion: generator.external-secrets.io/v2alpha1, kind: Generator, name: password}"
        outcome = bench.sync(f"dataFrom: [{{sourceRef: {{generatorRef: {ref}}}}}]")
    assert outcome.ready is False
    assert "'team-a'" in outcome.message
    assert "'team-b'" in outcome.message
    assert f"use a {cluster}" in outcome.message
    assert bench.calls.asked == []


def test_provider_namespace_needs_a_namespace(bench: Any, world: Any) -> None:
    """With the caller's namespace in its place, credentials would be read where nobody meant."""
    world.change("ClusterSecretStore", spec__providerConfig__providerRef__namespace=None)
    outcome = bench.sync(store_ref("ClusterSecretStore", "shared"))
    assert "spec.providerConfig.providerRef.namespace: is required" in outcome.message
    assert bench.calls.asked == []


CONDITIONS = [
    ("none", [], True),
    ("empty selector", [{"namespaceSelector": {}}], True),
    ("label", [{"namespaceSelector": {"matchLabels": {"team": "a"}}}], True),
    ("other label", [{"namespaceSelector": {"matchLabels": {"team": "b"}}}], False),
    (
        "In",
        [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}}],
        True,
    ),
    (
        "NotIn",
        [
            {
                "namespaceSelector": {
                    "matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]
                }
            }
        ],
        False,
    ),
    (
        "NotIn absent",
        [{"namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["a"]}]}}],
        True,
    ),
    ("Exists", [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}], True),
    (
        "DoesNotExist",
        [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}],
        False,
    ),
    ("name", [{"namespaces": ["team-a"]}], True),
    ("other name", [{"namespaces": ["team-b"]}], False),
    ("regex", [{"namespaceRegexes": ["^team-"]}], True),
    ("regex anywhere", [{"namespaceRegexes": ["eam"]}], True),
    ("regex not", [{"namespaceRegexes": ["^b"]}], False),
    ("empty entry", [{}], False),
    ("any entry", [{"namespaces": ["team-b"]}, {"namespaceRegexes": ["a$"]}], True),
    ("any part", [{"namespaces": ["team-b"], "namespaceRegexes": ["a$"]}], True),
]


@pytest.mark.parametrize(
    ("conditions", "allowed"), [c[1:] for c in CONDITIONS], ids=[c[0] for c in CONDITIONS]
)
@pytest.mark.parametrize("what", ["store", "generator"])
def test_conditions_are_enforced_before_anything_is_asked(
    bench: Any, world: Any, conditions: list[Any], allowed: bool, what: str
) -> None:
    """Providers know nothing of conditions: who gets past the core gets the secret."""
    world.labels["team-a"] = {"team": "a"}
    bench.calls.secrets, bench.calls.made = {"k": b"v"}, [Made({"a": b"1"})]
    if what == "store":
        world.change("ClusterSecretStore", spec__conditions=conditions)
        outcome = bench.sync(store_ref("ClusterSecretStore", "shared"))
    else:
        world.change(
            "Generator",
            kind="ClusterGenerator",
            metadata={"name": "shared"},
            spec__authenticationNamespace="ManifestReference",
            spec__conditions=conditions,
        )
        ref = "{apiVersion: generator.external-secrets.io/v2alpha1, kind: ClusterGenerator, name: shared}"
        outcome = bench.sync(f"dataFrom: [{{sourceRef: {{generatorRef: {ref}}}}}]")
    assert outcome.ready is allowed
    if not allowed:
        assert "is not allowed from namespace 'team-a': denied by its spec.conditions" in outcome.message
        assert bench.calls.asked == []
        assert world.asked_readiness == []


def test_a_store_of_another_class_is_left_alone(bench: Any, world: Any) -> None:
    """Another controller looks after it; touching the Secret would be a fight."""
    world.change("SecretStore", spec__controller="other")
    outcome = bench.sync(store_ref("SecretStore", "main"))
    assert (outcome.reason, outcome.ready, outcome.secret) == ("NotManaged", None, None)
    assert bench.calls.asked == []
    bench.settings = Settings(controller_class="other")
    bench.calls.secrets = {"k": b"v"}
    assert bench.sync(store_ref("SecretStore", "main")).ready is True


@pytest.mark.parametrize(("policy", "reached"), [("Enabled", False), ("Disabled", True)])
def test_the_gate_keeps_a_flood_from_a_broken_store(
    bench: Any, world: Any, policy: str, reached: bool
) -> None:
    """gatingPolicy Enabled: a store that is not ready is not asked. Disabled: it is, whatever its state."""
    world.change("SecretStore", spec__gatingPolicy=policy)
    world.unready["main"] = Readiness(
        ready=False, reason="InvalidProviderConfig", message="bad token", retry_after=3.0
    )
    bench.calls.secrets = {"k": b"v"}
    outcome = bench.sync(store_ref("SecretStore", "main"))
    assert outcome.ready is reached
    assert bool(bench.calls.asked) is reached
    if not reached:
        assert "SecretStore team-a/main is not ready: bad token" in outcome.message
        assert outcome.requeue_after == 3.0
