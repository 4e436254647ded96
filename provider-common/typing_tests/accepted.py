"""What an author writes has to type-check without a cast or an ignore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, assert_type

from provider_common import (
    Alias,
    Block,
    Context,
    Find,
    Generated,
    GeneratorV2,
    OneOf,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
    SecretBytes,
    SecretKeySelector,
    ServiceAccountSelector,
    Spec,
)


class Token(Block):
    """A fixed token."""

    secret_ref: SecretKeySelector

    def login(self, ctx: Context[KvSpec]) -> SecretBytes:
        """The token."""
        return ctx.auth.secret_key(self.secret_ref)


class Account(Block):
    """A ServiceAccount."""

    service_account_ref: ServiceAccountSelector

    def login(self, ctx: Context[KvSpec]) -> SecretBytes:
        """A token of the account."""
        return SecretBytes(
            ctx.auth.service_account_token(self.service_account_ref, audiences=("kv",)).value.encode()
        )


class Auth(OneOf):
    """Ways to log in."""

    token: Token | None = None
    account: Account | None = None


class KvSpec(Spec):
    """A key-value store."""

    kind: ClassVar = "Kv"
    aliases: ClassVar = (Alias("example.com/v1", "Kv"),)
    url: str
    auth: Auth


class KvStore(ProviderV2[KvSpec]):
    """Every method of a store."""

    def __init__(self, token: SecretBytes) -> None:
        self._token = token

    @classmethod
    def open(cls, ctx: Context[KvSpec]) -> Self:
        assert_type(ctx.spec, KvSpec)
        assert_type(ctx.spec.url, str)
        return cls(ctx.spec.auth.chosen.login(ctx))

    def get_secret(self, ref: RemoteRef) -> bytes:
        return ref.key.encode() + self._token

    def select(self, ref: RemoteRef, value: bytes) -> bytes:
        return value + ref.property.encode()

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        return {"a": b"b"} if find.name_matches("a") else {}

    def push_secret(self, data: PushData) -> None:
        assert_type(data.value(), bytes)

    def delete_secret(self, ref: PushRemoteRef) -> None:
        assert_type(ref.property, str)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        return bool(ref.remote_key)


class KvGenerator(GeneratorV2[KvSpec]):
    """Both methods of a generator."""

    def generate(self, ctx: Context[KvSpec]) -> Generated:
        return Generated({"a": ctx.spec.url.encode()}, state={"id": 1})

    def cleanup(self, ctx: Context[KvSpec], state: Mapping[str, Any]) -> None:
        ctx.log.info("%s", ctx.shared(("client", ctx.spec.url), dict))
