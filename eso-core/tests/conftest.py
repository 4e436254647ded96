"""A world without files and calls without a network: what the pure part of the core is tested in."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from eso_core.api.externalsecret import ExternalSecret, Find, RemoteRef, parse_external_secret
from eso_core.api.generatorstate import GeneratorState
from eso_core.api.secrets import Secret, parse_secret
from eso_core.api.stores import Store, parse_store
from eso_core.reconcile.calls import AbsentError, Made, Verdict, Via
from eso_core.reconcile.conditions import NAME_LABEL
from eso_core.reconcile.externalsecret import Outcome, Reconciler, Trigger
from eso_core.reconcile.routing import Settings
from eso_core.reconcile.world import Readiness, SyncStatus

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

STORE = """
apiVersion: secretstore.external-secrets.io/v2alpha1
kind: SecretStore
metadata: {name: main, namespace: team-a}
spec:
  providerConfig:
    address: provider-contrib.default.svc:8080
    providerRef: {kind: Fake, name: values}
"""
CLUSTER_STORE = """
apiVersion: secretstore.external-secrets.io/v2alpha1
kind: ClusterSecretStore
metadata: {name: shared}
spec:
  providerConfig:
    address: provider-contrib.default.svc:8080
    providerRef: {kind: Fake, name: values, namespace: platform}
"""
GENERATOR = """
apiVersion: generator.external-secrets.io/v2alpha1
kind: Generator
metadata: {name: password, namespace: team-a}
spec:
  providerConfig:
    address: provider-password.default.svc:8080
    providerRef: {kind: Password, name: strong}
"""
HEAD = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: app, namespace: team-a}
"""
USUAL = {"SecretStore": STORE, "ClusterSecretStore": CLUSTER_STORE, "Generator": GENERATOR}


def manifest(text: str, /, **changes: Any) -> dict[str, Any]:
    """`text` as a manifest; `changes` are set at dotted paths, with `__` for the dots."""
    content: dict[str, Any] = yaml.safe_load(textwrap.dedent(text))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return content


def external_secret(spec: str, **changes: Any) -> ExternalSecret:
    """An ExternalSecret `team-a/app` with this spec."""
    content = manifest(HEAD) | {"spec": manifest(spec)}
    for path, value in changes.items():
        content["metadata"][path] = value
    return parse_external_secret(content)


@dataclass
class TableCalls:
    """Answers calls from tables, and remembers them. What is in no table is absent; an exception in a table is raised."""

    secrets: dict[str, bytes | Exception] = field(default_factory=dict)
    maps: dict[str, Mapping[str, bytes] | Exception] = field(default_factory=dict)
    found: Mapping[str, bytes] | Exception = field(default_factory=dict)
    made: list[Made | Exception] = field(default_factory=list)
    verdict: Verdict | Exception = field(default_factory=lambda: Verdict(valid=True))
    health: Exception | None = None
    cleanup_error: Exception | None = None
    asked: list[tuple[str, Via, Any]] = field(default_factory=list)

    def _answer(self, method: str, via: Via, subject: Any, answer: Any) -> Any:
        self.asked.append((method, via, subject))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_secret(self, via: Via, ref: RemoteRef) -> bytes:
        absent = AbsentError(f"Secret does not exist: {ref.key!r}")
        value: bytes = self._answer("get_secret", via, ref, self.secrets.get(ref.key, absent))
        return value

    def get_secret_map(self, via: Via, ref: RemoteRef) -> Mapping[str, bytes]:
        absent = AbsentError(f"Secret does not exist: {ref.key!r}")
        value: Mapping[str, bytes] = self._answer("get_secret_map", via, ref, self.maps.get(ref.key, absent))
        return value

    def get_all_secrets(self, via: Via, find: Find) -> Mapping[str, bytes]:
        value: Mapping[str, bytes] = self._answer("get_all_secrets", via, find, self.found)
        return value

    def validate(self, via: Via) -> Verdict:
        value: Verdict = self._answer("validate", via, None, self.verdict)
        return value

    def check_health(self, via: Via) -> None:
        self._answer("check_health", via, None, self.health)

    def generate(self, via: Via) -> Made:
        value: Made = self._answer("generate", via, None, self.made.pop(0))
        return value

    def cleanup(self, via: Via, state: bytes) -> None:
        self._answer("cleanup", via, state, self.cleanup_error)

    def methods(self) -> list[str]:
        return [method for method, _via, _subject in self.asked]

    def vias(self, method: str) -> list[Via]:
        return [via for asked, via, _subject in self.asked if asked == method]


