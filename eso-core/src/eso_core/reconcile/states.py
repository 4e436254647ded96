"""States of generators: made into objects after a success, undone at once after a failure, removed when newer values have
taken their place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from eso_core.api.externalsecret import ExternalSecret
from eso_core.api.generatorstate import GeneratorState
from eso_core.reconcile.calls import CallError, Calls
from eso_core.reconcile.due import digest
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.gather import MadeState, is_document
from eso_core.reconcile.routing import Settings, way

GRACE = timedelta(minutes=2)
"""How long values stay usable after newer ones have taken their place: whoever reads the Secret needs time to see them."""


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What came of removing one state. `problem` says why it is still there."""

    state: GeneratorState
    problem: str = ""


def owner_key(external_secret: ExternalSecret, entry: str) -> str:
    """What tells which entry of which ExternalSecret a state belongs to."""
    return digest(f"ExternalSecret-{external_secret.meta.namespace}-{external_secret.meta.name}-{entry}")


def owner_keys(external_secret: ExternalSecret) -> list[str]:
    """The owner keys of all entries that have a generator."""
    return [
        owner_key(external_secret, str(index))
        for index, entry in enumerate(external_secret.spec.data_from)
        if entry.source_ref is not None and entry.source_ref.generator_ref is not None
    ]


def to_store(
    external_secret: ExternalSecret, made: Iterable[MadeState], now: datetime
) -> tuple[GeneratorState, ...]:
    """The objects for states that were just made."""
    states = []
    for item in made:
        reference = item.via.store.spec.provider_config.provider_ref
        key = owner_key(external_secret, item.key)
        # No clock tick is fine enough to tell two states apart; their content is.
        suffix = digest(f"{key}{now.isoformat()}".encode() + item.state)[:8]
        stem = re.sub(r"[^a-z0-9-]", "-", f"gen-{reference.kind.lower()}-{reference.name}")[:200]
        states.append(
            GeneratorState(
                name=f"{stem}-{suffix}",
                namespace=external_secret.meta.namespace,
                owner_key=key,
                store=item.via.store,
                state=item.state,
                created=now,
            )
        )
    return tuple(states)


def retired(existing: Sequence[GeneratorState], now: datetime) -> tuple[GeneratorState, ...]:
    """Those of an entry's existing states that get a deadline, now that there is a newer one: all but the newest, whose
    values may still be in use.
    """
    older = sorted(existing, key=lambda state: (state.created, state.name))[:-1]
    return tuple(replace(state, deadline=now + GRACE) for state in older if state.deadline is None)


def removable(
    states: Iterable[GeneratorState], living: Collection[str], now: datetime
) -> tuple[GeneratorState, ...]:
    """States whose deadline is over, and states that no entry of any ExternalSecret owns any more."""
    return tuple(
        state
        for state in states
        if state.owner_key not in living or (state.deadline is not None and state.deadline <= now)
    )


def clean_up(state: GeneratorState, calls: Calls, settings: Settings) -> CleanedUp:
    """Ask the generator to remove what the state stands for."""
    try:
        calls.cleanup(way(state.store, state.namespace, settings), state.state)
    except (CallError, SyncError) as error:
        return CleanedUp(
            state, f"GeneratorState {state.namespace}/{state.name}: clean-up failed: {error.message}"
        )
    return CleanedUp(state)


def roll_back(
    external_secret: ExternalSecret, made: Iterable[MadeState], calls: Calls, now: datetime
) -> tuple[GeneratorState, ...]:
    """Remove at once what was made for a sync that failed. What can't be removed now is returned, overdue, to be stored and
    tried again.
    """
    left = []
    for item in made:
        try:
            calls.cleanup(item.via, item.state)
        except CallError:
            if is_document(item.state):
                left.append(item)
    return tuple(replace(state, deadline=now) for state in to_store(external_secret, left, now))
