"""Writing secrets. What is ours carries the tag `managed-by: external-secrets`; nothing else is changed or removed.

A push that would change nothing writes nothing. What the push's metadata does not mention is not touched: tags, the
resource policy, replicas. Description and KMS key are those of the creation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from provider_common import (
    Block,
    ConfigMapKeySelector,
    ConflictError,
    Context,
    InvalidRequestError,
    MissingReferenceError,
    NoSecretError,
    PushData,
    PushRemoteRef,
    SecretKeySelector,
)
from pydantic import model_validator

from provider_aws._push import (
    DESCRIPTION,
    Locks,
    Tags,
    as_list,
    check_owner,
    merged,
    owned,
    surplus,
    with_owner,
    without,
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
    name: str
    key: str


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


class SecretWriter:
    """Pushes and deletes through one client."""

    def __init__(self, ctx: Context[AWSSecretManagerSpec], client: Client) -> None:
        self._ctx = ctx
        self._client = client
        self._spec = ctx.spec
        self._locks = Locks()

    def push(self, data: PushData) -> None:
        """Create the secret, or bring it up to date."""
        options = data.options(SecretOptions)
        value = data.value()
        name = self._spec.prefix + data.remote_key
        what = f"secret {data.remote_key!r}"
        policy = self._policy(options, data)
        with self._locks.of(name):
            found = self._describe(name, what)
            if found is None:
                self._create(name, what, self._document(what, data, b"", value), options)
                if policy:
                    self._put_policy(name, what, policy, options)
                return
            check_owner(f"Secret {data.remote_key!r}", tags_of(found))
            if found.get("DeletedDate") is not None:
                raise ConflictError(
                    f"Secret {data.remote_key!r} is scheduled for deletion, and its name is taken until"
                    f" {found['DeletedDate']:%Y-%m-%d}: restore it, or wait"
                )
            current = self._current(name, what) if found.get("VersionIdsToStages") else None
            # Decided before anything is written: a value that can't be merged leaves everything as it is.
            document = self._document(what, data, current or b"", value)
            self._patch_tags(name, what, tags_of(found), options)
            self._patch_policy(name, what, policy, options)
            self._patch_replicas(name, what, found, options)
            if current is None:
                self._put(name, what, document, options, token=FIRST_VERSION)
            elif current != document:
                self._put(name, what, document, options, token=str(uuid.uuid4()))

    def delete(self, ref: PushRemoteRef) -> None:
        """Remove one property, and the secret with its last one; without a property, the secret."""
        name = self._spec.prefix + ref.remote_key
        what = f"secret {ref.remote_key!r}"
        with self._locks.of(name):
            found = self._describe(name, what)
            if found is None or found.get("DeletedDate") is not None or not owned(tags_of(found)):
                return
            if ref.property and (current := self._current_value(name, what)) is not None:
                rest = without(value_of(current, ref.remote_key), ref.property)
                if rest is not None:
                    if rest != value_of(current, ref.remote_key):
                        as_text = current.get("SecretString") is not None
                        self._put_value(name, what, rest, as_text=as_text, token=str(uuid.uuid4()))
                    return
            self._delete_whole(name, what, found)

    def _delete_whole(self, name: str, what: str, found: Mapping[str, Any]) -> None:
        how = self._spec.secrets_manager
        options: dict[str, Any] = {}
        if how.force_delete_without_recovery:
            options["ForceDeleteWithoutRecovery"] = True
        elif how.recovery_window_in_days:
            options["RecoveryWindowInDays"] = how.recovery_window_in_days
        try:
            if regions := _replicas(found):
                self._client.call(
                    "RemoveRegionsFromReplication", what, SecretId=name, RemoveReplicaRegions=sorted(regions)
                )
            self._client.call("DeleteSecret", what, SecretId=name, **options)
        except (MissingReferenceError, NoSecretError):
            return  # gone since it was described

    def _describe(self, name: str, what: str) -> dict[str, Any] | None:
        try:
            return self._client.call("DescribeSecret", what, SecretId=name)
        except NoSecretError:
            return None

    def _current(self, name: str, what: str) -> bytes | None:
        answer = self._current_value(name, what)
        return None if answer is None else value_of(answer, what)

    def _current_value(self, name: str, what: str) -> dict[str, Any] | None:
        try:
            return self._client.call("GetSecretValue", what, SecretId=name, VersionStage=CURRENT)
        except NoSecretError:
            return None  # versions without a current one

    @staticmethod
    def _document(what: str, data: PushData, current: bytes, value: bytes) -> bytes:
        return merged(what, current, data.property, value) if data.property else value

    def _create(self, name: str, what: str, value: bytes, options: SecretOptions) -> None:
        replicas: dict[str, Any] = {}
        if options.replication_locations:
            replicas["AddReplicaRegions"] = self._regions(options.replication_locations, options)
        self._client.call(
            "CreateSecret",
            what,
            Name=name,
            ClientRequestToken=FIRST_VERSION,
            Description=options.description,
            KmsKeyId=options.kms_key_id,
            Tags=as_list(with_owner(options.tags or {})),
            **_content(what, value, as_text=options.as_text),
            **replicas,
        )

    def _put(self, name: str, what: str, value: bytes, options: SecretOptions, *, token: str) -> None:
        self._put_value(name, what, value, as_text=options.as_text, token=token)

    def _put_value(self, name: str, what: str, value: bytes, *, as_text: bool, token: str) -> None:
        self._client.call(
            "PutSecretValue",
            what,
            SecretId=name,
            ClientRequestToken=token,
            **_content(what, value, as_text=as_text),
        )

    def _patch_tags(self, name: str, what: str, tags: Mapping[str, str], options: SecretOptions) -> None:
        if options.tags is None:
            return
        wanted = with_owner(options.tags)
        if keys := surplus(tags, wanted):
            self._client.call("UntagResource", what, SecretId=name, TagKeys=keys)
        if not wanted.items() <= tags.items():
            self._client.call("TagResource", what, SecretId=name, Tags=as_list(wanted))

    def _policy(self, options: SecretOptions, data: PushData) -> str | None:
        """The policy's text; None when the metadata does not mention a policy."""
        if options.resource_policy is None:
            return None
        source = options.resource_policy.policy_source_ref
        # The namespace is the PushSecret's, whatever the scope of the store's own credentials is.
        where = {"name": source.name, "key": source.key, "namespace": data.source_namespace}
        if source.kind == "ConfigMap":
            content = self._ctx.auth.config_map_key(ConfigMapKeySelector.model_validate(where))
        else:
            content = self._ctx.auth.secret_key(SecretKeySelector.model_validate(where))
        text = content.decode("utf-8", "replace").strip()
        if text and _json(text) is None:
            raise InvalidRequestError(
                f"The resource policy in {source.kind} {source.name!r} (key {source.key!r}) is not a JSON object"
            )
        return text

    def _patch_policy(self, name: str, what: str, policy: str | None, options: SecretOptions) -> None:
        if policy is None:
            return
        present = self._client.call("GetResourcePolicy", what, SecretId=name).get("ResourcePolicy")
        if not policy:
            if present:
                self._client.call("DeleteResourcePolicy", what, SecretId=name)
        elif not present or _json(present) != _json(policy):
            self._put_policy(name, what, policy, options)

    def _put_policy(self, name: str, what: str, policy: str, options: SecretOptions) -> None:
        block = options.resource_policy.block_public_policy if options.resource_policy else None
        more: dict[str, Any] = {} if block is None else {"BlockPublicPolicy": block}
        self._client.call("PutResourcePolicy", what, SecretId=name, ResourcePolicy=policy, **more)

    def _patch_replicas(self, name: str, what: str, found: Mapping[str, Any], options: SecretOptions) -> None:
        if options.replication_locations is None:
            return
        present, wanted = _replicas(found), set(options.replication_locations)
        if gone := sorted(present - wanted):
            self._client.call("RemoveRegionsFromReplication", what, SecretId=name, RemoveReplicaRegions=gone)
        if new := tuple(sorted(wanted - present)):
            self._client.call(
                "ReplicateSecretToRegions", what, SecretId=name, AddReplicaRegions=self._regions(new, options)
            )

    @staticmethod
    def _regions(regions: tuple[str, ...], options: SecretOptions) -> list[dict[str, str]]:
        return [{"Region": region, "KmsKeyId": options.kms_key_id} for region in regions]


def _replicas(found: Mapping[str, Any]) -> set[str]:
    return {replica["Region"] for replica in found.get("ReplicationStatus") or ()}


def _content(what: str, value: bytes, *, as_text: bool) -> dict[str, Any]:
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
