"""Writing parameters. What is ours carries the tag `managed-by: external-secrets`; nothing else is changed or removed.

A push of what is there already writes nothing, tags included. A property is merged into the parameter's JSON, as Secrets
Manager does it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from provider_common import (
    Block,
    ConflictError,
    Context,
    Field,
    InvalidRequestError,
    NoSecretError,
    PushData,
    PushRemoteRef,
)
from provider_common.values import go_json
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
from provider_aws._values import tags_of
from provider_aws.spec import AWSParameterStoreSpec

if TYPE_CHECKING:
    from provider_aws._client import Client

HIDDEN = "sensitive"
"""What stands in the place of a value that was not decrypted: nothing can be compared with it."""


class Tier(Block):
    """The tier, and policies such as an expiry, which only the advanced tiers have."""

    type: Literal["Standard", "Advanced", "Intelligent-Tiering"] = "Standard"
    policies: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _policies_need_a_tier(self) -> Self:
        if self.policies and self.type == "Standard":
            raise ValueError("tier.policies need tier.type Advanced or Intelligent-Tiering")
        return self


class ParameterOptions(Block):
    """`metadata.spec` of a PushSecret entry."""

    secret_type: Literal["String", "StringList", "SecureString"] = "String"  # noqa: S105 - a type
    kms_key_id: str = Field("alias/aws/ssm", alias="kmsKeyID")
    tier: Tier = Field(default_factory=Tier)
    encode_as_decoded: bool = False
    tags: Tags | None = None
    description: str = DESCRIPTION

    def parameters(self) -> dict[str, Any]:
        """Parameters of PutParameter."""
        made: dict[str, Any] = {"Type": self.secret_type, "Description": self.description}
        if self.secret_type == "SecureString":  # noqa: S105
            made["KeyId"] = self.kms_key_id
        if self.tier.type != "Standard":
            made["Tier"] = self.tier.type
            if self.tier.policies:
                made["Policies"] = go_json(self.tier.policies, escape_html=False).decode()
        return made


class ParameterWriter:
    """Pushes and deletes through one client."""

    def __init__(self, ctx: Context[AWSParameterStoreSpec], client: Client) -> None:
        self._client = client
        self._prefix = ctx.spec.prefix
        self._locks = Locks()

    def push(self, data: PushData) -> None:
        """Create the parameter, or bring it up to date."""
        options = data.options(ParameterOptions)
        value = _payload(data, options)
        name = self._prefix + data.remote_key
        what = f"parameter {data.remote_key!r}"
        with self._locks.of(name):
            found = self._find(name, what)
            if found is None:
                text = _text(what, merged(what, b"", data.property, value) if data.property else value)
                tags = as_list(with_owner(options.tags or {}))
                self._client.call(
                    "PutParameter",
                    what,
                    Name=name,
                    Value=text,
                    Overwrite=False,
                    Tags=tags,
                    **options.parameters(),
                )
                return
            tags_there = self._tags(name, what)
            check_owner(f"Parameter {data.remote_key!r}", tags_there)
            current = found["Value"]
            if current == HIDDEN:
                raise ConflictError(
                    f"AWS does not show the value of {what}: allow kms:Decrypt, so that it can be compared"
                )
            new = merged(what, current.encode(), data.property, value) if data.property else value
            text = _text(what, new)
            if text == current:
                return
            self._client.call(
                "PutParameter", what, Name=name, Value=text, Overwrite=True, **options.parameters()
            )
            self._patch_tags(name, what, tags_there, options)

    def delete(self, ref: PushRemoteRef) -> None:
        """Remove one property, and the parameter with its last one; without a property, the parameter."""
        name = self._prefix + ref.remote_key
        what = f"parameter {ref.remote_key!r}"
        with self._locks.of(name):
            found = self._find(name, what)
            if found is None or not owned(self._tags(name, what)):
                return
            if ref.property:
                current = found["Value"].encode()
                rest = without(current, ref.property)
                if rest is not None:
                    if rest != current:
                        self._rewrite(name, what, found, _text(what, rest))
                    return
            try:
                self._client.call("DeleteParameter", what, Name=name)
            except NoSecretError:
                return  # gone since it was read

    def _rewrite(self, name: str, what: str, found: Mapping[str, Any], text: str) -> None:
        """The parameter with another value and everything else as it is."""
        keep: dict[str, Any] = {"Type": found["Type"]}
        if found["Type"] == "SecureString":
            # Without its key it would be encrypted with the account's default one from now on.
            only = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
            for page in self._client.pages("DescribeParameters", what, ParameterFilters=only):
                for described in page.get("Parameters") or ():
                    if described.get("KeyId"):
                        keep["KeyId"] = described["KeyId"]
        self._client.call("PutParameter", what, Name=name, Value=text, Overwrite=True, **keep)

    def _find(self, name: str, what: str) -> dict[str, Any] | None:
        try:
            answer = self._client.call("GetParameter", what, Name=name, WithDecryption=True)
        except NoSecretError:
            return None
        found: dict[str, Any] = answer["Parameter"]
        return found

    def _tags(self, name: str, what: str) -> dict[str, str]:
        answer = self._client.call(
            "ListTagsForResource", f"the tags of {what}", ResourceType="Parameter", ResourceId=name
        )
        return tags_of(answer, "TagList")

    def _patch_tags(self, name: str, what: str, tags: Mapping[str, str], options: ParameterOptions) -> None:
        if options.tags is None:
            return
        wanted = with_owner(options.tags)
        resource: dict[str, Any] = {"ResourceType": "Parameter", "ResourceId": name}
        if keys := surplus(tags, wanted):
            self._client.call("RemoveTagsFromResource", what, TagKeys=keys, **resource)
        if not wanted.items() <= tags.items():
            self._client.call("AddTagsToResource", what, Tags=as_list(wanted), **resource)


def _payload(data: PushData, options: ParameterOptions) -> bytes:
    """One key's value, or the whole Secret as JSON: of base64 unless `encodeAsDecoded`."""
    if data.secret_key or options.encode_as_decoded:
        return data.value()
    encoded = {key: base64.b64encode(value).decode() for key, value in data.data.items()}
    return go_json(encoded, escape_html=False)


def _text(what: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"The value for {what} is not text, and a parameter holds nothing else: encode it first"
        ) from None
    if not text:
        raise InvalidRequestError(f"The value for {what} is empty, and a parameter can't be")
    return text