@dataclass
class PlainWorld:
    """A world of dicts."""

    stores: dict[tuple[str, str, str], Store] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], Secret] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], Mapping[str, bytes]] = field(default_factory=dict)
    states: list[GeneratorState] = field(default_factory=list)
    unready: dict[str, Readiness] = field(default_factory=dict)
    asked_readiness: list[str] = field(default_factory=list)

    def add(self, text: str, /, **changes: Any) -> Store:
        store = parse_store(manifest(text, **changes))
        self.stores[store.kind, store.meta.namespace, store.meta.name] = store
        return store

    def change(self, kind: str, /, **changes: Any) -> Store:
        """Put the usual store or generator of `kind` here, changed."""
        return self.add(USUAL[kind], **changes)

    def add_secret(self, text: str) -> Secret:
        secret = parse_secret(manifest(text))
        self.secrets[secret.meta.namespace, secret.meta.name] = secret
        return secret

    def store(self, kind: str, namespace: str, name: str) -> Store | None:
        return self.stores.get((kind, namespace, name))

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return {**self.labels.get(namespace, {}), NAME_LABEL: namespace}

    def secret(self, namespace: str, name: str) -> Secret | None:
        return self.secrets.get((namespace, name))

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return self.config_maps.get((namespace, name))

    def readiness(self, store: Store) -> Readiness:
        self.asked_readiness.append(store.meta.name)
        return self.unready.get(store.meta.name, Readiness(ready=True, reason="Valid"))

    def generator_states(self, namespace: str, owner_key: str) -> Sequence[GeneratorState]:
        return [
            state for state in self.states if (state.namespace, state.owner_key) == (namespace, owner_key)
        ]


@dataclass
class Bench:
    """One ExternalSecret after the other, in one world; what is decided is done, as a runtime would."""

    world: PlainWorld
    calls: TableCalls
    settings: Settings = field(default_factory=Settings)
    status: SyncStatus = field(default_factory=SyncStatus)
    now: datetime = NOW

    def sync(
        self,
        spec: str | ExternalSecret,
        *,
        trigger: Trigger = Trigger.SCHEDULE,
        inputs: str = "",
        **metadata: Any,
    ) -> Outcome:
        item = external_secret(spec, **metadata) if isinstance(spec, str) else spec
        reconciler = Reconciler(self.world, self.calls, self.settings)
        outcome = reconciler.reconcile(item, self.status, self.now, trigger=trigger, inputs=inputs)
        self.status = outcome.status
        replaced = {state.name for state in outcome.retired}
        self.world.states = [s for s in self.world.states if s.name not in replaced]
        self.world.states += [*outcome.retired, *outcome.states]
        key = (item.meta.namespace, item.target_name)
        if outcome.secret is not None:
            self.world.secrets[key] = outcome.secret
        if outcome.delete:
            self.world.secrets.pop(key)
        return outcome

    def later(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    def data(self, namespace: str = "team-a", name: str = "app") -> Mapping[str, bytes]:
        return self.world.secrets[namespace, name].data


@pytest.fixture
def world() -> PlainWorld:
    """A world with a namespaced store, a cluster store and a generator."""
    made = PlainWorld()
    for kind in USUAL:
        made.change(kind)
    return made


@pytest.fixture
def calls() -> TableCalls:
    """Calls answered from tables."""
    return TableCalls()


@pytest.fixture
def bench(world: PlainWorld, calls: TableCalls) -> Bench:
    """One ExternalSecret after the other."""
    return Bench(world, calls)


@pytest.fixture
def make() -> Callable[..., ExternalSecret]:
    """Makes an ExternalSecret from the text of its spec."""
    return external_secret
