"""ExternalSecret (external-secrets.io/v1): what to fetch, and what Secret to make of it.

Fields that this core does not act on are refused by name. A field that is accepted is obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from provider_common.errors import InvalidSpecError
from provider_common.spec import Block, DataKey, ObjectName, OneOf, Spec
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from eso_core.api.duration import GoDuration, parse_duration
from eso_core.api.meta import EXTERNAL_SECRET_API_VERSION, Meta, parse_meta

DecodingStrategy = Literal["", "None", "Base64", "Base64URL", "Auto"]
ConversionStrategy = Literal["", "Default", "Unicode"]
NullBytePolicy = Literal["", "Ignore", "Fail"]
CreationPolicy = Literal["Owner", "Orphan", "Merge", "CreateOrMerge", "None"]
DeletionPolicy = Literal["Retain", "Delete", "Merge"]
DEFAULT_REFRESH = 3600.0
"""Seconds between syncs when the manifest says nothing."""


def _unsupported(value: Any) -> Any:
    if value is not None:
        raise ValueError("is not supported by this core: remove it")
    return value


Unsupported = Annotated[Any, BeforeValidator(_unsupported)]


class StoreRef(Block):
    """Names a store. `apiVersion` decides which generation of stores is meant."""

    api_version: str = ""
    kind: Annotated[str, StringConstraints(min_length=1)] = "SecretStore"
    name: ObjectName


class GeneratorRef(Block):
    """Names a generator."""

    api_version: str = ""
    kind: Annotated[str, StringConstraints(min_length=1)]
    name: ObjectName


class RemoteRef(Block):
    """Names what to read."""

    key: Annotated[str, StringConstraints(min_length=1)]
    property: str = ""
    version: str = ""
    metadata_policy: Literal["", "None", "Fetch"] = "None"
    conversion_strategy: ConversionStrategy = "Default"
    decoding_strategy: DecodingStrategy = "None"
    null_byte_policy: NullBytePolicy = "Ignore"


class FindName(Block):
    """Selects by name."""

    regexp: str = ""


class Find(Block):
    """Selects what to read."""

    path: str = ""
    name: FindName | None = None
    tags: Mapping[str, str] = Field(default_factory=dict)
    conversion_strategy: ConversionStrategy = "Default"
    decoding_strategy: DecodingStrategy = "None"
    null_byte_policy: NullBytePolicy = "Ignore"


class Regexp(Block):
    """Replaces every match in a key."""

    source: str
    target: str


class Transform(Block):
    """Makes a new key from `.value`, the old one."""

    template: str


class Merge(Block):
    """Joins values that are JSON objects."""

    into: str = ""
    priority: tuple[str, ...] = ()
    priority_policy: Literal["", "Strict", "IgnoreNotFound"] = "Strict"
    conflict_policy: Literal["", "Error", "Ignore"] = "Error"
    strategy: Literal["", "Extract", "JSON"] = "Extract"

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if self.strategy == "JSON" and not self.into:
            raise ValueError("into is required with strategy JSON: name the key for the merged object")
        return self


class Rewrite(OneOf):
    """One step in renaming what was fetched."""

    regexp: Regexp | None = None
    transform: Transform | None = None
    merge: Merge | None = None


class DataSource(Block):
    """Another store for one entry of `data`."""

    store_ref: StoreRef | None = None
    generator_ref: Unsupported = None

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.store_ref is None:
            raise ValueError("storeRef is required: name a store, or remove sourceRef")
        return self


class Source(OneOf):
    """Another store, or a generator, for one entry of `dataFrom`."""

    store_ref: StoreRef | None = None
    generator_ref: GeneratorRef | None = None


class Data(Block):
    """One key of the Secret, from one value."""

    secret_key: DataKey
    remote_ref: RemoteRef
    source_ref: DataSource | None = None


class DataFrom(Block):
    """Several keys of the Secret at once."""

    extract: RemoteRef | None = None
    find: Find | None = None
    source_ref: Source | None = None
    rewrite: tuple[Rewrite, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        generator = self.source_ref is not None and self.source_ref.generator_ref is not None
        given = [self.extract is not None, self.find is not None, generator]
        if sum(given) != 1:
            raise ValueError("exactly one of extract, find and sourceRef.generatorRef has to be given")
        return self


class TemplateItem(Block):
    """One key of a ConfigMap or Secret to use as a template."""

    key: DataKey
    template_as: Literal["", "Values", "KeysAndValues"] = "Values"


class TemplateSource(Block):
    """A ConfigMap or Secret with templates, in the ExternalSecret's namespace."""

    name: ObjectName
    items: tuple[TemplateItem, ...] = Field(min_length=1)


class TemplateFrom(Block):
    """Templates that are written elsewhere, or literally."""

    config_map: TemplateSource | None = None
    secret: TemplateSource | None = None
    literal: str | None = None
    target: Annotated[str, StringConstraints(pattern=r"^(?i:data|annotations|labels)?$")] = "Data"
    values_decoding_strategy: DecodingStrategy = "None"

    @model_validator(mode="after")
    def _given(self) -> Self:
        if sum(part is not None for part in (self.config_map, self.secret, self.literal)) != 1:
            raise ValueError("exactly one of configMap, secret and literal has to be given")
        return self


