"""What both stores are: one service of AWS in one region, opened with one chain of credentials, written by one writer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from provider_common import Context, ProviderV2, PushData, PushRemoteRef

from provider_aws._push import Writer
from provider_aws.spec import AwsStoreSpec

if TYPE_CHECKING:
    from provider_aws._chain import Chain
    from provider_aws._client import Client

SpecT = TypeVar("SpecT", bound=AwsStoreSpec)


class AwsStore(ProviderV2[SpecT]):
    """A store of AWS. Subclasses say which service, how it is read, and who writes."""

    service: ClassVar[str]
    """botocore's name of the service."""

    def __init__(self, ctx: Context[SpecT], client: Client, chain: Chain) -> None:
        self._spec = ctx.spec
        self._client = client
        self._chain = chain
        self._writer = self._make_writer(ctx)

    @classmethod
    def depends_on_caller(cls, spec: SpecT) -> bool:
        """Session tags may name the caller's namespace."""
        return spec.tags_depend_on_caller

    @classmethod
    def open(cls, ctx: Context[SpecT]) -> Self:
        """Read the credentials. AWS is asked at the first call."""
        from provider_aws import _opening

        chain = _opening.store_chain(ctx, ctx.spec)
        return cls(ctx, _opening.client(ctx, chain, cls.service, region=ctx.spec.region), chain)

    @abstractmethod
    def _make_writer(self, ctx: Context[SpecT]) -> Writer[Any]: ...

    def push_secret(self, data: PushData) -> None:
        """Create it, or bring it up to date; a property is merged into its JSON."""
        self._writer.push(data)

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Remove one property, and the whole with its last one; without a property, the whole."""
        self._writer.delete(ref)

    def validate(self) -> Sequence[str]:
        """Get the credentials, and have STS say whether they are good. The service itself is not asked."""
        return self._chain.check()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
