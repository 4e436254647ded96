"""A tiny real gRPC server behind `ServerTls`, and certificates as the Go controller makes them."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from provider_common._tls import ServerTls
from provider_common.certificates import CertFolder, issue_certs


class Echo(grpc.GenericRpcHandler):
    """Answers every method with the request, and notes the serial number of the caller's certificate."""

    def __init__(self) -> None:
        self.callers: list[int] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        pem: Any = context.auth_context()["x509_pem_cert"][0]
        self.callers.append(x509.load_pem_x509_certificate(pem).serial_number)
        return request


@dataclass
class Served:
    """A running server."""

    port: int
    echo: Echo
    tls: ServerTls
    stop: Callable[[], object] = field(repr=False)

    def call(self, credentials: grpc.ChannelCredentials | None, *, host: str = "localhost") -> bytes:
        """One call on a connection of its own. Raises grpc.RpcError."""
        target = f"{host}:{self.port}"
        # The global pool of subchannels would let a new channel reuse the connection of an old one.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )
        with channel:
            method: Any = channel.unary_unary("/any/Method")
            answer: bytes = method(b"hello", timeout=20)
            return answer


@pytest.fixture
def certs(tmp_path: Path) -> CertFolder:
    return issue_certs(tmp_path / "certs")


@pytest.fixture
def serve() -> Iterator[Callable[[ServerTls], Served]]:
    running: list[Served] = []

    def start(tls: ServerTls) -> Served:
        echo = Echo()
        server = grpc.server(ThreadPoolExecutor(max_workers=8, thread_name_prefix="echo"))
        server.add_generic_rpc_handlers((echo,))
        port = server.add_secure_port("localhost:0", tls.credentials())
        server.start()
        served = Served(port, echo, tls, lambda: server.stop(None).wait())
        running.append(served)
        return served

    yield start
    for served in running:
        served.stop()


@pytest.fixture
def go_made(tmp_path: Path) -> CertFolder:
    return make_like_go(tmp_path / "go-made")


def make_like_go(folder: Path, *, years_left: float = 10) -> CertFolder:
    """The six files as the Go cert-controller writes them: RSA-2048, PKCS#1, a CA with serial number 0, leaves with 1.

    `cryptography` refuses to build a serial number of 0, so it is put into a finished CA, which is then signed again.
    """
    folder.mkdir(parents=True)
    ends = datetime.now(UTC) + timedelta(days=365 * years_left)
    ca_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ca_name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "external-secrets"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "external-secrets"),
        ]
    )
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(_with_serial_zero(ca, ca_key))
    (folder / "ca.key").write_bytes(_pkcs1(ca_key))
    for cert, key_file, name, purpose in (
        ("tls.crt", "tls.key", "external-secrets-provider", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client.crt", "client.key", "external-secrets-controller", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        leaf = _builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ca_name, key.public_key(), ends
        )
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        leaf = leaf.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        (folder / cert).write_bytes(
            leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        (folder / key_file).write_bytes(_pkcs1(key))
    return CertFolder(folder, ("localhost",))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(ends)
    )


def _pkcs1(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _with_serial_zero(ca: x509.Certificate, key: rsa.RSAPrivateKey) -> bytes:
    signed_part = ca.tbs_certificate_bytes.replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    signature = key.sign(signed_part, padding.PKCS1v15(), hashes.SHA256())
    sha256_with_rsa = bytes.fromhex("300d06092a864886f70d01010b0500")
    body = signed_part + sha256_with_rsa + b"\x03" + _length(len(signature) + 1) + b"\x00" + signature
    der = b"\x30" + _length(len(body)) + body
    lines = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"-----END CERTIFICATE-----\n"


def _length(size: int) -> bytes:
    encoded = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([size]) if size < 128 else bytes([0x80 | len(encoded)]) + encoded


def wait_until(claim: Callable[[], bool], *, seconds: float = 120) -> None:
    """Wait for `claim` to become true; AssertionError when it does not."""
    tick = threading.Event()
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen in time"
        tick.wait(0.01)


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until
