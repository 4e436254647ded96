"""A provider whose only secret is the token that it was let in with: a test sees from where its credentials were read."""

from __future__ import annotations

from typing import ClassVar, Self

from provider_common import (
    Alias,
    Context,
    NoSecretError,
    ProviderV2,
    RemoteRef,
    SecretKeySelector,
    Spec,
    serve,
)


class LoginSpec(Spec):
    """Which token to use."""

    kind: ClassVar[str] = "Login"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("provider.external-secrets.io/v2alpha1", "Login"),)
    token_secret_ref: SecretKeySelector


class Login(ProviderV2[LoginSpec]):
    """The token, under the name `whoami`."""

    def __init__(self, token: bytes) -> None:
        """`token` is what the credentials Secret holds."""
        self._token = token

    @classmethod
    def open(cls, ctx: Context[LoginSpec]) -> Self:
        """Read the token."""
        return cls(bytes(ctx.auth.secret_key(ctx.spec.token_secret_ref)))

    def get_secret(self, ref: RemoteRef) -> bytes:
        """Tell who it is."""
        if ref.key != "whoami":
            raise NoSecretError(ref.key)
        return self._token


if __name__ == "__main__":
    serve(Login, name="provider-login")
