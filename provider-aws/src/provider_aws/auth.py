"""Where the first credentials come from. Each way is a small class with its own `source`; no way changes the process's
environment or reads another way's files.

A source says what its credentials depend on (`identity`), so that sessions made from it can be shared by everything that
has the same identity and by nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from provider_common import (
    AuthResolver,
    Block,
    CredentialsError,
    Field,
    InvalidSpecError,
    OneOf,
    SecretKeySelector,
    ServiceAccountSelector,
)

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
DEFAULT_AUDIENCE = "sts.amazonaws.com"

# Keys are told apart by a hash that means nothing outside of this process.
_HASH_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials of one moment."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StaticSource:
    """Keys as a Secret holds them."""

    keys: Keys
    identity: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WebIdentitySource:
    """A ServiceAccount that may become a role."""

    role: str
    token: Callable[[], str] = field(repr=False)
    identity: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PodSource:
    """The provider's own pod: whatever the AWS default chain finds."""

    identity: tuple[str, ...] = ("pod",)


Source = StaticSource | WebIdentitySource | PodSource


class StaticKeys(Block):
    """Access keys that are kept in Secrets."""

    access_key_id_secret_ref: SecretKeySelector = Field(
        alias="accessKeyIDSecretRef", description="Access key ID."
    )
    secret_access_key_secret_ref: SecretKeySelector = Field(description="Secret access key.")
    session_token_secret_ref: SecretKeySelector | None = Field(
        None, description="Session token; temporary keys need it."
    )

    def source(self, auth: AuthResolver, /) -> Source:
        """Read the Secrets. Raises CredentialsError when one of the keys is empty."""
        access = auth.secret_text(self.access_key_id_secret_ref)
        secret = auth.secret_text(self.secret_access_key_secret_ref)
        token_ref = self.session_token_secret_ref
        token = auth.secret_text(token_ref) if token_ref is not None else None
        if not access or not secret:
            raise CredentialsError(
                "spec.auth.secretRef: the access key is empty: put the keys into the Secret"
            )
        if any(part != part.strip() for part in (access, secret, token or "")):
            raise CredentialsError(
                "spec.auth.secretRef: a key begins or ends with white space (a line break, perhaps): AWS refuses it,"
                " store it without"
            )
        content = "\0".join((access, secret, token or "")).encode()
        digest = hmac.digest(_HASH_KEY, content, hashlib.sha256).hex()
        return StaticSource(Keys(access, secret, token or None), ("static", digest))


class WebIdentity(Block):
    """A ServiceAccount whose annotation names an IAM role (IRSA)."""

    service_account_ref: ServiceAccountSelector = Field(description="The annotated ServiceAccount.")

    def source(self, auth: AuthResolver, /) -> Source:
        """Read the ServiceAccount. A token is asked for when the role is assumed.

        Raises InvalidSpecError when the annotation is missing.
        """
        account = auth.service_account(self.service_account_ref)
        role = account.annotations.get(ROLE_ANNOTATION)
        if not role:
            raise InvalidSpecError(
                f"spec.auth.jwt.serviceAccountRef: ServiceAccount {account.name!r} in namespace {account.namespace!r}"
                f" has no annotation {ROLE_ANNOTATION}: name the role there (EKS Pod Identity can't be borrowed)"
            )
        audience = account.annotations.get(AUDIENCE_ANNOTATION) or DEFAULT_AUDIENCE
        selector = self.service_account_ref
        identity = (
            "web-identity", account.namespace, account.name, account.uid, role, audience, *selector.audiences
        )  # fmt: skip

        def token() -> str:
            return auth.service_account_token(selector, audiences=(audience,)).value

        return WebIdentitySource(role, token, identity)


class AwsAuth(OneOf):
    """Where the first credentials come from: at most one way. None: the provider's own pod."""

    required: ClassVar[bool] = False

    secret_ref: StaticKeys | None = Field(None, description="Access keys in Secrets.")
    jwt: WebIdentity | None = Field(None, description="A ServiceAccount with an IAM role (IRSA).")


class StaticAuth(OneOf):
    """Keys of an IAM user. None: the provider's own pod."""

    required: ClassVar[bool] = False

    secret_ref: StaticKeys | None = Field(None, description="Access keys in Secrets.")


def source_of(auth: AwsAuth | StaticAuth | None, resolver: AuthResolver) -> Source:
    """The source that a spec's `auth` chooses."""
    chosen: StaticKeys | WebIdentity | None = auth.chosen if auth is not None else None
    return PodSource() if chosen is None else chosen.source(resolver)
