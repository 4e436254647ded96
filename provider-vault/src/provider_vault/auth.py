"""The ways to log in to a Vault: one small model each, under one `VaultAuth`.

A method turns its part of the spec into a `Login`: where to post, what to post (made anew for every login, because
tokens and signatures age), and what the resulting token depends on. It refuses to talk to Vault itself: the token
manager decides when a login happens. Reading the credentials here, once per open store, is what lets the SDK notice
that one of them changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

from provider_common import (
    AccessDeniedError,
    AuthResolver,
    Block,
    CredentialsError,
    Field,
    OneOf,
    Rule,
    SecretKeySelector,
    ServiceAccountSelector,
    UnsupportedError,
)
from pydantic import model_validator

from provider_vault._login import ClientCertificate, Login, Method, StaticToken, login_path
from provider_vault._paths import VaultPath
from provider_vault._selectors import CertificateSelector, PrivateKeySelector, ServiceAccountTokenSelector
from provider_vault.auth_gcp import GcpAuth
from provider_vault.auth_iam import IamAuth

POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where Kubernetes puts the token of the pod's own ServiceAccount."""


class TokenAuth(SecretKeySelector):
    """A token in a Secret."""

    def prepare(self, auth: AuthResolver, /) -> StaticToken:
        """The token as it stands."""
        token = auth.secret_text(self, strip=True)
        if not token or not all("!" <= letter <= "~" for letter in token):
            raise CredentialsError(
                f"auth.tokenSecretRef: key {self.key!r} of Secret {self.name!r} holds no token: it is empty, or has"
                " blanks or other letters than tokens have"
            )
        return StaticToken(token)


class AppRoleAuth(Block):
    """AppRole: a role ID, and a secret ID in a Secret."""

    path: VaultPath = Field("approle", description="Mount of the auth method.")
    role_id: str | None = Field(None, description="The role ID. Wins over roleRef.")
    role_ref: SecretKeySelector | None = Field(None, description="A Secret with the role ID.")
    secret_ref: SecretKeySelector = Field(description="A Secret with the secret ID.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.roleId) || has(self.roleRef)", "roleId or roleRef has to be given"),
    )

    @model_validator(mode="after")
    def _a_role(self) -> Self:
        if self.role_id is None and self.role_ref is None:
            raise ValueError("roleId or roleRef has to be given")
        return self

    def prepare(self, auth: AuthResolver, /) -> Login:
        """Both IDs, without the blanks around them."""
        if self.role_id is not None:
            role = self.role_id.strip()
        elif self.role_ref is not None:
            role = auth.secret_text(self.role_ref, strip=True)
        else:
            role = ""
        secret = auth.secret_text(self.secret_ref, strip=True)
        body = {"role_id": role, "secret_id": secret}
        return Login(login_path(self.path), lambda _: body, (role, secret), "AppRole")


class KubernetesAuth(Block):
    """Kubernetes: a ServiceAccount's token, which Vault checks with the cluster's TokenReview."""

    mount_path: VaultPath = Field("kubernetes", description="Mount of the auth method.")
    role: str = Field(min_length=1, description="Vault's role.")
    service_account_ref: ServiceAccountSelector | None = Field(None, description="Whose token is requested.")
    secret_ref: ServiceAccountTokenSelector | None = Field(None, description="A Secret with a token.")

    def prepare(self, auth: AuthResolver, /) -> Login:
        """The named ServiceAccount's token, else the Secret's, else that of the provider's own pod."""
        token, identity = self._token(auth)
        return Login(
            login_path(self.mount_path),
            lambda _: {"role": self.role, "jwt": token()},
            (self.role, *identity),
            "Kubernetes",
        )

    def _token(self, auth: AuthResolver) -> tuple[Callable[[], str], tuple[str, ...]]:
        if (account_ref := self.service_account_ref) is not None:
            account = auth.service_account(account_ref)
            who = ("account", account.namespace, account.name, account.uid, *account_ref.audiences)
            return lambda: service_account_token(auth, account_ref), who
        if self.secret_ref is not None:
            token = auth.secret_text(self.secret_ref, strip=True)
            return lambda: token, ("secret", token)
        return pod_token, ("pod",)


def service_account_token(auth: AuthResolver, selector: ServiceAccountSelector) -> str:
    """A short-lived token; where none may be requested, one from the Secrets that old clusters list on the account."""
    try:
        return auth.service_account_token(selector, expiration_seconds=600).value
    except (AccessDeniedError, UnsupportedError):
        for name in auth.service_account(selector).secrets:
            legacy = ServiceAccountTokenSelector(name=name, namespace=selector.namespace)
            return auth.secret_text(legacy, strip=True)
        raise


def pod_token() -> str:
    """The token of the provider's own pod, read anew because the kubelet rotates it."""
    try:
        return POD_TOKEN.read_text().strip()
    except OSError:
        raise CredentialsError(
            "auth.kubernetes names neither serviceAccountRef nor secretRef, and this process has no ServiceAccount"
            " token of its own: name one of them"
        ) from None


class LdapAuth(Block):
    """LDAP: a user's name, and the password in a Secret."""

    path: VaultPath = Field("ldap", description="Mount of the auth method.")
    username: VaultPath = Field(min_length=1, description="The user's name.")
    secret_ref: SecretKeySelector = Field(description="A Secret with the password.")

    def prepare(self, auth: AuthResolver, /) -> Login:
        """Name without blanks around it, password as stored."""
        return _password_login(self.path, self.username, auth.secret_text(self.secret_ref), "LDAP")


