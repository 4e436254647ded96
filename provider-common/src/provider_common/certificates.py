"""Certificates for mutual TLS between a core and its providers: issue them, keep them, replace them in time.

It works in the style of the Go project's cert-controller: one private CA, one server leaf, one client leaf, under the same
six names. It is no general CA: no revocation, no intermediates, no requests from others.

Keys are ECDSA P-256 in PKCS#8: a handshake costs the server about a tenth of RSA-2048, a key is made in well under a
millisecond, and every TLS 1.2 client knows the curve. RSA keys that others issued (the Go controller's are RSA-2048 in PKCS#1)
are read and served as they are.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provider_common._x509 import CertificateError, PrivateKey, read_key, read_leaf
from provider_common.sensitive import SecretBytes

BACKDATE = timedelta(minutes=5)
"""A new certificate is valid a little before it is made: clocks of nodes differ."""
CA_VALIDITY = timedelta(days=3650)
LEAF_VALIDITY = timedelta(days=365)

CA_CERT, CA_KEY = "ca.crt", "ca.key"
SERVER_CERT, SERVER_KEY = "tls.crt", "tls.key"
CLIENT_CERT, CLIENT_KEY = "client.crt", "client.key"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: SecretBytes = field(repr=False)


def service_hosts(service: str, namespace: str) -> tuple[str, ...]:
    """The names under which a cluster reaches a Service: what its server certificate has to carry."""
    in_namespace = f"{service}.{namespace}"
    return service, in_namespace, f"{in_namespace}.svc", f"{in_namespace}.svc.cluster.local"


def issue_ca(
    *, common_name: str = "external-secrets", validity: timedelta = CA_VALIDITY, now: datetime | None = None
) -> KeyPair:
    """A new self-signed CA. Its subject carries its serial number, so that two CAs trusted at the same time are
    never mistaken for each other.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"{common_name} {serial:x}"[:64], organization=common_name)
    builder = (
        _builder(key, subject=name, issuer=name, serial=serial, validity=validity, now=now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return _signed(builder, key, key)


def issue_leaf(
    ca: KeyPair,
    *,
    usage: Literal["server", "client"],
    hosts: Sequence[str] = (),
    common_name: str = "",
    validity: timedelta = LEAF_VALIDITY,
    now: datetime | None = None,
) -> KeyPair:
    """A leaf signed by `ca`, valid no longer than `ca`. `hosts` are DNS names or IP addresses; a server needs one.

    Raises CertificateError when the CA can't be read, or a server has no host.
    """
    if usage == "server" and not hosts:
        raise CertificateError(
            "a server certificate needs at least one host name: clients check nothing else"
        )
    authority, ca_key = read_leaf(ca.certificate), read_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name or f"external-secrets-{'provider' if usage == 'server' else 'controller'}")
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if usage == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    start = (now or datetime.now(UTC)) - BACKDATE
    lasts = min(validity + BACKDATE, authority.not_valid_after_utc - start) - BACKDATE
    builder = (
        _builder(
            key,
            subject=name,
            issuer=authority.subject,
            serial=x509.random_serial_number(),
            validity=lasts,
            now=now,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _signed(builder, key, ca_key)


def _builder(
    key: PrivateKey,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    serial: int,
    validity: timedelta,
    now: datetime | None,
) -> x509.CertificateBuilder:
    moment = now or datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(moment - BACKDATE)
        .not_valid_after(moment + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: PrivateKey, ca_key: PrivateKey) -> KeyPair:
    certificate = builder.sign(ca_key, hashes.SHA256())
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        SecretBytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        ),
    )


def _name(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def write_file(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader sees the old or the new content, never a part. Keys get mode 0600."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    mode = 0o600 if path.suffix == ".key" else 0o644
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class CertFolder:
    """A folder with a CA, a server leaf and a client leaf under the names that servers and cores expect.

    The further methods make what a peer has to refuse; each writes below `path` and says where.
    """

    path: Path
    hosts: tuple[str, ...]

    @property
    def ca_file(self) -> Path:
        """The CA bundle."""
        return self.path / CA_CERT

    @property
    def ca_key(self) -> Path:
        """The CA's key."""
        return self.path / CA_KEY

    @property
    def server_cert(self) -> Path:
        """The server's certificate."""
        return self.path / SERVER_CERT

    @property
    def server_key(self) -> Path:
        """The server's key."""
        return self.path / SERVER_KEY

    @property
    def client_cert(self) -> Path:
        """The client's certificate."""
        return self.path / CLIENT_CERT

    @property
    def client_key(self) -> Path:
        """The client's key."""
        return self.path / CLIENT_KEY

    def authority(self) -> KeyPair:
        """The CA, to issue more leaves with."""
        return KeyPair(self.ca_file.read_bytes(), SecretBytes(self.ca_key.read_bytes()))

    def stranger(self) -> CertFolder:
        """Certificates for the same hosts, in good order, of a CA that nobody here trusts."""
        return issue_certs(self.path / "stranger", hosts=self.hosts)

    def expired(self) -> CertFolder:
        """Leaves of this CA for the same hosts whose time is over since an hour."""
        return self._variant("expired", self.hosts, datetime.now(UTC) - timedelta(days=2))

    def misnamed(self, host: str = "somewhere-else.invalid") -> CertFolder:
        """Leaves of this CA whose server certificate is for `host` only."""
        return self._variant("misnamed", (host,), None)

    def _variant(self, name: str, hosts: tuple[str, ...], now: datetime | None) -> CertFolder:
        folder = CertFolder(self.path / name, hosts)
        folder.path.mkdir(parents=True, exist_ok=True)
        validity = LEAF_VALIDITY if now is None else timedelta(days=1, hours=23)
        _write_all(folder, self.authority(), validity=validity, now=now)
        return folder


def issue_certs(
    folder: str | os.PathLike[str], hosts: Sequence[str] = ("localhost", "127.0.0.1")
) -> CertFolder:
    """A throw-away CA with a server leaf for `hosts` and a client leaf, written to `folder` (made when missing)."""
    certs = CertFolder(Path(folder), tuple(hosts))
    certs.path.mkdir(parents=True, exist_ok=True)
    _write_all(certs, issue_ca(), validity=LEAF_VALIDITY, now=None)
    return certs


def _write_all(certs: CertFolder, ca: KeyPair, *, validity: timedelta, now: datetime | None) -> None:
    server = issue_leaf(ca, usage="server", hosts=certs.hosts, validity=validity, now=now)
    client = issue_leaf(ca, usage="client", validity=validity, now=now)
    for path, content in (
        (certs.ca_file, ca.certificate),
        (certs.ca_key, ca.key),
        (certs.server_key, server.key),
        (certs.server_cert, server.certificate),
        (certs.client_key, client.key),
        (certs.client_cert, client.certificate),
    ):
        write_file(path, content)
