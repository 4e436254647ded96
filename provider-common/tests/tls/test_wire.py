"""Mutual TLS as its peers see it: who is served, who is not, and by which versions."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from provider_common._tls import ServerTls, TlsFiles, TlsMaterial, client_credentials, load_client
from provider_common.certificates import CertFolder, issue_certs

Serve = Callable[[ServerTls], Any]
"""The fixture: starts a server that answers with the request, and notes who called."""


def server_tls(certs: CertFolder) -> ServerTls:
    return ServerTls(TlsFiles(certs.path))


def with_client_of(trusted: CertFolder, other: CertFolder) -> grpc.ChannelCredentials:
    """Trusts the right CA, but shows the client certificate of `other`."""
    shown = load_client(other.path).material
    return client_credentials(TlsMaterial(trusted.ca_file.read_bytes(), shown.certificate, shown.key))


def test_a_client_of_the_configured_ca_is_served(certs: CertFolder, serve: Serve) -> None:
    """The base line of all refusals below."""
    served = serve(server_tls(certs))

    assert served.call(client_credentials(certs.path)) == b"hello"


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(lambda certs: with_client_of(certs, certs.stranger()), id="certificate of another CA"),
        pytest.param(lambda certs: with_client_of(certs, certs.expired()), id="expired certificate"),
        pytest.param(
            lambda certs: grpc.ssl_channel_credentials(certs.ca_file.read_bytes()), id="no certificate"
        ),
        pytest.param(lambda certs: None, id="no TLS"),
    ],
)
def test_a_client_without_a_good_certificate_reaches_no_handler(
    certs: CertFolder, serve: Serve, credentials: Callable[[CertFolder], grpc.ChannelCredentials | None]
) -> None:
    """Whoever can call may read every secret, so the handshake has to end it."""
    served = serve(server_tls(certs))

    with pytest.raises(grpc.RpcError) as refused:
        served.call(credentials(certs))

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert served.echo.callers == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(CertFolder.misnamed, id="certificate for another host"),
        pytest.param(CertFolder.stranger, id="certificate of another CA"),
        pytest.param(CertFolder.expired, id="expired certificate"),
    ],
)
def test_a_client_does_not_talk_to_the_wrong_server(
    certs: CertFolder, serve: Serve, bad: Callable[[CertFolder], CertFolder]
) -> None:
    """The server would be told which secrets are wanted, and could answer anything."""
    served = serve(server_tls(bad(certs)))

    with pytest.raises(grpc.RpcError) as refused:
        served.call(client_credentials(certs.path))

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert served.echo.callers == []


def context_of(certs: CertFolder, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks one version only."""
    context = ssl.create_default_context(cafile=certs.ca_file)
    context.load_cert_chain(certs.client_cert, certs.client_key)
    context.set_alpn_protocols(["h2"])
    # OpenSSL itself would not offer old versions at its usual level: then the test would not ask the server at all.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version
    return context


def shake_hands(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection(("localhost", port), timeout=20)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def version_offered(context: ssl.SSLContext) -> int:
    """The version in the ClientHello that `context` sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return int.from_bytes(outgoing.read()[9:11], "big")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_an_old_tls_version_is_refused_by_the_server(
    certs: CertFolder, serve: Serve, version: ssl.TLSVersion
) -> None:
    """gRPC has this floor without being told; the day it has not, this fails."""
    served = serve(server_tls(certs))
    context = context_of(certs, version)
    assert version_offered(context) == version.value

    # gRPC hangs up without saying why.
    with pytest.raises(OSError, match=r"EOF|reset|ALERT_PROTOCOL_VERSION"):
        shake_hands(context, served.port)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_current_tls_version_is_served_with_h2_selected(
    certs: CertFolder, serve: Serve, version: ssl.TLSVersion
) -> None:
    """grpc-go hangs up when the server selects no ALPN protocol."""
    served = serve(server_tls(certs))

    with shake_hands(context_of(certs, version), served.port) as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_what_the_go_controller_issues_is_served_and_accepted(go_made: CertFolder, serve: Serve) -> None:
    """RSA keys in PKCS#1 and a CA with serial number 0, on both sides of the connection, and no warning about it."""
    served = serve(server_tls(go_made))

    assert served.call(client_credentials(go_made.path)) == b"hello"


@pytest.mark.parametrize(
    "text_between", ["", "# issued for team-a\nsubject=CN = x\n"], ids=["bare", "with comments"]
)
def test_a_bundle_of_several_cas_serves_the_clients_of_each(
    certs: CertFolder, serve: Serve, tmp_path: Path, text_between: str
) -> None:
    """That is how a CA is replaced. Comments between the blocks are what `openssl` and people write there."""
    other = certs.stranger()
    bundle = certs.ca_file.read_text().rstrip() + "\n" + text_between + other.ca_file.read_text().rstrip()
    certs.ca_file.write_text(bundle)
    served = serve(server_tls(certs))

    assert served.call(client_credentials(certs.path)) == b"hello"
    assert served.call(with_client_of(certs, other)) == b"hello"


def test_a_server_of_an_ip_address_is_verified_by_it(tmp_path: Path, serve: Serve) -> None:
    """An address without a name is common on loopback and in tests."""
    certs = issue_certs(tmp_path / "by-address", hosts=("127.0.0.1",))
    served = serve(server_tls(certs))

    assert served.call(client_credentials(certs.path), host="127.0.0.1") == b"hello"
