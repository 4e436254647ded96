"""What a core asks and what a provider answers, as frozen values. No protobuf, no grpc.

Values of secrets are left out of every `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from provider_common.errors import InvalidRequestError
from provider_common.values import compile_name, parse_push_metadata, whole_secret

MetadataPolicy = Literal["None", "Fetch"]
MetadataT = TypeVar("MetadataT", bound=BaseModel)
_ModelType: TypeAlias = type[MetadataT]  # inside PushData, `type` is a field


@dataclass(frozen=True, slots=True)
class RemoteRef:
    """Names what to read. `get_secret` sees key, version and metadata_policy; the SDK applies `property` afterwards."""

    key: str
    version: str = ""
    property: str = ""
    metadata_policy: MetadataPolicy = "None"


@dataclass(frozen=True, slots=True)
class Find:
    """Selects secrets. `name` is an RE2 pattern, searched anywhere in the name; None means "not asked"."""

    path: str = ""
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    conversion_strategy: str = "Default"

    def name_matches(self, name: str) -> bool:
        """True when no pattern was asked for, or when it is found in `name`. Raises InvalidSpecError for a bad pattern."""
        return self.name is None or compile_name(self.name).matches(name)


@dataclass(frozen=True, slots=True)
class PushRemoteRef:
    """Names what was pushed: a whole secret, or one property of it."""

    remote_key: str
    property: str = ""


@dataclass(frozen=True, slots=True)
class PushData:
    """A Secret, and what of it goes where. `secret_key` empty means all of it."""

    remote_key: str
    property: str = ""
    secret_key: str = ""
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    type: str = "Opaque"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict, repr=False)
    metadata: bytes = field(default=b"", repr=False)
    source_namespace: str = ""
    """Namespace of the PushSecret: what its metadata names is there."""

    def value(self) -> bytes:
        """The bytes to write: one key's value, or the whole Secret as a JSON object of texts with sorted keys.

        Raises InvalidRequestError when the Secret has no key `secret_key`.
        """
        if not self.secret_key:
            return whole_secret(self.data)
        try:
            return self.data[self.secret_key]
        except KeyError:
            raise InvalidRequestError(
                f"The Secret to push has no key {self.secret_key!r}: correct match.secretKey in the PushSecret",
                details={"secretKey": self.secret_key},
            ) from None

    def options(self, model: _ModelType[MetadataT]) -> MetadataT:
        """The PushSecret's `metadata` as `model`: strict, field names in any case, defaults when absent.

        Raises InvalidSpecError naming the field.
        """
        return parse_push_metadata(self.metadata, model)


@dataclass(frozen=True, slots=True)
class Generated:
    """New values, and what `cleanup` needs to remove what they stand for. `state` is JSON, None when stateless."""

    data: Mapping[str, bytes] = field(repr=False)
    state: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How backend calls are tried again: `max_retries` tries after the first, `interval` seconds apart.

    None means that the user said nothing, and the provider's own default holds.
    """

    max_retries: int | None = None
    interval: float | None = None


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """The store or generator that the user pointed at, when the core sends it.

    `spec` is the manifest's spec as JSON-like data, in the manifest's own field names.
    """

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
