"""The few reads that a provider needs from Kubernetes, as a protocol with two implementations: a cluster, and a folder of
manifests. Configuration objects come from a watch; Secrets and tokens are read one by one, never listed or watched.

Only the AuthResolver reads Secrets, ConfigMaps and ServiceAccounts: a provider's author never sees this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, eq=False)
class KubeObject:
    """A configuration object as it was last seen. Compared by identity: a changed object is a new one."""

    api_version: str
    kind: str
    namespace: str
    name: str
    spec: Mapping[str, Any] = field(repr=False)
    uid: str = ""
    generation: int = 0
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class ServiceAccountInfo:
    """A ServiceAccount. `secrets` names the legacy token Secrets listed on it."""

    namespace: str
    name: str
    uid: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A ServiceAccount token. `expires_at` and `issued_at` are seconds since the epoch."""

    value: str = field(repr=False)
    issued_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class ServedType:
    """A type of configuration object to watch. `plural` is the name in the API path. An `optional` type is looked for
    quietly: its CRD need not be installed.
    """

    api_version: str
    kind: str
    plural: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How fresh the configuration objects are. `ages` gives, per GROUP/VERSION/KIND, the seconds since the last sign of
    life of its watch; a type never seen has none.
    """

    synced: bool
    ages: Mapping[str, float] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


class KubeReader(Protocol):
    """What the SDK reads. Reads raise TemporaryError when the source can't be asked, AccessDeniedError when it refuses."""

    def start(self, types: tuple[ServedType, ...]) -> None:
        """Begin to follow the objects of `types`, in every namespace. Returns at once."""

    def get_object(self, api_version: str, kind: str, namespace: str, name: str) -> KubeObject | None:
        """The object as last seen; None when there is none. Waits only while the first list is under way.

        Raises TemporaryError when its type could not be listed yet.
        """

    def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The Secret's data; None when there is no such Secret."""

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The ConfigMap's data and binaryData; None when there is no such ConfigMap."""

    def read_service_account(self, namespace: str, name: str) -> ServiceAccountInfo | None:
        """The ServiceAccount; None when there is none."""

    def create_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
    ) -> IssuedToken:
        """A token of the ServiceAccount (TokenRequest). Raises MissingReferenceError when there is no such account, and
        UnsupportedError where tokens can't be had (a folder).
        """

    def status(self) -> WatchStatus:
        """How fresh the objects are."""

    def close(self) -> None:
        """Stop following."""
