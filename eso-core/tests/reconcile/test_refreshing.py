"""When providers are asked again, and when not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from eso_core.reconcile.calls import CallError, Made
from eso_core.reconcile.externalsecret import Trigger

REF = "secretStoreRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, kind: SecretStore, name: main}"
SPEC = REF + "\ndata: [{secretKey: v, remoteRef: {key: k}}]\n"
GENERATED = (
    "dataFrom: [{sourceRef: {generatorRef: "
    "{apiVersion: generator.external-secrets.io/v2alpha1, kind: Generator, name: password}}}]\n"
)


def asked_again(bench: Any, spec: str, **sync: Any) -> bool:
    before = len(bench.calls.asked)
    bench.sync(spec, **sync)
    return len(bench.calls.asked) > before


@pytest.fixture(autouse=True)
def _values(bench: Any) -> None:
    bench.calls.secrets = {"k": b"v"}
    bench.calls.made = [Made({"password": b"%d" % number}) for number in range(9)]


@pytest.mark.parametrize(
    ("policy", "after", "again"),
    [
        ("refreshInterval: 10m", timedelta(minutes=9), False),
        ("refreshInterval: 10m", timedelta(minutes=10), True),
        ("", timedelta(minutes=59), False),
        ("", timedelta(minutes=60), True),
        ("refreshInterval: 10m", timedelta(minutes=-1), True),
        ('refreshInterval: "0"', timedelta(days=900), False),
        ("refreshPolicy: OnChange\nrefreshInterval: 1s", timedelta(days=900), False),
        ("refreshPolicy: CreatedOnce\nrefreshInterval: 1s", timedelta(days=900), False),
    ],
    ids=[
        "early",
        "in time",
        "default early",
        "default",
        "clock set back",
        "zero",
        "on change",
        "created once",
    ],
)
def test_time_makes_a_sync_due(bench: Any, policy: str, after: timedelta, again: bool) -> None:
    """Between two syncs nothing is asked: backends bill by the call."""
    spec = SPEC + policy
    bench.sync(spec)
    bench.now += after
    assert asked_again(bench, spec) is again


@pytest.mark.parametrize(
    ("policy", "again"),
    [
        ("refreshInterval: 1h", True),
        ("refreshPolicy: OnChange", True),
        ("refreshPolicy: CreatedOnce", False),
        ('refreshInterval: "0"', False),
    ],
    ids=["periodic", "on change", "created once", "zero"],
)
@pytest.mark.parametrize("what", ["spec", "annotation", "label"])
def test_a_change_makes_a_sync_due(bench: Any, policy: str, again: bool, what: str) -> None:
    """Spec, labels and annotations count alike; an annotation is the usual way to force a sync."""
    spec = SPEC + policy
    bench.sync(spec)
    bench.later(seconds=1)
    match what:
        case "spec":
            changed = asked_again(bench, spec.replace("key: k", "key: k, version: '2'"))
        case "annotation":
            changed = asked_again(bench, spec, annotations={"external-secrets.io/force-sync": "1"})
        case _:
            changed = asked_again(bench, spec, labels={"a": "b"})
    assert changed is again


def test_a_secret_that_was_edited_is_repaired(bench: Any) -> None:
    """The data hash tells: what stands in the cluster is what the backend said."""
    bench.sync(SPEC)
    secret = bench.world.secrets["team-a", "app"]
    object.__setattr__(secret, "data", {"v": b"edited"})
    assert asked_again(bench, SPEC)
    assert bench.data() == {"v": b"v"}


def test_a_secret_that_was_deleted_is_made_again(bench: Any) -> None:
    """Except an Orphan, which is nobody's business between two syncs."""
    bench.sync(SPEC)
    bench.world.secrets.clear()
    assert asked_again(bench, SPEC)
    orphan = SPEC + "target: {creationPolicy: Orphan}"
    bench.sync(orphan)
    bench.world.secrets.clear()
    assert not asked_again(bench, orphan)


