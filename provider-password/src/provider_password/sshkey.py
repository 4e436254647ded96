"""SSHKey: a key pair as OpenSSH keeps it. Sizes that are weak or unknown are refused rather than replaced."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from provider_common import (
    Alias,
    Context,
    DeadlineError,
    Field,
    Generated,
    GeneratorV2,
    Rule,
    Spec,
    TemporaryError,
    remaining,
)
from pydantic import model_validator

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES: dict[int, type[ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1]] = {
    256: ec.SECP256R1,
    384: ec.SECP384R1,
    521: ec.SECP521R1,
}
_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
_END = b"-----END OPENSSH PRIVATE KEY-----\n"

LARGEST_HERE = 4096
"""Bits up to which an rsa key is found within seconds. A search for more can take minutes, and can't be interrupted: it gets
a process of its own, which can be ended.
"""
_TO_ANSWER = 1.0
"""Seconds before the caller's deadline at which a search is given up, so that the caller reads why."""
_SEARCH = """
import sys
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
key = rsa.generate_private_key(public_exponent=65537, key_size=int(sys.argv[1]))
sys.stdout.buffer.write(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
"""

_WEAK = "keySize of an rsa key is at least 2048: shorter ones can be broken"
_UNKNOWN = "keySize of an ecdsa key is 256, 384 or 521"


class SSHKeySpec(Spec):
    """Type and size of an SSH key pair."""

    kind: ClassVar[str] = "SSHKey"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("generators.external-secrets.io/v1alpha1", "SSHKey"),)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.keySize) || (has(self.keyType) && self.keyType != 'rsa') || self.keySize >= 2048",
            _WEAK,
        ),
        Rule(
            "!has(self.keySize) || !has(self.keyType) || self.keyType != 'ecdsa' || self.keySize in [256, 384, 521]",
            _UNKNOWN,
        ),
    )

    key_type: Literal["rsa", "ecdsa", "ed25519"] = Field("rsa", description="Algorithm of the key.")
    key_size: int | None = Field(
        None,
        ge=256,
        le=8192,
        description="Bits: rsa 2048 (default) and more; ecdsa 256 (default), 384 or 521; without meaning for ed25519.",
    )
    comment: str = Field(
        "",
        max_length=1024,
        # A line break would begin another entry where the public key is appended to an authorized_keys file.
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Comment kept in both halves; one line.",
    )

    @model_validator(mode="after")
    def _size_fits_type(self) -> Self:
        if self.key_size is None:
            return self
        if self.key_type == "rsa" and self.key_size < 2048:
            raise ValueError(_WEAK)
        if self.key_type == "ecdsa" and self.key_size not in _CURVES:
            raise ValueError(_UNKNOWN)
        return self


class SSHKeyGenerator(GeneratorV2[SSHKeySpec]):
    """Answers `privateKey` (OpenSSH PEM, not encrypted) and `publicKey` (a line of authorized_keys)."""

    def generate(self, ctx: Context[SSHKeySpec]) -> Generated:
        """Make a key pair. A large rsa key takes seconds of CPU; other calls go on meanwhile.

        Raises DeadlineError when a very large one is not found in time.
        """
        key = _new_key(ctx.spec)
        comment = ctx.spec.comment.encode()
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        line = b" ".join((public, comment)) if comment else public
        return Generated({"privateKey": _private_pem(key, comment), "publicKey": line + b"\n"})


def _new_key(spec: SSHKeySpec) -> PrivateKey:
    match spec.key_type:
        case "rsa":
            bits = spec.key_size or 2048
            if bits > LARGEST_HERE:
                return _large_rsa(bits)
            return rsa.generate_private_key(public_exponent=65537, key_size=bits)
        case "ecdsa":
            return ec.generate_private_key(_CURVES[spec.key_size or 256]())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()


def _large_rsa(bits: int) -> rsa.RSAPrivateKey:
    # Without -P a file in the working directory could pass for one of the modules.
    command = [sys.executable, "-P", "-c", _SEARCH, str(bits)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as search:  # noqa: S603 - our own program
        try:
            while (left := remaining()) > _TO_ANSWER:
                try:
                    # In slices: a caller who has gone ends it as well.
                    found, _ = search.communicate(timeout=min(left - _TO_ANSWER, 1))
                except subprocess.TimeoutExpired:
                    continue
                if search.returncode != 0:
                    raise TemporaryError(
                        f"The search for an rsa key of {bits} bits ended with {search.returncode}"
                    )
                key = load_der_private_key(found, password=None)
                assert isinstance(key, rsa.RSAPrivateKey)
                return key
        finally:
            search.kill()
    raise DeadlineError(
        f"No rsa key of {bits} bits was found in the time that the caller gave, which takes seconds to minutes: ask again, or"
        f" set keySize to {LARGEST_HERE} at most, or keyType to ed25519"
    )


def _private_pem(key: PrivateKey, comment: bytes) -> bytes:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return _with_comment(pem, comment) if comment else pem


def _with_comment(pem: bytes, comment: bytes) -> bytes:
    """Put `comment` where cryptography, which has no parameter for it, writes an empty one.

    The file (PROTOCOL.key of OpenSSH) ends with one string, the private part, and that ends with the comment, itself a
    string, and the padding 1, 2, 3 ... up to a multiple of 8 bytes. Without encryption all of it is plain.
    """
    blob = base64.b64decode(b"".join(pem.removeprefix(_BEGIN).removesuffix(_END).split()))
    unpadded = blob.rstrip(bytes(range(1, 9)))  # stops at the empty comment's length, which is four zeros
    start = _private_part(blob)
    private = unpadded[start:].removesuffix(b"\0\0\0\0") + len(comment).to_bytes(4, "big") + comment
    private += bytes(range(1, 8 - (len(private) - 1) % 8))
    whole = blob[: start - 4] + len(private).to_bytes(4, "big") + private
    text = base64.b64encode(whole)
    lines = [text[i : i + 70] for i in range(0, len(text), 70)]
    return _BEGIN + b"\n".join(lines) + b"\n" + _END


def _private_part(blob: bytes) -> int:
    """Where the private part begins: after the magic, cipher, KDF, its options, the number of keys and the public key."""
    at = len(b"openssh-key-v1\0")
    for _ in range(3):
        at = _after_string(blob, at)
    return _after_string(blob, at + 4) + 4


def _after_string(blob: bytes, at: int) -> int:
    return at + 4 + int.from_bytes(blob[at : at + 4], "big")