class UserPassAuth(Block):
    """Userpass: a user's name, and the password in a Secret."""

    path: VaultPath = Field("userpass", description="Mount of the auth method.")
    username: VaultPath = Field(min_length=1, description="The user's name.")
    secret_ref: SecretKeySelector = Field(description="A Secret with the password.")

    def prepare(self, auth: AuthResolver, /) -> Login:
        """Name without blanks around it, password as stored."""
        return _password_login(self.path, self.username, auth.secret_text(self.secret_ref), "userpass")


def _password_login(mount: str, username: str, password: str, method: str) -> Login:
    name = username.strip()
    return Login(login_path(mount, name), lambda _: {"password": password}, (name, password), method)


class KubernetesServiceAccountToken(Block):
    """A token that is requested for a ServiceAccount."""

    service_account_ref: ServiceAccountSelector = Field(description="Whose token is requested.")
    audiences: tuple[str, ...] = Field(
        ("vault",), description="Audiences besides those in serviceAccountRef."
    )
    expiration_seconds: int = Field(600, ge=600, description="Lifetime of the token.")


class JwtAuth(OneOf):
    """JWT/OIDC: a signed token, from a Secret or requested for a ServiceAccount."""

    path: VaultPath = Field("jwt", description="Mount of the auth method.")
    role: str | None = Field(None, description="Vault's role; empty means the mount's default role.")
    secret_ref: SecretKeySelector | None = Field(None, description="A Secret with the token.")
    kubernetes_service_account_token: KubernetesServiceAccountToken | None = Field(
        None, description="Request the token of a ServiceAccount."
    )

    shared: ClassVar[frozenset[str]] = frozenset({"path", "role"})

    def prepare(self, auth: AuthResolver, /) -> Login:
        """The token's source; a requested token is asked for at each login."""
        role = (self.role or "").strip()
        if self.secret_ref is not None:
            fixed = auth.secret_text(self.secret_ref, strip=True)
            # The library that upstream uses for this one method counts it as a write; dashboards know it so.
            return Login(
                login_path(self.path),
                lambda _: _jwt_body(role, fixed),
                (role, fixed),
                "JWT",
                "WriteSecretData",
            )
        source = self.kubernetes_service_account_token
        if source is None:
            raise CredentialsError("auth.jwt names no token")
        account = auth.service_account(source.service_account_ref)

        def body(_: str) -> Mapping[str, str]:
            token = auth.service_account_token(
                source.service_account_ref,
                audiences=source.audiences,
                expiration_seconds=source.expiration_seconds,
            )
            return _jwt_body(role, token.value)

        who = (
            account.namespace,
            account.name,
            account.uid,
            *source.audiences,
            *source.service_account_ref.audiences,
        )
        return Login(login_path(self.path), body, (role, *who), "JWT", "WriteSecretData")


def _jwt_body(role: str, token: str) -> Mapping[str, str]:
    return {"role": role, "jwt": token} if role else {"jwt": token}


class CertAuth(Block):
    """TLS certificate: the client certificate of the connection is the credential."""

    path: VaultPath = Field("cert", description="Mount of the auth method.")
    vault_role: str | None = Field(None, description="Vault's role; without it every role is tried.")
    client_cert: CertificateSelector = Field(description="A Secret with the certificate in PEM.")
    secret_ref: PrivateKeySelector = Field(description="A Secret with the private key in PEM.")

    def certificate(self, auth: AuthResolver) -> ClientCertificate:
        """The certificate that every request of the store is made with: renewals are bound to it, too."""
        return ClientCertificate(auth.secret_key(self.client_cert), auth.secret_key(self.secret_ref))

    def prepare(self, _auth: AuthResolver, /) -> Login:
        """The role; the certificate is in the connection."""
        role = (self.vault_role or "").strip()
        body = {"name": role} if role else {}
        return Login(login_path(self.path), lambda _: body, (role,), "certificate")


class VaultAuth(OneOf):
    """How to log in: exactly one of the methods."""

    namespace: str | None = Field(
        None, description="Vault namespace of the login, when it is not the store's."
    )
    token_secret_ref: TokenAuth | None = Field(None, description="A token in a Secret.")
    app_role: AppRoleAuth | None = Field(None, description="AppRole.")
    kubernetes: KubernetesAuth | None = Field(None, description="Kubernetes ServiceAccount.")
    ldap: LdapAuth | None = Field(None, description="LDAP user.")
    user_pass: UserPassAuth | None = Field(None, description="Userpass user.")
    jwt: JwtAuth | None = Field(None, description="JWT/OIDC.")
    cert: CertAuth | None = Field(None, description="TLS certificate.")
    iam: IamAuth | None = Field(None, description="AWS IAM.")
    gcp: GcpAuth | None = Field(None, description="Google Cloud.")

    shared: ClassVar[frozenset[str]] = frozenset({"namespace"})

    def client_certificate(self, auth: AuthResolver) -> ClientCertificate | None:
        """The certificate that this login needs in the connection, when it is the certificate login."""
        return self.cert.certificate(auth) if self.cert is not None else None

    def prepare(self, auth: AuthResolver, /) -> Login | StaticToken:
        """What the chosen method says."""
        method: Method = self.chosen
        return method.prepare(auth)
