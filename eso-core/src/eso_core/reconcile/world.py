"""What is there, as reconciling sees it: other manifests, existing Secrets, what the last sync left. A folder or a cluster
stands behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from eso_core.api.generatorstate import GeneratorState
from eso_core.api.secrets import Secret
from eso_core.api.stores import Store


@dataclass(frozen=True, slots=True)
class Managed:
    """Which parts of an existing Secret are ours (what Kubernetes keeps as managed fields)."""

    data: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a store may be used. `message` says why not."""

    ready: bool
    reason: str
    message: str = ""
    capabilities: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """What the last sync of an ExternalSecret left in its status."""

    refresh_time: datetime | None = None
    synced_version: str = ""
    reason: str = ""
    ready: bool = False
    message: str = ""
    target: str = ""
    """Name of the Secret that `managed` is about."""
    managed: Managed = field(default_factory=Managed)
    inputs: str = ""
    """Hash over the objects that the last sync depended on; empty when the runtime keeps none."""

    def managed_in(self, target: str) -> Managed:
        """Which parts of the Secret `target` are ours: none when the last sync was about another one."""
        return self.managed if self.target == target else Managed()


class World(Protocol):
    """Reads of what is there. A manifest that is there but can't be used raises InvalidSpecError with the reason."""

    def store(self, kind: str, namespace: str, name: str) -> Store | None:
        """A SecretStore, ClusterSecretStore, Generator or ClusterGenerator. `namespace` is empty for cluster kinds."""

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace, `kubernetes.io/metadata.name` included."""

    def secret(self, namespace: str, name: str) -> Secret | None:
        """A Secret as it is now."""

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """Content of a ConfigMap."""

    def readiness(self, store: Store) -> Readiness:
        """What the store's own reconciling found last."""

    def generator_states(self, namespace: str, owner_key: str) -> Sequence[GeneratorState]:
        """States that are kept for one entry of an ExternalSecret."""
