"""The judge signs certificates with the target's CA, whoever made it."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from provider_conformance.tls import Authority

SERIAL_0, SERIAL_1 = bytes.fromhex("a003020102020100"), bytes.fromhex("a003020102020101")
NAME, OTHER = (
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("external-secrets", "other")
)


def ca(serial: int, name: x509.Name = NAME) -> tuple[bytes, bytes]:
    """Certificate and key. `cryptography` makes none with the number 0, so that one is made by hand; its signature is not looked at."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(serial or 1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    )
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    if serial == 0:
        assert der.count(SERIAL_1) == 1
        der = der.replace(SERIAL_1, SERIAL_0)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ssl.DER_cert_to_PEM_cert(der).encode(), pem


@pytest.mark.parametrize("serial", [0, 1, 2**64])
def test_a_ca_signs_whatever_its_serial_number(serial: int) -> None:
    """0 is what Go's cert-controller gives its CA. `cryptography` warns of it, and is going to refuse it."""
    leaf = Authority(*ca(serial)).issue("client")

    assert x509.load_pem_x509_certificate(leaf.cert).issuer == NAME


def test_the_first_of_a_bundle_signs() -> None:
    """While a CA is replaced the file has two, with whatever text around them."""
    (cert, key), (other, _) = ca(0), ca(1, OTHER)

    bundle = b"# from the cluster\n" + cert + b"\n# the next one\n" + other
    for authority in (Authority(bundle, key), Authority.make(like=bundle)):
        assert x509.load_pem_x509_certificate(authority.issue("client").cert).issuer == NAME
