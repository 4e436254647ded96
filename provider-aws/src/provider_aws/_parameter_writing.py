"""Writing parameters. What is ours carries the tag `managed-by: external-secrets`; nothing else is changed or removed.

A push of what is there already writes nothing, tags included. A property is merged into the parameter's JSON, as Secrets
Manager does it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from provider_common import Block, ConflictError, Field, InvalidRequestError, NoSecretError, PushData
from provider_common.values import go_json, without_property
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
from provider_aws._values import tags_of

HIDDEN = b"sensitive"
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


@dataclass(frozen=True, slots=True)
class ParameterPush(Push):
    """A push, and how the parameter is to be."""

    options: ParameterOptions


class ParameterWriter(Writer[ParameterPush]):
    """Pushes and deletes parameters."""

    noun: ClassVar[str] = "parameter"

    def _prepare(self, data: PushData, name: str, what: str) -> ParameterPush:
        options = data.options(ParameterOptions)
        return ParameterPush(name, what, data.property, _payload(data, options), options)

    def _find(self, name: str, what: str, *, decrypt: bool = True) -> dict[str, Any] | None:
        try:
            answer = self._client.call("GetParameter", what, Name=name, WithDecryption=decrypt)
        except NoSecretError:
            return None
        found: dict[str, Any] = answer["Parameter"]
        return found

    def _create(self, push: ParameterPush) -> None:
        tags = as_list(with_owner(push.options.tags or {}))
        self._put(push, push.document(), Overwrite=False, Tags=tags)

    def _update(self, push: ParameterPush, found: Mapping[str, Any]) -> None:
        tags = self._tags(push.name, push.what)
        check_owner(push.what, tags)
        current = found["Value"].encode()
        if current == HIDDEN:
            raise ConflictError(
                f"AWS does not show the value of {push.what}: allow kms:Decrypt, so that it can be compared"
            )
        document = push.document(current)
        if document != current:
            self._put(push, document, Overwrite=True)
            self._patch_tags(push, tags)

    def _put(self, push: ParameterPush, value: bytes, **more: Any) -> None:
        text = _text(push.what, value)
        self._client.call(
            "PutParameter", push.what, Name=push.name, Value=text, **push.options.parameters(), **more
        )

    def _patch_tags(self, push: ParameterPush, tags: Mapping[str, str]) -> None:
        if push.options.tags is None:
            return
        wanted = with_owner(push.options.tags)
        resource: dict[str, Any] = {"ResourceType": "Parameter", "ResourceId": push.name}
        if keys := surplus(tags, wanted):
            self._client.call("RemoveTagsFromResource", push.what, TagKeys=keys, **resource)
        if not wanted.items() <= tags.items():
            self._client.call("AddTagsToResource", push.what, Tags=as_list(wanted), **resource)

    def _remove(self, name: str, what: str, prop: str, found: Mapping[str, Any]) -> None:
        if not owned(self._tags(name, what)):
            return
        if prop:
            current = found["Value"].encode()
            rest = without_property(current, prop)
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

    def _tags(self, name: str, what: str) -> dict[str, str]:
        answer = self._client.call(
            "ListTagsForResource", f"the tags of {what}", ResourceType="Parameter", ResourceId=name
        )
        return tags_of(answer, "TagList")


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
