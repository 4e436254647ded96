"""`AWSParameterStore`: parameters of AWS Systems Manager Parameter Store, read, found, pushed and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from provider_common import (
    Context,
    Find,
    InvalidRequestError,
    NoSecretError,
    PermanentError,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
)
from provider_common.values import go_json

from provider_aws._parameter_finding import find_parameters
from provider_aws._parameter_writing import ParameterWriter
from provider_aws._values import tags_of
from provider_aws.spec import AWSParameterStoreSpec

if TYPE_CHECKING:
    from provider_aws._chain import Chain
    from provider_aws._client import Client


class ParameterStore(ProviderV2[AWSParameterStoreSpec]):
    """The parameters of one region, opened with one identity."""

    def __init__(self, ctx: Context[AWSParameterStoreSpec], client: Client, chain: Chain) -> None:
        self._client = client
        self._chain = chain
        self._prefix = ctx.spec.prefix
        self._writer = ParameterWriter(ctx, client)

    @classmethod
    def depends_on_caller(cls, spec: AWSParameterStoreSpec) -> bool:
        """Session tags may name the caller's namespace."""
        return spec.tags_depend_on_caller

    @classmethod
    def open(cls, ctx: Context[AWSParameterStoreSpec]) -> Self:
        """Read the credentials. AWS is asked at the first call."""
        from provider_aws import _opening

        chain = _opening.store_chain(ctx, ctx.spec)
        return cls(ctx, _opening.client(ctx, chain, "ssm", region=ctx.spec.region), chain)

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The parameter's value, decrypted, of the version or label asked for; with Fetch, its tags as a JSON object."""
        name = self._prefix + ref.key
        if ref.metadata_policy == "Fetch":
            return self._tags(name, ref.key)
        answer = self._client.call(
            "GetParameter",
            f"parameter {ref.key!r}",
            key=ref.key,
            version=ref.version,
            Name=f"{name}:{ref.version}" if ref.version else name,
            WithDecryption=True,
        )
        value: str | None = (answer.get("Parameter") or {}).get("Value")
        if value is None:
            raise PermanentError(f"Parameter {ref.key!r} has no value")
        return value.encode()

    def _tags(self, name: str, key: str) -> bytes:
        what = f"the tags of parameter {key!r}"
        try:
            found = self._client.call("ListTagsForResource", what, ResourceType="Parameter", ResourceId=name)
        except InvalidRequestError:
            # So AWS answers when there is no such parameter, and when the name can't be one. Reading tells which.
            self._client.call("GetParameter", what, key=key, Name=name)
            raise
        return go_json(tags_of(found, "TagList"), escape_html=True)

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Full names and values of parameters below `path`, by name, by tags or by both."""
        return find_parameters(self._client, find)

    def push_secret(self, data: PushData) -> None:
        """Create the parameter, or bring it up to date; a property is merged into its JSON."""
        self._writer.push(data)

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Remove one property, and the parameter with its last one; without a property, the parameter."""
        self._writer.delete(ref)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when the parameter is there. `property` plays no part."""
        try:
            self._client.call(
                "GetParameter", f"parameter {ref.remote_key!r}", Name=self._prefix + ref.remote_key
            )
        except NoSecretError:
            return False
        return True

    def validate(self) -> Sequence[str]:
        """Get the credentials, and have STS say whether they are good. Parameter Store itself is not asked."""
        return self._chain.check()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
