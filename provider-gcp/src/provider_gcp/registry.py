"""`GCRAccessToken`: user name and password for Artifact Registry and Container Registry.

A new token at every call, so that what is handed out lives as long as Google lets it; nothing has to be cleaned up.
"""

from __future__ import annotations

from provider_common import Context, Generated, GeneratorV2

from provider_gcp.spec import GCRAccessTokenSpec

USER = b"oauth2accesstoken"


class GCRAccessTokenGenerator(GeneratorV2[GCRAccessTokenSpec]):
    """Access tokens of one identity."""

    def generate(self, ctx: Context[GCRAccessTokenSpec]) -> Generated:
        """Log in, and give out the token and when it ends (seconds since 1970)."""
        identity = ctx.spec.auth.method().prepare(ctx, ctx.spec.project_id)
        token = ctx.retrying(identity.fetch)
        return Generated(
            {"username": USER, "password": token.value.encode(), "expiry": str(int(token.expires)).encode()}
        )
