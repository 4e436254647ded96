"""`AWSSecretManager`: secrets of AWS Secrets Manager, read, found, pushed and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from provider_common import (
    Context,
    NoSecretError,
    PermanentError,
    ProviderV2,
    RemoteRef,
)
from provider_common.values import go_json

from provider_aws.spec import AWSSecretManagerSpec

if TYPE_CHECKING:
    from provider_aws._chain import Chain
    from provider_aws._client import Client

CURRENT = "AWSCURRENT"


class SecretsManagerStore(ProviderV2[AWSSecretManagerSpec]):
    """The secrets of one region, opened with one identity."""

    def __init__(self, ctx: Context[AWSSecretManagerSpec], client: Client, chain: Chain) -> None:
        self._ctx = ctx
        self._client = client
        self._chain = chain
        self._spec = ctx.spec

    @classmethod
    def open(cls, ctx: Context[AWSSecretManagerSpec]) -> Self:
        """Read the credentials. AWS is asked at the first call."""
        from provider_aws import _opening

        chain = _opening.store_chain(ctx, ctx.spec)
        return cls(ctx, _opening.client(ctx, chain, "secretsmanager", region=ctx.spec.region), chain)

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The secret's text, or its bytes if it was stored as bytes; with Fetch, its tags as a JSON object."""
        name = self._spec.prefix + ref.key
        if ref.metadata_policy == "Fetch":
            return self._tags(name, ref.key)
        answer = self._client.call(
            "GetSecretValue",
            f"secret {ref.key!r}",
            key=ref.key,
            version=ref.version,
            SecretId=name,
            **version_of(ref.version),
        )
        return value_of(answer, ref.key)

    def _tags(self, name: str, key: str) -> bytes:
        found = self._client.call("DescribeSecret", f"the tags of secret {key!r}", key=key, SecretId=name)
        if found.get("DeletedDate") is not None:
            raise NoSecretError(key)
        return go_json(tags_of(found), escape_html=True)

    def validate(self) -> Sequence[str]:
        """Get the credentials: STS is asked when roles are assumed, Secrets Manager is not."""
        self._chain.keys()
        return ()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def version_of(version: str) -> Mapping[str, str]:
    """`uuid/<id>` is a version's id; anything else names a stage."""
    if version.startswith("uuid/"):
        return {"VersionId": version.removeprefix("uuid/")}
    return {"VersionStage": version or CURRENT}


def value_of(answer: Mapping[str, Any], key: str) -> bytes:
    """The value in an answer: AWS keeps either text or bytes."""
    text: str | None = answer.get("SecretString")
    if text is not None:
        return text.encode()
    binary: bytes | None = answer.get("SecretBinary")
    if binary is None:
        raise PermanentError(f"Secret {key!r} has neither text nor bytes")
    return binary


def tags_of(found: Mapping[str, Any]) -> dict[str, str]:
    """AWS's list of tags as a mapping."""
    return {tag["Key"]: tag.get("Value", "") for tag in found.get("Tags") or ()}
