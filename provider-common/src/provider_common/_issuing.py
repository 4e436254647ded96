"""Making keys and certificates: a private CA, and leaves for servers and clients.

It is no general CA: no revocation, no intermediates, no requests from others.

Keys are ECDSA P-256 in PKCS#8: a handshake costs the server about a tenth of RSA-2048, a key is made in well under a
millisecond, and every TLS 1.2 client knows the curve.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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


_LONGEST_HOST = 253
_LABEL = r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.IGNORECASE | re.ASCII)


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

    Raises CertificateError when the CA can't be read, a server has no host, or a host is none.
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
        if len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
            raise CertificateError(
                f"{host[:80]!r} is neither an address nor the name of a host: labels of letters, digits and -, joined by dots"
                " (international names as xn--...)"
            ) from None
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
