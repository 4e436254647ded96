"""The SSHKey generator. OpenSSH itself judges the files where it is installed, cryptography everywhere."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_common import DeadlineError, InvalidSpecError, TemporaryError
from provider_common.context import call_deadline
from provider_password import SSHKeyGenerator, sshkey
from provider_password.sshkey import SSHKeySpec, _with_comment

Generate = Callable[..., Mapping[str, bytes]]

KEYS = [
    pytest.param({}, "ssh-rsa", 2048, id="the default is rsa with 2048 bits"),
    pytest.param({"keyType": "rsa", "keySize": 3072}, "ssh-rsa", 3072, id="rsa with 3072 bits"),
    pytest.param({"keyType": "ecdsa"}, "ecdsa-sha2-nistp256", 256, id="the default of ecdsa is 256"),
    pytest.param({"keyType": "ecdsa", "keySize": 384}, "ecdsa-sha2-nistp384", 384, id="ecdsa with 384"),
    pytest.param({"keyType": "ecdsa", "keySize": 521}, "ecdsa-sha2-nistp521", 521, id="ecdsa with 521"),
    pytest.param({"keyType": "ed25519"}, "ssh-ed25519", 256, id="ed25519"),
    pytest.param({"keyType": "ed25519", "keySize": 4096}, "ssh-ed25519", 256, id="ed25519 has one size"),
]


@pytest.mark.parametrize(("spec", "name", "bits"), KEYS)
def test_both_halves_are_one_key_in_openssh_format(
    generate: Generate, spec: dict[str, Any], name: str, bits: int
) -> None:
    """The private half is not encrypted; the public one is a line of authorized_keys."""
    values = generate(SSHKeyGenerator, spec)

    assert sorted(values) == ["privateKey", "publicKey"]
    assert values["privateKey"].startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert values["privateKey"].endswith(b"-----END OPENSSH PRIVATE KEY-----\n")
    assert values["publicKey"].startswith(name.encode() + b" ")
    assert values["publicKey"].count(b"\n") == 1
    assert values["publicKey"].endswith(b"\n")
    key = load_ssh_private_key(values["privateKey"], password=None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert public == values["publicKey"].rstrip(b"\n")
    assert getattr(key, "key_size", 256) == bits


@pytest.mark.parametrize("comment", ["me@example.com", "two words", "ünïcode ☃", "x" * 255])
@pytest.mark.parametrize("key_type", ["rsa", "ecdsa", "ed25519"])
def test_openssh_reads_the_key_and_its_comment(
    generate: Generate, tmp_path: Path, key_type: str, comment: str
) -> None:
    """`ssh-keygen -y` derives the public half from the private file, the comment kept inside it included."""
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        pytest.skip("ssh-keygen is not on PATH: install openssh-client")
    values = generate(SSHKeyGenerator, {"keyType": key_type, "comment": comment})
    file = tmp_path / "key"
    file.write_bytes(values["privateKey"])
    file.chmod(0o600)

    derived = subprocess.run([keygen, "-y", "-P", "", "-f", file], capture_output=True, check=True).stdout

    assert derived == values["publicKey"]
    assert derived.decode() == f"{' '.join(derived.decode().split()[:2])} {comment}\n"


def test_openssh_reads_a_key_without_comment(generate: Generate, tmp_path: Path) -> None:
    """Without a comment the line ends after the key."""
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        pytest.skip("ssh-keygen is not on PATH: install openssh-client")
    values = generate(SSHKeyGenerator, {"keyType": "ed25519"})
    file = tmp_path / "key"
    file.write_bytes(values["privateKey"])
    file.chmod(0o600)

    derived = subprocess.run([keygen, "-y", "-P", "", "-f", file], capture_output=True, check=True).stdout

    assert derived == values["publicKey"]
    assert len(derived.split()) == 2


@given(
    comment=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=80)
)
@settings(max_examples=50)
def test_a_comment_changes_nothing_but_itself(comment: str) -> None:
    """cryptography checks padding, lengths and both copies of the public key when it reads the file back."""
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    loaded = load_ssh_private_key(_with_comment(pem, comment.encode()), password=None)

    assert isinstance(loaded, ed25519.Ed25519PrivateKey)
    assert loaded.private_bytes_raw() == key.private_bytes_raw()


def test_the_public_half_carries_the_comment(generate: Generate) -> None:
    """After a blank, as OpenSSH writes it."""
    line = generate(SSHKeyGenerator, {"keyType": "ed25519", "comment": "deploy key"})["publicKey"]

    assert line.endswith(b" deploy key\n")
    assert isinstance(load_ssh_public_key(line), ed25519.Ed25519PublicKey)


def test_a_large_key_comes_from_a_process_of_its_own(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing lost on the way; the number that counts as large is lowered here, to be quick."""
    monkeypatch.setattr(sshkey, "LARGEST_HERE", 2047)

    values = generate(SSHKeyGenerator, {"keySize": 2048, "comment": "c"})

    key = load_ssh_private_key(values["privateKey"], password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert (key.key_size, key.public_key().public_numbers().e) == (2048, 65537)


def test_a_search_that_breaks_off_may_be_tried_again(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed for want of memory, say: no fault of the manifest."""
    monkeypatch.setattr(sshkey, "_SEARCH", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    with pytest.raises(TemporaryError, match="ended with -9"):
        generate(SSHKeyGenerator, {"keySize": 8192})


NEVER = "import time; time.sleep(600)"


def test_the_search_for_a_large_key_ends_with_the_callers_time(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can take minutes, and nobody would wait for the outcome: the process that searches is ended, too."""
    searches = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            searches.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    monkeypatch.setattr(sshkey, "_SEARCH", NEVER)
    with call_deadline(1.5), pytest.raises(DeadlineError, match="8192 bits"):
        generate(SSHKeyGenerator, {"keySize": 8192})

    assert [search.returncode for search in searches] == [-signal.SIGKILL]


def test_every_call_makes_a_new_key(generate: Generate) -> None:
    """Nothing is remembered."""
    made = {generate(SSHKeyGenerator, {"keyType": "ed25519"})["privateKey"] for _ in range(20)}

    assert len(made) == 20


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        pytest.param({"keySize": 1024}, "at least 2048", id="rsa 1024 by default"),
        pytest.param({"keyType": "rsa", "keySize": 2047}, "at least 2048", id="rsa 2047"),
        pytest.param({"keyType": "ecdsa", "keySize": 512}, "256, 384 or 521", id="ecdsa 512"),
        pytest.param({"keyType": "ecdsa", "keySize": 2048}, "256, 384 or 521", id="ecdsa 2048"),
        pytest.param({"keySize": 128}, "spec.keySize", id="too small for any"),
        pytest.param({"keySize": 16384}, "spec.keySize", id="too large for any"),
        pytest.param({"keyType": "dsa"}, "spec.keyType", id="dsa"),
        pytest.param({"comment": "a\nssh-rsa AAAA evil"}, "spec.comment", id="a comment of two lines"),
        pytest.param({"comment": "a\rb"}, "spec.comment", id="a carriage return"),
        pytest.param({"comment": "x" * 1025}, "spec.comment", id="a very long comment"),
    ],
)
def test_weak_and_unknown_keys_are_refused(spec: dict[str, Any], part: str) -> None:
    """The Go generator replaces an unknown ecdsa size by 256 in silence, and makes rsa keys that nobody should use."""
    with pytest.raises(InvalidSpecError) as caught:
        SSHKeySpec.parse(spec, where="SSHKey team-a/main")

    assert part in caught.value.message
