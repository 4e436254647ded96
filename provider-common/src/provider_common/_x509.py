"""Reading and checking PEM: the few facts that serving and rotating certificates need.

Authorities are read by Python's `ssl`, leaves and keys by `cryptography`. The reason is a fact of the field: the Go
cert-controller issues its CA with serial number 0, which RFC 5280 forbids; `cryptography` warns about it today and says
that it will refuse it, OpenSSL reads it.

It refuses to guess: whatever is cut off, encrypted or does not belong together is a CertificateError that says so.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.+?-----END \1-----[ \t]*(?:\r?\n|$)", re.DOTALL)


_DAMAGED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for bytes that are no certificate; often only when a part of it is asked for."""


class CertificateError(ValueError):
    """Certificate material that can't be used. The text names what is wrong and the fix, never the material."""


@dataclass(frozen=True, slots=True)
class Authority:
    """One certificate of a CA bundle, and what `ssl` tells about it."""

    pem: bytes
    serial: int
    not_before: datetime
    not_after: datetime

    def parsed(self) -> x509.Certificate | None:
        """The certificate for checks that need its key; None when only `ssl` reads it (a serial number of 0, say)."""
        try:
            return x509.load_pem_x509_certificate(self.pem) if self.serial > 0 else None
        except _DAMAGED:
            return None


def pem_blocks(pem: bytes, label: str = "") -> list[bytes]:
    """The PEM blocks of `pem` whose label ends in `label`. Raises CertificateError when one is cut off."""
    # Each block ends in one newline, whatever the file had: blocks are joined again by who uses them.
    found = [(match.group(1), match.group(0).rstrip() + b"\n") for match in _BLOCK.finditer(pem)]
    if pem.count(b"-----BEGIN ") != len(found):
        raise CertificateError("a PEM block is cut off: the file is half written or damaged")
    return [block for name, block in found if name.decode("ascii").endswith(label)]


def read_authorities(pem: bytes) -> list[Authority]:
    """The certificates of a CA bundle, in its order. Raises CertificateError when there is none, or one is unreadable."""
    blocks = pem_blocks(pem, "CERTIFICATE")
    if not blocks:
        raise CertificateError("it holds no PEM certificate")
    return [_authority(block) for block in blocks]


def _authority(block: bytes) -> Authority:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=block.decode("ascii"))
        facts = context.get_ca_certs()
        moments = [_moment(str(fact[when])) for fact in facts for when in ("notBefore", "notAfter")]
    except (ssl.SSLError, ValueError):
        raise CertificateError("it holds a certificate that can't be read: damaged PEM or DER") from None
    if not facts:
        raise CertificateError(
            "it holds a certificate that is not a CA (basicConstraints CA:TRUE is missing); "
            "put the issuing CA there, not a leaf"
        )
    return Authority(
        block,
        int(str(facts[0]["serialNumber"]), 16),
        *moments[:2],
    )


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def read_chain(pem: bytes) -> list[x509.Certificate]:
    """A leaf and what follows it. Raises CertificateError when there is none, or one is unreadable."""
    blocks = pem_blocks(pem, "CERTIFICATE")
    if not blocks:
        raise CertificateError("it holds no PEM certificate")
    try:
        chain = [x509.load_pem_x509_certificate(block) for block in blocks]
        for certificate in chain:
            certificate.public_key()
            certificate.extensions  # noqa: B018 - read at first use
    except UnsupportedAlgorithm:
        raise CertificateError("its certificate has a key of an unknown kind") from None
    except _DAMAGED:
        raise CertificateError("its certificate can't be read: damaged PEM or DER") from None
    return chain


def read_leaf(pem: bytes) -> x509.Certificate:
    """The first certificate of a chain. Raises CertificateError when there is none, or one is unreadable."""
    return read_chain(pem)[0]


def read_key(pem: bytes) -> PrivateKey:
    """A private key in PKCS#1, PKCS#8 or SEC 1 PEM. Raises CertificateError; an encrypted key is one, too."""
    blocks = pem_blocks(pem, "PRIVATE KEY")
    if not blocks:
        raise CertificateError("it holds no PEM private key")
    try:
        key = load_pem_private_key(blocks[0], password=None)
    except TypeError:
        raise CertificateError(
            "its key is protected by a passphrase, which is not supported; remove it (openssl pkey -in KEY -out KEY)"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("its private key can't be read: damaged, or of an unknown kind") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError(
            "its private key is neither RSA nor ECDSA, which TLS peers do not commonly accept"
        )
    return key


def belong_together(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """True when `key` is the private half of the certificate's key."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
    except _DAMAGED:
        return False


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """True when `authority` has signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (*_DAMAGED, InvalidSignature):  # a wrong name, algorithm or signature all mean: not by this one
        return False
    return True