class TemplateMetadata(Block):
    """Metadata of the Secret."""

    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


class Template(Block):
    """How the Secret is made of what was fetched."""

    engine_version: Annotated[str, StringConstraints(pattern=r"^(v2)?$")] = "v2"
    type: str = ""
    merge_policy: Literal["", "Replace", "Merge"] = "Replace"
    metadata: TemplateMetadata | None = None
    data: Mapping[DataKey, str] = Field(default_factory=dict)
    template_from: tuple[TemplateFrom, ...] = ()


class Target(Block):
    """The Secret."""

    name: ObjectName | None = None
    creation_policy: CreationPolicy = "Owner"
    deletion_policy: DeletionPolicy = "Retain"
    immutable: bool = False
    template: Template | None = None
    manifest: Unsupported = None


class ExternalSecretSpec(Spec):
    """What to fetch, how often, and what Secret to make of it."""

    kind: ClassVar = "ExternalSecret"

    secret_store_ref: StoreRef | None = None
    refresh_policy: Literal["", "Periodic", "OnChange", "CreatedOnce"] = "Periodic"
    refresh_interval: GoDuration = ""
    sync_windows: Unsupported = None
    target: Target = Field(default_factory=Target)
    data: tuple[Data, ...] = ()
    data_from: tuple[DataFrom, ...] = ()

    @model_validator(mode="after")
    def _admissible(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> list[str]:
        target, found = self.target, []
        if not self.data and not self.data_from:
            found.append("one of data and dataFrom has to be given")
        if target.deletion_policy == "Delete" and target.creation_policy in {
            "Merge",
            "CreateOrMerge",
            "None",
        }:
            found.append(
                f"target.deletionPolicy Delete does not go with target.creationPolicy {target.creation_policy}: "
                "use creationPolicy Owner, or another deletionPolicy"
            )
        if target.deletion_policy == "Merge" and target.creation_policy == "None":
            found.append("target.deletionPolicy Merge does not go with target.creationPolicy None")
        if target.deletion_policy == "Retain":
            keys = [entry.secret_key for entry in self.data]
            found += [
                f"data: secretKey {key!r} is given more than once"
                for key in sorted({k for k in keys if keys.count(k) > 1})
            ]
        if target.template is not None:
            found += privileged(target.template)
        if self.secret_store_ref is None:
            found += [
                f"{path}: names no store: give secretStoreRef or sourceRef.storeRef"
                for path in self._storeless()
            ]
        return found

    def _storeless(self) -> list[str]:
        paths = [f"data[{i}]" for i, entry in enumerate(self.data) if entry.source_ref is None]
        return paths + [
            f"dataFrom[{i}]" for i, entry in enumerate(self.data_from) if entry.source_ref is None
        ]


def privileged(template: Template) -> list[str]:
    """Why `template` would make a Secret that Kubernetes itself trusts; empty when it would not."""
    if template.type == "bootstrap.kubernetes.io/token":
        return ["target.template.type: bootstrap.kubernetes.io/token is not allowed"]
    if template.type == "kubernetes.io/service-account-token":
        annotations = template.metadata.annotations if template.metadata else {}
        from_elsewhere = any(entry.target.lower() == "annotations" for entry in template.template_from)
        if "kubernetes.io/service-account.name" in annotations or from_elsewhere:
            return [
                (
                    "target.template.type: kubernetes.io/service-account-token is not allowed together with the annotation "
                    "kubernetes.io/service-account.name or with templateFrom target Annotations"
                )
            ]
    return []


@dataclass(frozen=True, slots=True)
class ExternalSecret:
    """An ExternalSecret, as the user wrote it."""

    meta: Meta
    spec: ExternalSecretSpec

    @property
    def where(self) -> str:
        """The object in words, for messages."""
        return self.meta.where("ExternalSecret")

    @property
    def target_name(self) -> str:
        """Name of the Secret."""
        return self.spec.target.name or self.meta.name

    @property
    def refresh_seconds(self) -> float:
        """Seconds between syncs; 0 or less means "once"."""
        text = self.spec.refresh_interval
        return parse_duration(text) if text else DEFAULT_REFRESH


def parse_external_secret(manifest: Mapping[str, Any]) -> ExternalSecret:
    """The ExternalSecret in `manifest`. Raises InvalidSpecError naming the object, the field and the reason."""
    meta = parse_meta(manifest, namespaced=True)
    where = meta.where("ExternalSecret")
    if manifest.get("apiVersion") != EXTERNAL_SECRET_API_VERSION:
        raise InvalidSpecError(f"{where}: apiVersion: write {EXTERNAL_SECRET_API_VERSION}")
    raw = manifest.get("spec")
    if not isinstance(raw, Mapping):
        raise InvalidSpecError(f"{where}: spec: is required")
    return ExternalSecret(meta, ExternalSecretSpec.parse(raw, where=where))
