"""What makes a store ready."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.reconcile.calls import CallError, Verdict
from eso_core.reconcile.routing import Settings
from eso_core.reconcile.stores import refresh_seconds, validate

CASES = [
    (Verdict(valid=True, warnings=("old",), capabilities="ReadOnly"), (True, "Valid", "old", "ReadOnly")),
    (Verdict(valid=False, error="bad token"), (False, "InvalidProviderConfig", "bad token", "")),
    (
        Verdict(valid=False),
        (
            False,
            "InvalidProviderConfig",
            "the provider says that it is not valid, and not why: look at the provider's log",
            "",
        ),
    ),
    (CallError("away", retryable=True, retry_after=4.0), (False, "InvalidProviderConfig", "away", "")),
]


@pytest.mark.parametrize(
    ("verdict", "expected"), CASES, ids=["valid", "invalid", "invalid, no text", "error"]
)
def test_what_a_provider_says_of_a_store(
    world: Any, calls: Any, verdict: Any, expected: tuple[Any, ...]
) -> None:
    """A status error and `valid=false` are alike, except for the text."""
    calls.verdict = verdict
    found = validate(world.change("SecretStore"), calls, Settings())
    assert (found.ready, found.reason, found.message, found.capabilities) == expected
    if isinstance(verdict, CallError):
        assert found.retry_after == 4.0


def test_a_namespaced_store_is_validated_for_its_namespace(world: Any, calls: Any) -> None:
    """Its only caller."""
    validate(world.change("SecretStore"), calls, Settings())
    (via,) = calls.vias("validate")
    assert (via.namespace, via.source_namespace) == ("team-a", "team-a")


def test_a_cluster_store_is_validated_for_nobody(world: Any, calls: Any) -> None:
    """No caller is known yet: an empty source namespace says so."""
    validate(world.change("ClusterSecretStore"), calls, Settings())
    (via,) = calls.vias("validate")
    assert (via.namespace, via.source_namespace, via.store_ref_kind) == ("platform", "", "ClusterSecretStore")


def test_a_store_with_an_object_per_caller_is_not_asked_about(world: Any, calls: Any) -> None:
    """There is no object to ask about before there is a caller; it counts as ready."""
    store = world.change(
        "ClusterSecretStore",
        spec__authenticationScope="ManifestNamespace",
        spec__providerConfig__providerRef__namespace=None,
    )
    found = validate(store, calls, Settings())
    assert (found.ready, found.reason, calls.asked) == (True, "ValidationUnknown", [])


@pytest.mark.parametrize(
    ("scope", "source"),
    [("ProviderNamespace", "platform"), ("ManifestNamespace", None)],
    ids=["provider", "manifest"],
)
def test_a_cluster_store_of_the_other_family_is_validated_where_its_credentials_are(
    world: Any, calls: Any, scope: str, source: str | None
) -> None:
    """Those providers read them in the source namespace: with none known, there is nothing to ask."""
    store = world.change("ClusterSecretStore", spec__authenticationScope=scope)
    found = validate(store, calls, Settings(dialect="provider"))
    assert found.ready is True
    assert [via.source_namespace for via in calls.vias("validate")] == ([] if source is None else [source])


@pytest.mark.parametrize("serving", [True, False])
def test_a_generator_is_ready_when_its_provider_serves(world: Any, calls: Any, serving: bool) -> None:
    """Generators can't be validated; to generate only to see whether it works would leave things behind."""
    calls.health = None if serving else CallError("not serving")
    found = validate(world.change("Generator"), calls, Settings())
    assert found.ready is serving
    assert calls.methods() == ["check_health"]


@pytest.mark.parametrize(("text", "seconds"), [("", 300), ("1m", 60), ("0", 300)])
def test_a_store_is_validated_again_in_time(world: Any, text: str, seconds: float) -> None:
    """By its refreshInterval, else every five minutes."""
    assert refresh_seconds(world.change("SecretStore", spec__refreshInterval=text)) == seconds
