"""`GCPSecretManager`: secrets of one project, read, found, pushed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from provider_common import Context, ProviderV2, RemoteRef

from provider_gcp.spec import GCPSecretManagerSpec

if TYPE_CHECKING:
    from provider_gcp._client import SecretManager


class SecretManagerStore(ProviderV2[GCPSecretManagerSpec]):
    """One project opened with one identity."""

    def __init__(self, secrets: SecretManager, *, fetch_enabled: bool = False) -> None:
        self._secrets = secrets
        self._fetch_enabled = fetch_enabled

    @classmethod
    def open(cls, ctx: Context[GCPSecretManagerSpec]) -> Self:
        """Read the credentials. Google is asked at the first call."""
        from provider_gcp._client import SecretManager

        policy = ctx.spec.secret_version_selection_policy
        return cls(SecretManager.open(ctx), fetch_enabled=policy == "LatestOrFetch")

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The payload of a version."""
        return self._secrets.access(ref.key, ref.version)
