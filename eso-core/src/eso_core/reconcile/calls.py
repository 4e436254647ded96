"""What reconciling asks of providers, as a protocol, and what can go wrong. Who answers (a gRPC client, a test's table) is
nobody's business here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from eso_core.api.externalsecret import Find, RemoteRef
from eso_core.api.stores import Store


@dataclass(frozen=True, slots=True)
class Via:
    """The way to a provider's configuration object, for one caller: everything a request says beside its subject."""

    address: str
    api_version: str
    kind: str
    name: str
    namespace: str
    source_namespace: str
    store_ref_kind: str
    store: Store = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a provider says about a store."""

    valid: bool
    error: str = ""
    warnings: tuple[str, ...] = ()
    capabilities: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """New values, and the JSON state that `cleanup` needs; an empty state means that nothing has to be cleaned up."""

    data: Mapping[str, bytes] = field(repr=False)
    state: bytes = field(default=b"", repr=False)


class CallError(Exception):
    """A call failed. The text is for users: it names the thing and the reason, and holds no value.

    `code` is the stable code of the contract (`ACCESS_DENIED`) or, from a peer that sends none, the status's name.
    """

    def __init__(
        self,
        message: str,
        /,
        *,
        code: str = "UNKNOWN",
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """`retry_after` is in seconds."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class AbsentError(CallError):
    """The backend itself says that it has no such secret: under `deletionPolicy` a Secret may be deleted on this."""


class Calls(Protocol):
    """Calls to providers. Each raises CallError."""

    def get_secret(self, via: Via, ref: RemoteRef) -> bytes:
        """One value. Raises AbsentError when the backend has no such secret."""

    def get_secret_map(self, via: Via, ref: RemoteRef) -> Mapping[str, bytes]:
        """One secret as a map. Raises AbsentError when the backend has no such secret."""

    def get_all_secrets(self, via: Via, find: Find) -> Mapping[str, bytes]:
        """Everything that `find` selects; nothing found is an empty map. Never raises AbsentError."""

    def validate(self, via: Via) -> Verdict:
        """Whether the store can be used, and what it can do."""

    def check_health(self, via: Via) -> None:
        """Return when the provider serves. A generator has no other way to be validated."""

    def generate(self, via: Via) -> Made:
        """New values."""

    def cleanup(self, via: Via, state: bytes) -> None:
        """Remove what `generate` left behind. Nothing left to remove is a success."""
