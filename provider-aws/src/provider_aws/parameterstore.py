"""`AWSParameterStore`: parameters of AWS Systems Manager Parameter Store, read, found, pushed and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from provider_common import (
    Context,
    PermanentError,
    ProviderV2,
    RemoteRef,
)

from provider_aws.spec import AWSParameterStoreSpec

if TYPE_CHECKING:
    from provider_aws._chain import Chain
    from provider_aws._client import Client


class ParameterStore(ProviderV2[AWSParameterStoreSpec]):
    """The parameters of one region, opened with one identity."""

    def __init__(self, ctx: Context[AWSParameterStoreSpec], client: Client, chain: Chain) -> None:
        self._ctx = ctx
        self._client = client
        self._chain = chain
        self._spec = ctx.spec

    @classmethod
    def open(cls, ctx: Context[AWSParameterStoreSpec]) -> Self:
        """Read the credentials. AWS is asked at the first call."""
        from provider_aws import _opening

        chain = _opening.store_chain(ctx, ctx.spec)
        return cls(ctx, _opening.client(ctx, chain, "ssm", region=ctx.spec.region), chain)

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The parameter's value, decrypted."""
        name = self._spec.prefix + ref.key + (f":{ref.version}" if ref.version else "")
        answer = self._client.call(
            "GetParameter",
            f"parameter {ref.key!r}",
            key=ref.key,
            version=ref.version,
            Name=name,
            WithDecryption=True,
        )
        value: str | None = (answer.get("Parameter") or {}).get("Value")
        if value is None:
            raise PermanentError(f"Parameter {ref.key!r} has no value")
        return value.encode()

    def validate(self) -> Sequence[str]:
        """Get the credentials: STS is asked when roles are assumed, Parameter Store is not."""
        self._chain.keys()
        return ()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
