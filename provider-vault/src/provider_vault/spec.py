"""What a user writes to reach a Vault: the store `Vault` and the generator `VaultDynamicSecret`.

Field names and defaults are those of the in-tree Vault store, so a manifest moves over by taking its `vault` block as
the new object's `spec`. What could only go wrong later is refused here: two ways to log in, half a client certificate,
check-and-set on KV v1, a header that would get round a field of its own.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from provider_common import Alias, Block, CAProvider, Column, Field, Rule, SecretKeySelector, Spec
from provider_common.durations import parse_duration
from pydantic import AfterValidator, StringConstraints, model_validator

from provider_vault._paths import VaultPath
from provider_vault._selectors import CertificateSelector, PrivateKeySelector
from provider_vault.auth import VaultAuth


def _an_address(server: str) -> str:
    try:
        urlsplit(server).port  # noqa: B018 - it is here that brackets and numbers are looked at
    except ValueError:
        raise ValueError("is no address: check brackets and port") from None
    return server


ServerUrl = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$", max_length=2048),
    AfterValidator(_an_address),
]

# A header with a field of its own must not be set past that field: its checks (is this an edition with namespaces?
# does the token come from a Secret?) would be passed by.
RESERVED_HEADERS = (
    "x-vault-token",
    "x-vault-namespace",
    "x-vault-request",
    "x-vault-index",
    "authorization",
    "host",
)


class ClientTls(Block):
    """A client certificate for the TLS layer. Give both fields or neither."""

    cert_secret_ref: CertificateSelector | None = Field(
        None, description="Certificate in PEM; key defaults to tls.crt."
    )
    key_secret_ref: PrivateKeySelector | None = Field(
        None, description="Private key in PEM; key defaults to tls.key."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.certSecretRef) == has(self.keySecretRef)",
            "certSecretRef and keySecretRef have to be given together",
        ),
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.cert_secret_ref is None) != (self.key_secret_ref is None):
            raise ValueError("certSecretRef and keySecretRef have to be given together")
        return self

    @property
    def chosen(self) -> tuple[SecretKeySelector, SecretKeySelector] | None:
        """Certificate and key; None when neither is given."""
        if self.cert_secret_ref is None or self.key_secret_ref is None:
            return None
        return self.cert_secret_ref, self.key_secret_ref


class CheckAndSet(Block):
    """How a push treats a secret that somebody else changes at the same moment (KV v2)."""

    required: bool = Field(
        False,
        description="Report a concurrent change as an error at once, instead of reading again and merging.",
    )


class VaultServer(Block):
    """A Vault, the KV mount in it, and how to log in."""

    server: ServerUrl = Field(
        description="Address of the server, for example https://vault.example.com:8200."
    )
    path: VaultPath | None = Field(
        None,
        description="Path of the KV mount, for example `secret`. Without it every key begins with the mount.",
    )
    version: Literal["v1", "v2"] = Field("v2", description="Version of the KV engine at the mount.")
    namespace: str | None = Field(None, description="Vault namespace (Vault Enterprise, HCP, OpenBao).")
    ca_bundle: str | None = Field(
        None, description="CA certificates that the server's certificate is checked with: base64 of PEM."
    )
    ca_provider: CAProvider | None = Field(
        None, description="A Secret or ConfigMap with the CA certificates, in PEM."
    )
    tls: ClientTls | None = Field(None, description="Client certificate for the TLS layer.")
    read_your_writes: bool = Field(
        False, description="Follow the replication state of earlier answers (Vault Enterprise)."
    )
    forward_inconsistent: bool = Field(
        False,
        description="Ask a standby that lags behind to forward to the active node; needs readYourWrites.",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Further headers of every request.")
    check_and_set: CheckAndSet | None = Field(None, description="Check-and-set for KV v2.")
    auth: VaultAuth | None = Field(
        None,
        description="How to log in; exactly one method. Without it nothing is sent (an agent adds the token).",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(self.version == 'v1' && has(self.checkAndSet) && self.checkAndSet.required)",
            "checkAndSet.required needs version v2: KV v1 has no versions to check",
        ),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.version == "v1" and self.check_and_set is not None and self.check_and_set.required:
            raise ValueError("checkAndSet.required needs version v2: KV v1 has no versions to check")
        for name, value in self.headers.items():
            if name.lower() in RESERVED_HEADERS:
                raise ValueError(
                    f"headers.{name} is set by other fields: use namespace, auth or readYourWrites"
                )
            if not re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name) or "\n" in value or "\r" in value:
                raise ValueError(f"headers.{name} is no HTTP header")
        return self

    @property
    def mount(self) -> str:
        """`path` without outer or doubled slashes; empty when the mount is part of every key."""
        return "/".join(part for part in (self.path or "").split("/") if part)


class VaultSpec(VaultServer, Spec):
    """A KV engine (version 1 or 2) of a HashiCorp Vault or an OpenBao."""

    kind: ClassVar[str] = "Vault"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Server", ".spec.server"),
        Column("Path", ".spec.path"),
        Column("Version", ".spec.version"),
    )


class GeneratorRetry(Block):
    """How calls to Vault are tried again."""

    max_retries: int | None = Field(None, ge=0, le=100, description="Tries after the first.")
    retry_interval: str | None = Field(None, description="Pause between tries, such as 5s or 1m30s.")

    @model_validator(mode="after")
    def _a_duration(self) -> Self:
        if self.retry_interval is not None and parse_duration(self.retry_interval) < 0:
            raise ValueError("retryInterval can't be negative")
        return self

    @property
    def seconds(self) -> float | None:
        """`retryInterval` in seconds; None when not given."""
        return None if self.retry_interval is None else parse_duration(self.retry_interval)


class VaultDynamicSecretSpec(Spec):
    """Asks any path of a Vault for something new: database users, certificates, cloud credentials, tokens."""

    kind: ClassVar[str] = "VaultDynamicSecret"
    aliases: ClassVar[tuple[Alias, ...]] = (
        Alias("generators.external-secrets.io/v1alpha1", "VaultDynamicSecret"),
    )
    columns: ClassVar[tuple[Column, ...]] = (Column("Path", ".spec.path"),)

    provider: VaultServer = Field(
        description="The Vault and how to log in; its `path` and `version` play no part."
    )
    path: VaultPath = Field(min_length=1, description="API path, for example database/creds/app.")
    method: str = Field(
        "GET",
        pattern=r"^[A-Z]*$",
        description="GET reads, LIST lists, DELETE deletes; anything else (POST, PUT) writes.",
    )
    parameters: dict[str, Any] | None = Field(None, description="Body of a write.")
    get_parameters: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="Query of a GET.")
    result_type: Literal["Data", "Auth", "Raw"] = Field(
        "Data", description="Which part becomes the result: `data`, `auth`, or the whole answer."
    )
    allow_empty_response: bool = Field(
        False, description="An empty answer gives no values instead of an error."
    )
    retry_settings: GeneratorRetry | None = Field(None, description="How calls to Vault are tried again.")
    controller: str | None = Field(None, description="Controller class; the core acts on it.")
    revoke_on_cleanup: bool = Field(
        False,
        description="Hand the lease (or the new token's accessor) to the core, and revoke it when the core cleans up:"
        " soon after newer values were made, or when the ExternalSecret goes. Leave it off where consumers keep using"
        " the old credentials until their lease ends.",
    )