def test_a_user_who_asks_gets_what_is_read_and_keeps_what_was_made(bench: Any) -> None:
    """`eso-core sync` reads anew; a password that changed with every run would be useless."""
    bench.sync(SPEC)
    assert asked_again(bench, SPEC, trigger=Trigger.READ)
    bench.sync(GENERATED)
    first = bench.data()
    assert not asked_again(bench, GENERATED, trigger=Trigger.READ)
    assert bench.data() == first
    assert asked_again(bench, GENERATED, trigger=Trigger.EVERYTHING)
    assert bench.data() != first


@pytest.mark.parametrize(
    "policy", ["refreshPolicy: CreatedOnce", "refreshPolicy: OnChange", 'refreshInterval: "0"']
)
def test_once_stays_once_when_a_user_asks(bench: Any, policy: str) -> None:
    """The manifest says once."""
    bench.sync(SPEC + policy)
    assert not asked_again(bench, SPEC + policy, trigger=Trigger.READ)
    assert not asked_again(bench, SPEC + policy, inputs="other")


def test_a_changed_store_makes_a_sync_due(bench: Any) -> None:
    """Where the runtime can tell: a developer who edits a store wants to see what comes of it."""
    bench.sync(GENERATED, inputs="1")
    assert not asked_again(bench, GENERATED, inputs="1")
    assert asked_again(bench, GENERATED, inputs="2")


def test_a_failure_is_due_until_it_is_over(bench: Any) -> None:
    """And the time of the last good sync stays what it was."""
    bench.sync(SPEC)
    good = bench.status.refresh_time
    bench.later(hours=2)
    bench.calls.secrets = {"k": CallError("away", code="UNAVAILABLE", retryable=True)}
    assert bench.sync(SPEC).ready is False
    assert bench.status.refresh_time == good
    bench.later(seconds=1)
    bench.calls.secrets = {"k": b"v"}
    assert bench.sync(SPEC).ready is True
    assert bench.status.refresh_time == bench.now


def test_a_failure_that_was_not_due_is_tried_again_too(bench: Any) -> None:
    """A user asked, and the backend was away: what stands there is not what was asked for, whatever is due."""
    bench.sync(SPEC)
    bench.calls.secrets = {"k": CallError("away", code="UNAVAILABLE", retryable=True)}
    assert bench.sync(SPEC, trigger=Trigger.READ).ready is False
    assert bench.sync(SPEC).ready is False
    bench.calls.secrets = {"k": b"newer"}
    outcome = bench.sync(SPEC)
    assert (outcome.ready, outcome.reason) == (True, "SecretSynced")
    assert bench.data() == {"v": b"newer"}


@pytest.mark.parametrize("policy", ["refreshPolicy: CreatedOnce", 'refreshInterval: "0"'])
def test_what_is_synced_once_is_good_after_a_refresh_that_failed(bench: Any, policy: str) -> None:
    """The Secret is still what its policy asks for: neither asked about again, nor reported as failed for ever."""
    bench.sync(SPEC + policy)
    bench.calls.secrets = {"k": CallError("away")}
    assert bench.sync(SPEC + policy, trigger=Trigger.EVERYTHING).ready is False
    bench.calls.asked.clear()
    outcome = bench.sync(SPEC + policy)
    assert (outcome.ready, outcome.reason) == (True, "SecretSynced")
    assert (bench.status.ready, bench.status.reason) == (True, "SecretSynced")
    assert bench.calls.asked == []


def test_the_next_sync_is_told(bench: Any) -> None:
    """The runtime has to know when to come back."""
    assert bench.sync(SPEC + "refreshInterval: 10m").requeue_after == 600
    bench.later(minutes=4)
    assert bench.sync(SPEC + "refreshInterval: 10m").requeue_after == 360
    assert bench.sync(SPEC + "refreshPolicy: CreatedOnce").requeue_after is None
