"""What connections are made with: TLS as one store wants it, and nothing of the process environment but its proxies.

VAULT_* variables, ~/.vault-token, .netrc and REQUESTS_CA_BUNDLE are never read: one provider serves many stores.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

import requests
from provider_common import InvalidSpecError
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from provider_vault._login import ClientCertificate

POOL = 64
"""Connections that are kept: about as many as one store has calls at a time."""


def bare_session(tls: ssl.SSLContext | None = None) -> requests.Session:
    """A session that takes nothing from the environment, with the system's roots unless `tls` has others."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _TlsAdapter(tls or ssl.create_default_context()))
    session.mount("http://", HTTPAdapter(pool_maxsize=POOL))
    return session


class _TlsAdapter(HTTPAdapter):
    """Uses one SSLContext as it is: requests would add its own bundle of roots to a private CA."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_maxsize=POOL)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _pool = super().build_connection_pool_key_attributes(request, True, None)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to add: the context verifies."""


def tls_context(ca: bytes | None, client: ClientCertificate | None) -> ssl.SSLContext:
    """TLS 1.2 or newer with `ca` (PEM) as the only roots, else the system's. Raises InvalidSpecError for bad PEM."""
    context = ssl.create_default_context()
    if ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            # Bundles have comments, and authorities names, beyond ASCII.
            context.load_verify_locations(cadata=ca.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            raise InvalidSpecError(
                "The CA certificates are not PEM that can be read (caBundle, caProvider)"
            ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As in Go, what is given as trusted ends the chain: an intermediate, or the server's own certificate, will do.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if client is not None:
        _load_client(context, client)
    return context


def _load_client(context: ssl.SSLContext, client: ClientCertificate) -> None:
    # Python's ssl loads a key only from a file. mkstemp makes it readable by this user alone, and it is gone at once.
    handle, name = tempfile.mkstemp(prefix="tls-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(client.certificate.rstrip() + b"\n" + client.key)
        context.load_cert_chain(name, password=_no_password)
    except (ssl.SSLError, ValueError):
        raise InvalidSpecError(
            "The client certificate and its key are not a pair in PEM that can be read, without a password"
        ) from None
    finally:
        Path(name).unlink(missing_ok=True)


def _no_password() -> str:
    raise ValueError("encrypted keys are not supported")  # instead of OpenSSL's prompt on the terminal


def proxies_for(url: str) -> dict[str, str]:
    """The proxies that the environment names for `url`: HTTPS_PROXY and its kind, and Vault's own two variables."""
    special = os.environ.get("VAULT_PROXY_ADDR") or os.environ.get("VAULT_HTTP_PROXY")
    if special:
        return {"http": special, "https": special}
    return dict(get_environ_proxies(url))
