"""From a spec to a client: the credentials are read here, and it is decided who shares a token with whom."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Self

from provider_common import AuthResolver, Context

from provider_vault._client import VaultClient
from provider_vault._consistency import Consistency
from provider_vault._http import VaultHttp
from provider_vault._login import ClientCertificate, Login, StaticToken
from provider_vault._session import tls_context
from provider_vault._tokens import TokenManager
from provider_vault.spec import VaultServer

# Identities are compared inside this process only; outside of it the key is worth nothing.
_IDENTITY_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that makes a client: a server, and the credentials that were read for it."""

    server: VaultServer
    login: Login | StaticToken | None
    ca: bytes | None = field(repr=False)
    certificate: ClientCertificate | None = field(repr=False)
    purpose: str = "store"
    """Tokens are shared by what has the same purpose."""

    @classmethod
    def read(cls, auth: AuthResolver, server: VaultServer, *, purpose: str = "store") -> Self:
        """Read the credentials. Vault is not asked."""
        login, certificate = None, None
        ca = auth.ca_bundle(server.ca_bundle, server.ca_provider)
        if server.tls is not None and (pair := server.tls.chosen) is not None:
            certificate = ClientCertificate(auth.secret_key(pair[0]), auth.secret_key(pair[1]))
        if server.auth is not None:
            # A certificate login replaces the other certificate: TLS shows one.
            certificate = server.auth.client_certificate(auth) or certificate
            login = server.auth.prepare(auth)
        return cls(server, login, ca, certificate, purpose)

    def identity(self) -> tuple[str, bytes]:
        """A key of everything that a token depends on. A part too few would hand one tenant's token to another."""
        server = self.server
        parts: list[bytes | str] = [
            self.purpose,
            server.server,
            json.dumps(sorted(server.headers.items())),
            server.namespace or "",
            (server.auth.namespace if server.auth else "") or "",
            self.ca or b"",
            self.certificate.certificate if self.certificate else b"",
            self.certificate.key if self.certificate else b"",
            type(self.login).__name__,
        ]
        if isinstance(self.login, StaticToken):
            parts.append(self.login.value)
        elif self.login is not None:
            parts += [self.login.method, self.login.path, *self.login.identity]
        encoded = [part.encode() if isinstance(part, str) else part for part in parts]
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
        return "vault-token", hmac.digest(_IDENTITY_KEY, framed, hashlib.sha256)

    def client(self, ctx: Context[Any]) -> VaultClient:
        """A client with connections of its own, and the token that all clients of this identity share."""
        server = self.server
        consistency = Consistency(
            read_your_writes=server.read_your_writes, forward_inconsistent=server.forward_inconsistent
        )
        login_namespace = server.auth.namespace if server.auth is not None else None
        return VaultClient(
            VaultHttp(
                server.server,
                tls=tls_context(self.ca, self.certificate),
                headers=server.headers,
                consistency=consistency,
            ),
            ctx=ctx,
            login=self.login,
            tokens=ctx.shared(self.identity(), TokenManager),
            namespace=(server.namespace or "").strip("/"),
            login_namespace=(login_namespace or "").strip("/"),
        )
