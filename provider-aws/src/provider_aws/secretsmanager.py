"""`AWSSecretManager`: secrets of AWS Secrets Manager, read, found, pushed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from provider_common import Context, Find, NoSecretError, PushRemoteRef, RemoteRef
from provider_common.values import go_json

from provider_aws._secret_finding import find_secrets
from provider_aws._secret_writing import SecretWriter
from provider_aws._store import AwsStore
from provider_aws._values import tags_of, value_of, version_of
from provider_aws.spec import AWSSecretManagerSpec


class SecretsManagerStore(AwsStore[AWSSecretManagerSpec]):
    """The secrets of one region, opened with one identity."""

    service: ClassVar[str] = "secretsmanager"

    def _make_writer(self, ctx: Context[AWSSecretManagerSpec]) -> SecretWriter:
        return SecretWriter(ctx, self._client)

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The secret's text, or its bytes if it was stored as bytes; with Fetch, its tags as a JSON object."""
        if ref.metadata_policy != "Fetch":
            return value_of(self._value(ref.key, ref.version), ref.key)
        found = self._client.call(
            "DescribeSecret",
            f"the tags of secret {ref.key!r}",
            key=ref.key,
            SecretId=self._spec.name_of(ref.key),
        )
        if found.get("DeletedDate") is not None:
            raise NoSecretError(ref.key)
        return go_json(tags_of(found), escape_html=True)

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Full names and values. `path` is the beginning of a name; tags have to be there exactly as given."""
        return find_secrets(self._client, find)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when the secret has a current value. `property` plays no part."""
        try:
            self._value(ref.remote_key)
        except NoSecretError:
            return False
        return True

    def _value(self, key: str, version: str = "") -> dict[str, Any]:
        return self._client.call(
            "GetSecretValue",
            f"secret {key!r}",
            key=key,
            version=version,
            SecretId=self._spec.name_of(key),
            **version_of(version),
        )
