"""Certificates for the judge: bad ones to be refused, and new ones to be taken up. Made with `cryptography` alone."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_SERIAL_0, _SERIAL_1 = bytes.fromhex("a003020102020100"), bytes.fromhex("a003020102020101")  # of an X.509v3


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    cert: bytes
    key: bytes = field(repr=False)


class Authority:
    """Something that signs: the target's CA by its key, or one that the suite made and nobody trusts."""

    def __init__(self, cert: bytes, key: bytes) -> None:
        self.pem = cert
        self.key_pem = key
        self._name = _subject(cert)
        self._key = cast("CertificateIssuerPrivateKeyTypes", serialization.load_pem_private_key(key, None))

    @classmethod
    def make(cls, common_name: str = "provider-conformance", *, like: bytes | None = None) -> Authority:
        """A CA of our own. With `like` (PEM) it takes over that CA's name, but of course not its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        if like is not None:
            name = _subject(like)
        now = dt.datetime.now(dt.UTC)
        cert = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(cert.public_bytes(serialization.Encoding.PEM), _pem(key))

    def issue(
        self,
        common_name: str,
        *,
        names: tuple[str, ...] = (),
        server: bool = False,
        starts_in: dt.timedelta = -_DAY,
        ends_in: dt.timedelta = 10 * _DAY,
    ) -> Pair:
        """A leaf for a client, or for a server with these DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + starts_in)
            .not_valid_after(now + ends_in)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(n) for n in names]), critical=False
            )
        cert = builder.sign(self._key, hashes.SHA256())
        return Pair(cert.public_bytes(serialization.Encoding.PEM), _pem(key))


def _subject(pem: bytes) -> x509.Name:
    """The subject of the first certificate of `pem`.

    Go's cert-controller gives its CA the serial number 0, which `cryptography` warns of and is going to refuse. The subject
    is the same with another number.
    """
    text = pem.decode("ascii", errors="replace")
    start, end = text.find(_BEGIN), text.find(_END)
    der = ssl.PEM_cert_to_DER_cert(text[start : end + len(_END)])
    return x509.load_der_x509_certificate(der.replace(_SERIAL_0, _SERIAL_1, 1)).subject


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a TLS handshake agreed on."""

    version: str
    alpn: str | None
    certificate: x509.Certificate


@contextmanager
def _files(ca: bytes, pair: Pair) -> Iterator[tuple[Path, Path, Path]]:
    """Python's ssl loads client keys from files only: a folder of our own (mode 0700) that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        paths = (Path(folder, "ca.crt"), Path(folder, "tls.crt"), Path(folder, "tls.key"))
        for path, content in zip(paths, (ca, pair.cert, pair.key), strict=True):
            path.write_bytes(content)
        yield paths


def handshake(
    address: tuple[str, int],
    *,
    ca: bytes,
    pair: Pair,
    server_name: str,
    alpn: tuple[str, ...] = ("h2",),
    at_most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    timeout: float = 20.0,
) -> Handshake:
    """Shake hands without gRPC. Raises ssl.SSLError or OSError when the server does not want to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        # The deprecated versions are asked for on purpose, to see them refused.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = min(ssl.TLSVersion.TLSv1_2, at_most)
        context.maximum_version = at_most
    if at_most < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with _files(ca, pair) as (ca_file, cert_file, key_file):
        context.load_verify_locations(ca_file)
        context.load_cert_chain(cert_file, key_file)
    with (
        socket.create_connection(address, timeout) as raw,
        context.wrap_socket(raw, server_hostname=server_name) as wrapped,
    ):
        der = wrapped.getpeercert(binary_form=True)
        assert der is not None
        return Handshake(
            wrapped.version() or "", wrapped.selected_alpn_protocol(), x509.load_der_x509_certificate(der)
        )


def can_speak(version: ssl.TLSVersion) -> bool:
    """Whether this Python's OpenSSL can speak that version at all: else its refusal would prove nothing."""
    known = {ssl.TLSVersion.TLSv1: ssl.HAS_TLSv1, ssl.TLSVersion.TLSv1_1: ssl.HAS_TLSv1_1}
    return known.get(version, True)
