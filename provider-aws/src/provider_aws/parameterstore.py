"""`AWSParameterStore`: parameters of AWS Systems Manager Parameter Store, read, found, pushed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from provider_common import (
    Context,
    Find,
    InvalidRequestError,
    MissingReferenceError,
    NoSecretError,
    PermanentError,
    PushRemoteRef,
    RemoteRef,
)
from provider_common.values import go_json

from provider_aws._parameter_finding import find_parameters
from provider_aws._parameter_writing import ParameterWriter
from provider_aws._store import AwsStore
from provider_aws._values import tags_of
from provider_aws.spec import AWSParameterStoreSpec


class ParameterStore(AwsStore[AWSParameterStoreSpec]):
    """The parameters of one region, opened with one identity."""

    service: ClassVar[str] = "ssm"

    def _make_writer(self, ctx: Context[AWSParameterStoreSpec]) -> ParameterWriter:
        return ParameterWriter(ctx, self._client)

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The parameter's value, decrypted, of the version or label asked for; with Fetch, its tags as a JSON object."""
        if ref.metadata_policy == "Fetch":
            return self._tags(ref.key)
        answer = self._parameter(ref.key, ref.version, WithDecryption=True)
        value: str | None = (answer.get("Parameter") or {}).get("Value")
        if value is None:
            raise PermanentError(f"Parameter {ref.key!r} has no value")
        return value.encode()

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Full names and values of parameters below `path`, by name, by tags or by both."""
        return find_parameters(self._client, find)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when the parameter is there. `property` plays no part."""
        try:
            self._parameter(ref.remote_key)
        except (MissingReferenceError, NoSecretError):
            return False
        return True

    def _parameter(self, key: str, version: str = "", **more: Any) -> dict[str, Any]:
        name = self._spec.name_of(key)
        return self._client.call(
            "GetParameter",
            f"parameter {key!r}",
            key=key,
            version=version,
            Name=f"{name}:{version}" if version else name,
            **more,
        )

    def _tags(self, key: str) -> bytes:
        try:
            found = self._client.call(
                "ListTagsForResource",
                f"the tags of parameter {key!r}",
                ResourceType="Parameter",
                ResourceId=self._spec.name_of(key),
            )
        except InvalidRequestError:
            # So AWS answers when there is no such parameter, and when the name can't be one. Reading tells which.
            self._parameter(key)
            raise
        return go_json(tags_of(found, "TagList"), escape_html=True)
