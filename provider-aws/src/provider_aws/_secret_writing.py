"""Writing secrets. What is ours carries the tag `managed-by: external-secrets`; nothing else is changed or removed.

A push that would change nothing writes nothing. What the push's metadata does not mention is not touched: tags, the
resource policy, replicas. Description and KMS key are those of the creation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from provider_common import (
    Block,
    ConfigMapKeySelector,
    ConflictError,
    Context,
    InvalidRequestError,
    MissingReferenceError,
    NoSecretError,
    PushData,
    SecretKeySelector,
)
from provider_common.spec import DataKey, ObjectName
from provider_common.values import without_property
from pydantic import model_validator

from provider_aws._push import (
    DESCRIPTION,
    Push,
    Tags,
    Writer,
    as_list,
    check_owner,
    owned,
    surplus,
    with_owner,
)
from provider_aws._values import CURRENT, tags_of, value_of
from provider_aws.spec import AWSSecretManagerSpec

if TYPE_CHECKING:
    from provider_aws._client import Client

FIRST_VERSION = "00000000-0000-0000-0000-000000000001"
"""The token of a first version: a creation that is tried again, by whomever, makes no second one."""


class PolicySource(Block):
    """Where the text of a resource policy is, in the PushSecret's namespace."""

    kind: Literal["ConfigMap", "Secret"]
    name: ObjectName
    key: DataKey


class ResourcePolicy(Block):
    """The resource policy of the secret. An empty text removes it."""

    block_public_policy: bool | None = None
    policy_source_ref: PolicySource


class SecretOptions(Block):
    """`metadata.spec` of a PushSecret entry."""

    tags: Tags | None = None
    description: str = DESCRIPTION
    secret_push_format: Literal["binary", "string"] = "binary"  # noqa: S105 - a format
    kms_key_id: str = "alias/aws/secretsmanager"
    resource_policy: ResourcePolicy | None = None
    replication_locations: tuple[str, ...] | None = None

    @property
    def as_text(self) -> bool:
        """True when values are stored as text."""
        return self.secret_push_format == "string"  # noqa: S105

    @model_validator(mode="after")
    def _no_region_twice(self) -> Self:
        regions = self.replication_locations or ()
        if len(set(regions)) != len(regions):
            raise ValueError("replicationLocations names a region twice")
        return self


@dataclass(frozen=True, slots=True)
class SecretPush(Push):
    """A push, and how the secret is to be. `policy` None: the metadata does not mention one."""

    options: SecretOptions
    policy: str | None = field(repr=False)


