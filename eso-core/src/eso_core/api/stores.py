"""SecretStore, ClusterSecretStore, Generator and ClusterGenerator (v2alpha1): where a provider is, which of its objects to
use, and who may use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from provider_common import spec as sdk
from provider_common.errors import InvalidSpecError, ProviderError
from provider_common.spec import Block, NamespaceName, ObjectName, Spec
from provider_common.values import compile_name
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from eso_core.api.duration import GoDuration
from eso_core.api.meta import GENERATOR_API_VERSION, STORE_API_VERSION, Meta, parse_meta

DIALECT_ANNOTATION = "eso-core.external-secrets.io/dialect"
"""On a store: how its provider names store kinds. `secret-store` (the default) or `provider`."""


def _address(text: str) -> str:
    if "://" in text or text.startswith(("/", "unix:")):
        raise ValueError(
            "has to be host:port without a scheme (Unix sockets are not supported: "
            "run the provider as a Deployment and write its Service, such as provider-aws.external-secrets.svc:8080)"
        )
    host, separator, port = text.rpartition(":")
    if not separator or not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError("has to be host:port, such as provider-aws.external-secrets.svc:8080")
    return text


def _pattern(text: str) -> str:
    try:
        compile_name(text)
    except ProviderError:
        raise ValueError(
            "is not an RE2 pattern (look-around and back-references are not supported)"
        ) from None
    return text


Address = Annotated[str, AfterValidator(_address)]
NamePattern = Annotated[str, AfterValidator(_pattern)]


class ProviderRef(Block):
    """The provider's own configuration object."""

    api_version: Annotated[str, StringConstraints(pattern=r"^([^/\s]+/[^/\s]+)?$")] = ""
    kind: Annotated[str, StringConstraints(min_length=1)]
    name: ObjectName
    namespace: NamespaceName | None = None


class ClientCertificate(Block):
    """Secret with the core's client certificate; empty means the core's own."""

    name: ObjectName | None = None
    namespace: NamespaceName | None = None


class ServiceAccountRef(Block):
    """ServiceAccount whose token the core would send; empty means none."""

    name: ObjectName | None = None
    namespace: NamespaceName | None = None
    audiences: tuple[str, ...] = ()


class ProviderAuth(Block):
    """How the core authenticates itself to the provider."""

    client_certificate: ClientCertificate | None = None
    service_account_ref: ServiceAccountRef | None = None


class ProviderConfig(Block):
    """Where the provider is, and which of its objects to use."""

    address: Address
    auth: ProviderAuth | None = None
    provider_ref: ProviderRef


class RetrySettings(Block):
    """How the provider tries backend calls again."""

    max_retries: int | None = Field(None, ge=0)
    retry_interval: GoDuration = ""


class LabelSelectorRequirement(Block):
    """One requirement on one label."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_where_they_count(self) -> Self:
        # Without values, NotIn would select everything: a condition that allows all namespaces by mistake.
        if (self.operator in {"In", "NotIn"}) is not bool(self.values):
            needs = "needs values" if not self.values else "takes no values"
            raise ValueError(f"values: operator {self.operator} {needs}")
        return self


class LabelSelector(Block):
    """Selects by label; an empty one selects all."""

    match_labels: Mapping[str, str] = Field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class Condition(Block):
    """Allows namespaces. Any part that matches allows; an empty one allows none."""

    namespace_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_regexes: tuple[NamePattern, ...] = ()


class StoreSpec(Spec):
    """What all four kinds share."""

    namespaced: ClassVar[bool] = True

    refresh_interval: GoDuration = ""
    controller: str = ""
    gating_policy: Literal["Enabled", "Disabled"] = "Enabled"
    retry_settings: RetrySettings | None = None
    provider_config: ProviderConfig


class SecretStoreSpec(StoreSpec):
    """A store for one namespace."""

    kind: ClassVar = "SecretStore"


class ClusterSecretStoreSpec(StoreSpec):
    """A store for the namespaces that `conditions` allow."""

    kind: ClassVar = "ClusterSecretStore"
    namespaced: ClassVar = False

    authentication_scope: Literal["ProviderNamespace", "ManifestNamespace"] = "ProviderNamespace"
    conditions: tuple[Condition, ...] = ()


class GeneratorSpec(StoreSpec):
    """A generator for one namespace."""

    kind: ClassVar = "Generator"


class ClusterGeneratorSpec(StoreSpec):
    """A generator for the namespaces that `conditions` allow."""

    kind: ClassVar = "ClusterGenerator"
    namespaced: ClassVar = False

    authentication_namespace: Literal["ProviderReference", "ManifestReference"] = "ProviderReference"
    conditions: tuple[Condition, ...] = ()


AnySpec: TypeAlias = SecretStoreSpec | ClusterSecretStoreSpec | GeneratorSpec | ClusterGeneratorSpec
_SPECS: Mapping[tuple[str, str], type[AnySpec]] = {
    (STORE_API_VERSION, "SecretStore"): SecretStoreSpec,
    (STORE_API_VERSION, "ClusterSecretStore"): ClusterSecretStoreSpec,
    (GENERATOR_API_VERSION, "Generator"): GeneratorSpec,
    (GENERATOR_API_VERSION, "ClusterGenerator"): ClusterGeneratorSpec,
}
STORE_KINDS = frozenset(_SPECS)
"""(apiVersion, kind) of everything that `parse_store` knows."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store or a generator, as the user wrote it."""

    meta: Meta
    spec: AnySpec

    @property
    def kind(self) -> str:
        """SecretStore, ClusterSecretStore, Generator or ClusterGenerator."""
        return self.spec.kind

    @property
    def api_version(self) -> str:
        """Group and version of the store or generator itself."""
        return GENERATOR_API_VERSION if self.generates else STORE_API_VERSION

    @property
    def generates(self) -> bool:
        """True for a Generator or a ClusterGenerator."""
        return isinstance(self.spec, GeneratorSpec | ClusterGeneratorSpec)

    @property
    def where(self) -> str:
        """The object in words, for messages."""
        return self.meta.where(self.kind)

    @property
    def dialect(self) -> str:
        """How this store's provider names store kinds; empty when the store does not say."""
        return self.meta.annotations.get(DIALECT_ANNOTATION, "")

    @property
    def provider_api_version(self) -> str:
        """Group and version of the provider's configuration object."""
        default = sdk.GENERATOR_API_VERSION if self.generates else sdk.STORE_API_VERSION
        return self.spec.provider_config.provider_ref.api_version or default


def parse_store(manifest: Mapping[str, Any]) -> Store:
    """The store or generator in `manifest`. Raises InvalidSpecError naming the object, the field and the reason."""
    model = _SPECS[str(manifest.get("apiVersion")), str(manifest.get("kind"))]
    meta = parse_meta(manifest, namespaced=model.namespaced)
    where = meta.where(model.kind)
    raw = manifest.get("spec")
    if not isinstance(raw, Mapping):
        raise InvalidSpecError(f"{where}: spec: is required")
    dialect = meta.annotations.get(DIALECT_ANNOTATION, "secret-store")
    if dialect not in {"secret-store", "provider"}:
        raise InvalidSpecError(
            f"{where}: annotation {DIALECT_ANNOTATION}: has to be secret-store or provider"
        )
    return Store(meta, model.parse(raw, where=where))
