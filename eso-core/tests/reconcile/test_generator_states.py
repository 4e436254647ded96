"""States of generators: kept after a success, undone after a failure, removed when nobody uses what was made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from eso_core.api.generatorstate import parse_generator_state
from eso_core.reconcile.calls import CallError, Made
from eso_core.reconcile.routing import Settings
from eso_core.reconcile.states import clean_up, owner_keys, removable

GENERATED = """
refreshInterval: 1h
secretStoreRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, kind: SecretStore, name: main}
dataFrom:
  - sourceRef:
      generatorRef: {apiVersion: generator.external-secrets.io/v2alpha1, kind: Generator, name: password}
"""


def made(number: int) -> Made:
    return Made({"token": b"%d" % number}, b'{"id": %d}' % number)


def test_a_state_is_kept_after_a_success(bench: Any, make: Any) -> None:
    """With all that is needed to clean up when the generator's own manifest is gone."""
    bench.calls.made = [made(1)]
    (state,) = bench.sync(GENERATED).states
    again = parse_generator_state(state.manifest())
    assert again.name.startswith("gen-password-strong-")
    assert again.owner_key == owner_keys(make(GENERATED))[0]
    assert clean_up(again, bench.calls, Settings()).problem == ""
    _method, via, sent = bench.calls.asked[-1]
    assert sent == b'{"id": 1}'
    assert (via.kind, via.name, via.namespace, via.source_namespace) == (
        "Password",
        "strong",
        "team-a",
        "team-a",
    )


def test_a_stateless_generator_keeps_nothing(bench: Any) -> None:
    """Most of them."""
    bench.calls.made = [Made({"password": b"x"})]
    assert bench.sync(GENERATED).states == ()


@pytest.mark.parametrize("failing", ["read", "template", "ownership"])
def test_what_was_made_for_a_failed_sync_is_removed_at_once(bench: Any, failing: str) -> None:
    """Else every retry would leave another credential behind."""
    bench.calls.made = [made(1)]
    spec = GENERATED
    if failing == "read":
        bench.calls.secrets = {"k": CallError("away")}
        spec += "data: [{secretKey: v, remoteRef: {key: k}}]"
    elif failing == "template":
        spec += "target: {template: {data: {a: '{{ .nope }}'}}}"
    else:
        bench.world.add_secret("""
            apiVersion: v1
            kind: Secret
            metadata: {name: app, namespace: team-a, labels: {reconcile.external-secrets.io/created-by: other}}
        """)
    outcome = bench.sync(spec)
    assert (outcome.ready, outcome.states) == (False, ())
    assert bench.calls.asked[-1][0] == "cleanup"
    assert bench.calls.asked[-1][2] == b'{"id": 1}'


def test_what_cannot_be_removed_at_once_is_kept_overdue(bench: Any) -> None:
    """It is tried again until it is gone."""
    bench.calls.made = [made(1)]
    bench.calls.cleanup_error = CallError("away")
    (state,) = bench.sync(GENERATED + "target: {template: {data: {a: '{{ .nope }}'}}}").states
    assert state.deadline == bench.now
    assert removable([state], [state.owner_key], bench.now) == (state,)


def test_a_defect_does_not_lose_what_was_made(bench: Any) -> None:
    """Whatever went wrong, somebody has to know what is left in the backend."""
    bench.calls.made = [made(1)]
    bench.calls.secrets = {"k": RuntimeError("canary")}
    bench.calls.cleanup_error = CallError("away")
    outcome = bench.sync(GENERATED + "data: [{secretKey: v, remoteRef: {key: k}}]")
    assert outcome.message == "internal error (RuntimeError): please report it, with the manifest"
    assert [(state.state, state.deadline) for state in outcome.states] == [(b'{"id": 1}', bench.now)]


def test_the_value_before_stays_good_for_one_more_refresh(bench: Any) -> None:
    """Pods still use it. The one before that gets a deadline, two minutes from now."""
    bench.calls.made = [made(1), made(2), made(3)]
    for _ in range(3):
        outcome = bench.sync(GENERATED)
        bench.later(hours=1)
    by_value = {state.state: state.deadline for state in bench.world.states}
    third = bench.now - timedelta(hours=1)
    assert by_value == {b'{"id": 1}': third + timedelta(minutes=2), b'{"id": 2}': None, b'{"id": 3}': None}
    assert [state.state for state in outcome.retired] == [b'{"id": 1}']


def test_states_of_an_entry_that_is_gone_are_removed(bench: Any) -> None:
    """Nobody uses what they stand for."""
    bench.calls.made = [made(1)]
    (state,) = bench.sync(GENERATED).states
    assert removable([state], [state.owner_key], bench.now) == ()
    assert removable([state], [], bench.now) == (state,)


def test_a_clean_up_that_fails_says_so(bench: Any) -> None:
    """The state stays, and somebody has to know."""
    bench.calls.made = [made(1)]
    (state,) = bench.sync(GENERATED).states
    bench.calls.cleanup_error = CallError("the backend is away")
    result = clean_up(state, bench.calls, Settings())
    assert result.problem == f"GeneratorState team-a/{state.name}: clean-up failed: the backend is away"