class SecretWriter(Writer[SecretPush]):
    """Pushes and deletes secrets."""

    noun: ClassVar[str] = "secret"

    def __init__(self, ctx: Context[AWSSecretManagerSpec], client: Client) -> None:
        super().__init__(ctx, client)
        self._auth = ctx.auth
        self._how_to_delete = ctx.spec.secrets_manager

    def _prepare(self, data: PushData, name: str, what: str) -> SecretPush:
        options = data.options(SecretOptions)
        return SecretPush(name, what, data.property, data.value(), options, self._policy(options, data))

    def _policy(self, options: SecretOptions, data: PushData) -> str | None:
        if options.resource_policy is None:
            return None
        source = options.resource_policy.policy_source_ref
        # The namespace is the PushSecret's, whatever the scope of the store's own credentials is.
        where = {"name": source.name, "key": source.key, "namespace": data.source_namespace}
        if source.kind == "ConfigMap":
            content = self._auth.config_map_key(ConfigMapKeySelector.model_validate(where))
        else:
            content = self._auth.secret_key(SecretKeySelector.model_validate(where))
        text = content.decode("utf-8", "replace").strip()
        if text and _json(text) is None:
            raise InvalidRequestError(
                f"The resource policy in {source.kind} {source.name!r} (key {source.key!r}) is not a JSON object"
            )
        return text

    def _find(self, name: str, what: str, *, decrypt: bool = True) -> dict[str, Any] | None:
        try:
            return self._client.call("DescribeSecret", what, SecretId=name)
        except NoSecretError:
            return None

    def _create(self, push: SecretPush) -> None:
        more: dict[str, Any] = {}
        if push.options.replication_locations:
            more["AddReplicaRegions"] = _regions(push, push.options.replication_locations)
        self._client.call(
            "CreateSecret",
            push.what,
            Name=push.name,
            ClientRequestToken=FIRST_VERSION,
            Description=push.options.description,
            KmsKeyId=push.options.kms_key_id,
            Tags=as_list(with_owner(push.options.tags or {})),
            **_content(push.what, push.document(), as_text=push.options.as_text),
            **more,
        )
        if push.policy:
            self._put_policy(push, push.policy)

    def _update(self, push: SecretPush, found: Mapping[str, Any]) -> None:
        tags = tags_of(found)
        check_owner(push.what, tags)
        if found.get("DeletedDate") is not None:
            raise ConflictError(
                f"AWS keeps the name of {push.what} until {found['DeletedDate']:%Y-%m-%d}: it is scheduled for deletion;"
                " restore it, or wait"
            )
        self._check_primary(push.what, found)
        versions = found.get("VersionIdsToStages")
        current = self._current(push.name, push.what) if versions else None
        before = None if current is None else value_of(current, push.name)
        # Decided before anything is written: a value that can't be merged leaves everything as it is.
        document = push.document(before or b"")
        content = _content(push.what, document, as_text=push.options.as_text)
        self._patch_tags(push, tags)
        self._patch_policy(push)
        self._patch_replicas(push, found)
        if document != before:
            # A token that a version has already would not make another one.
            self._put_value(push.name, push.what, content, token=None if versions else FIRST_VERSION)

    def _remove(self, name: str, what: str, prop: str, found: Mapping[str, Any]) -> None:
        if found.get("DeletedDate") is not None or not owned(tags_of(found)):
            return
        self._check_primary(what, found)
        if prop:
            current = self._current(name, what)
            if current is None:
                return  # without a value there is no property
            before = value_of(current, name)
            rest = without_property(before, prop)
            if rest is not None:
                if rest != before:
                    as_text = current.get("SecretString") is not None
                    self._put_value(name, what, _content(what, rest, as_text=as_text))
                return
        try:
            if regions := _replicas(found):
                self._client.call(
                    "RemoveRegionsFromReplication", what, SecretId=name, RemoveReplicaRegions=sorted(regions)
                )
            self._client.call("DeleteSecret", what, SecretId=name, **self._how_to_delete.parameters())
        except (MissingReferenceError, NoSecretError):
            return  # gone since it was described

    def _check_primary(self, what: str, found: Mapping[str, Any]) -> None:
        primary = found.get("PrimaryRegion") or self._spec.plain_region
        if primary != self._spec.plain_region:
            raise ConflictError(
                f"AWS has only a replica of {what} in this region: use a store of region {primary!r}"
            )

    def _current(self, name: str, what: str) -> dict[str, Any] | None:
        try:
            return self._client.call("GetSecretValue", what, SecretId=name, VersionStage=CURRENT)
        except NoSecretError:
            return None  # versions without a current one

    def _put_value(
        self, name: str, what: str, content: Mapping[str, Any], *, token: str | None = None
    ) -> None:
        token = token or str(uuid.uuid4())
        self._client.call("PutSecretValue", what, SecretId=name, ClientRequestToken=token, **content)

    def _patch_tags(self, push: SecretPush, tags: Mapping[str, str]) -> None:
        if push.options.tags is None:
            return
        wanted = with_owner(push.options.tags)
        if keys := surplus(tags, wanted):
            self._client.call("UntagResource", push.what, SecretId=push.name, TagKeys=keys)
        if not wanted.items() <= tags.items():
            self._client.call("TagResource", push.what, SecretId=push.name, Tags=as_list(wanted))

    def _patch_policy(self, push: SecretPush) -> None:
        if push.policy is None:
            return
        present = self._client.call("GetResourcePolicy", push.what, SecretId=push.name).get("ResourcePolicy")
        if not push.policy:
            if present:
                self._client.call("DeleteResourcePolicy", push.what, SecretId=push.name)
        elif not present or _json(present) != _json(push.policy):
            self._put_policy(push, push.policy)

    def _put_policy(self, push: SecretPush, policy: str) -> None:
        block = push.options.resource_policy.block_public_policy if push.options.resource_policy else None
        more: dict[str, Any] = {} if block is None else {"BlockPublicPolicy": block}
        self._client.call("PutResourcePolicy", push.what, SecretId=push.name, ResourcePolicy=policy, **more)

    def _patch_replicas(self, push: SecretPush, found: Mapping[str, Any]) -> None:
        if push.options.replication_locations is None:
            return
        present, wanted = _replicas(found), set(push.options.replication_locations)
        if gone := sorted(present - wanted):
            self._client.call(
                "RemoveRegionsFromReplication", push.what, SecretId=push.name, RemoveReplicaRegions=gone
            )
        if new := sorted(wanted - present):
            self._client.call(
                "ReplicateSecretToRegions",
                push.what,
                SecretId=push.name,
                AddReplicaRegions=_regions(push, new),
            )


def _regions(push: SecretPush, regions: Iterable[str]) -> list[dict[str, str]]:
    return [{"Region": region, "KmsKeyId": push.options.kms_key_id} for region in regions]


def _replicas(found: Mapping[str, Any]) -> set[str]:
    return {replica["Region"] for replica in found.get("ReplicationStatus") or ()}


def _content(what: str, value: bytes, *, as_text: bool) -> dict[str, Any]:
    if not value:
        raise InvalidRequestError(f"The value for {what} is empty, and a secret of AWS can't be")
    if not as_text:
        return {"SecretBinary": value}
    try:
        return {"SecretString": value.decode()}
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"The value for {what} is not text: push it with secretPushFormat: binary"
        ) from None


def _json(text: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
