"""The Go peer issues what the Go cert-controller issues, which is not quite what others would."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from eso_e2e.gopeer import GoPeer

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folder(go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("go-certs")
    go_peer.certs(made, services=("provider-a", "provider-b"), namespace="eso")
    return made


def test_the_ca_has_the_serial_number_0_and_a_dns_name(folder: Path) -> None:
    """RFC 5280 forbids that number, and OpenSSL reads it all the same."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "ca.crt")
    (ca,) = context.get_ca_certs()
    # Go writes organization before common name.
    assert (ca["serialNumber"], ca["subjectAltName"]) == ("00", (("DNS", "external-secrets"),))
    assert ca["subject"] == (
        (("organizationName", "external-secrets"),),
        (("commonName", "external-secrets"),),
    )


@pytest.mark.parametrize(
    ("name", "subject", "usage", "names"),
    [
        (
            "tls",
            "CN=external-secrets-provider,O=external-secrets",
            ExtendedKeyUsageOID.SERVER_AUTH,
            [
                f"{service}{suffix}"
                for service in ("provider-a", "provider-b")
                for suffix in ("", ".eso", ".eso.svc", ".eso.svc.cluster.local")
            ],
        ),
        ("client", "CN=external-secrets-controller,O=external-secrets", ExtendedKeyUsageOID.CLIENT_AUTH, []),
    ],
    ids=["server", "client"],
)
def test_a_leaf_is_of_rsa_2048_and_has_its_one_purpose(
    folder: Path, name: str, subject: str, usage: x509.ObjectIdentifier, names: list[str]
) -> None:
    """With four names for each Service, and the key in PKCS#1."""
    leaf = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
    found = [
        entry
        for one in leaf.extensions
        if isinstance(one.value, x509.SubjectAlternativeName)
        for entry in one.value.get_values_for_type(x509.DNSName)
    ]
    pem = (folder / f"{name}.key").read_bytes()
    key = load_pem_private_key(pem, None)

    assert (leaf.subject.rfc4514_string(), found) == (subject, names)
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    assert pem.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


def test_two_leaves_have_two_serial_numbers(folder: Path) -> None:
    """They are the moments at which they were made."""
    leaves = [
        x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()) for name in ("tls", "client")
    ]

    assert leaves[0].serial_number < leaves[1].serial_number
