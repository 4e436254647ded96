"""`AWSSecretManager`: secrets of AWS Secrets Manager, read, found, pushed and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from provider_common import (
    Context,
    Find,
    NoSecretError,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
)
from provider_common.values import go_json

from provider_aws._secret_finding import find_secrets
from provider_aws._secret_writing import SecretWriter
from provider_aws._values import CURRENT, tags_of, value_of, version_of
from provider_aws.spec import AWSSecretManagerSpec

if TYPE_CHECKING:
    from provider_aws._chain import Chain
    from provider_aws._client import Client


class SecretsManagerStore(ProviderV2[AWSSecretManagerSpec]):
    """The secrets of one region, opened with one identity."""

    def __init__(self, ctx: Context[AWSSecretManagerSpec], client: Client, chain: Chain) -> None:
        self._client = client
        self._chain = chain
        self._prefix = ctx.spec.prefix
        self._writer = SecretWriter(ctx, client)

    @classmethod
    def depends_on_caller(cls, spec: AWSSecretManagerSpec) -> bool:
        """Session tags may name the caller's namespace."""
        return spec.tags_depend_on_caller

    @classmethod
    def open(cls, ctx: Context[AWSSecretManagerSpec]) -> Self:
        """Read the credentials. AWS is asked at the first call."""
        from provider_aws import _opening

        chain = _opening.store_chain(ctx, ctx.spec)
        return cls(ctx, _opening.client(ctx, chain, "secretsmanager", region=ctx.spec.region), chain)

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The secret's text, or its bytes if it was stored as bytes; with Fetch, its tags as a JSON object."""
        name = self._prefix + ref.key
        if ref.metadata_policy == "Fetch":
            found = self._client.call(
                "DescribeSecret", f"the tags of secret {ref.key!r}", key=ref.key, SecretId=name
            )
            if found.get("DeletedDate") is not None:
                raise NoSecretError(ref.key)
            return go_json(tags_of(found), escape_html=True)
        answer = self._client.call(
            "GetSecretValue",
            f"secret {ref.key!r}",
            key=ref.key,
            version=ref.version,
            SecretId=name,
            **version_of(ref.version),
        )
        return value_of(answer, ref.key)

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Full names and values. `path` is the beginning of a name; tags have to be there exactly as given."""
        return find_secrets(self._client, find)

    def push_secret(self, data: PushData) -> None:
        """Create the secret, or bring it up to date; a property is merged into its JSON."""
        self._writer.push(data)

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Remove one property, and the secret with its last one; without a property, the secret."""
        self._writer.delete(ref)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when the secret has a current value. `property` plays no part."""
        name = self._prefix + ref.remote_key
        try:
            self._client.call(
                "GetSecretValue", f"secret {ref.remote_key!r}", SecretId=name, VersionStage=CURRENT
            )
        except NoSecretError:
            return False
        return True

    def validate(self) -> Sequence[str]:
        """Get the credentials, and have STS say whether they are good. Secrets Manager itself is not asked."""
        return self._chain.check()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
