"""Certificates and keys with one wrong byte: whatever it is, the answer is a text for people."""

import base64
import logging
import random
from collections import Counter
from pathlib import Path

import pytest
from provider_common._tls import ServerTls, TlsError, TlsFiles
from provider_common.certificates import CertFolder, CertificateManager, FolderStore, issue_certs

FILES = {"ca.crt": "CERTIFICATE", "tls.crt": "CERTIFICATE", "tls.key": "PRIVATE KEY"}


def der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))


def pem(content: bytes, label: str) -> bytes:
    text = base64.b64encode(content).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> CertFolder:
    return issue_certs(tmp_path_factory.mktemp("good"), hosts=("localhost",))


def refusal(folder: Path) -> str:
    """Why a server does not start with what is in the folder; empty when it does."""
    try:
        ServerTls(TlsFiles(folder))
    except TlsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", FILES)
def test_one_wrong_byte_is_a_clear_error_or_none_at_all(
    good: CertFolder, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`cryptography` reads some parts only when they are asked for, and raises what it likes. At start it would be a
    traceback, later a handshake that fails although the server has good certificates.
    """
    caplog.set_level(logging.CRITICAL)
    for file in good.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    running = ServerTls(TlsFiles(tmp_path), settle=0)
    whole = der((good.path / name).read_bytes())
    rng = random.Random(7)
    outcomes: Counter[str] = Counter()

    for at in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[at] = (spoilt[at] + rng.choice((1, 0x80, rng.randrange(1, 255)))) % 256
        (tmp_path / name).write_bytes(pem(bytes(spoilt), FILES[name]))
        outcomes[refusal(tmp_path)] += 1
        running.expiry()

    assert all(str(tmp_path) in text for text in outcomes if text)
    assert outcomes.total() - outcomes[""] > 50


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key", "client.crt", "client.key"])
def test_a_manager_that_finds_a_wrong_byte_makes_what_is_needed_anew(
    good: CertFolder, tmp_path: Path, name: str
) -> None:
    """It runs unattended: what it finds may be anything."""
    label = "PRIVATE KEY" if name.endswith(".key") else "CERTIFICATE"
    whole = der((good.path / name).read_bytes())
    for at in range(0, len(whole), 23):
        for file in good.path.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        spoilt = bytearray(whole)
        spoilt[at] = (spoilt[at] + 1) % 256
        (tmp_path / name).write_bytes(pem(bytes(spoilt), label))

        CertificateManager(FolderStore(tmp_path), hosts=["localhost"]).ensure()

        ServerTls(TlsFiles(tmp_path))
