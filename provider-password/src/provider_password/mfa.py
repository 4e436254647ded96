"""MFA: a time-based one-time password (RFC 6238) from a seed in a Secret, read anew at every call and kept nowhere."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from typing import ClassVar, Self

from provider_common import (
    Alias,
    Context,
    CredentialsError,
    Field,
    Generated,
    GeneratorV2,
    Rule,
    SecretKeySelector,
    Spec,
)
from pydantic import AwareDatetime, model_validator

DEFAULT_LENGTH = 6
DEFAULT_PERIOD = 30
ALGORITHMS = ("sha1", "sha256", "sha384", "sha512", "sha512_256")

_ALGORITHM = f"algorithm is one of {', '.join(ALGORITHMS)}"
_BEFORE_EPOCH = "when is not before 1970-01-01T00:00:00Z, where the count of periods begins"


class MFASpec(Spec):
    """Where the seed is, and how the code is computed from it."""

    kind: ClassVar[str] = "MFA"
    plural: ClassVar[str] = "mfas"
    aliases: ClassVar[tuple[Alias, ...]] = (
        Alias("generators.external-secrets.io/v1alpha1", "MFA", plural="mfas"),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.algorithm) || self.algorithm == '' || self.algorithm.lowerAscii() in "
            f"[{', '.join(repr(name) for name in ALGORITHMS)}]",
            _ALGORITHM,
        ),
        Rule("!has(self.when) || self.when >= timestamp('1970-01-01T00:00:00Z')", _BEFORE_EPOCH),
    )

    secret: SecretKeySelector = Field(
        description="The seed: base32, blanks, line breaks, case and padding do not matter."
    )
    length: int = Field(DEFAULT_LENGTH, le=64, description="Digits of the code. Zero or less means 6.")
    time_period: int = Field(
        DEFAULT_PERIOD, le=86_400, description="Seconds that a code holds. Zero or less means 30."
    )
    algorithm: str = Field(
        "sha1", max_length=16, description="Hash: sha1, sha256, sha384, sha512 or sha512_256, in any case."
    )
    when: AwareDatetime | None = Field(
        None, description="Time to compute the code for, in place of now; for tests."
    )

    @model_validator(mode="after")
    def _computable(self) -> Self:
        if self.algorithm and self.digest not in ALGORITHMS:
            raise ValueError(_ALGORITHM)
        if self.when is not None and self.when.timestamp() < 0:
            raise ValueError(_BEFORE_EPOCH)
        return self

    @property
    def digest(self) -> str:
        """The hash's name for `hmac`."""
        return self.algorithm.lower() or "sha1"

    @property
    def digits(self) -> int:
        """Number of digits."""
        return self.length if self.length > 0 else DEFAULT_LENGTH

    @property
    def period(self) -> int:
        """Seconds that a code holds."""
        return self.time_period if self.time_period > 0 else DEFAULT_PERIOD


class MFAGenerator(GeneratorV2[MFASpec]):
    """Answers `token` and `timeLeft`, the seconds until the next one."""

    def generate(self, ctx: Context[MFASpec]) -> Generated:
        """Compute the code. Raises CredentialsError when the seed is not base32."""
        spec = ctx.spec
        seed = _seed(ctx.auth.secret_key(spec.secret), spec.secret)
        now = int(time.time() if spec.when is None else spec.when.timestamp())
        token = totp(seed, now // spec.period, digits=spec.digits, digest=spec.digest)
        left = spec.period - now % spec.period
        return Generated({"token": token.encode(), "timeLeft": str(left).encode()})


def totp(seed: bytes, counter: int, *, digits: int, digest: str) -> str:
    """The code for period number `counter` (RFC 4226, section 5.3; the hash is the choice of RFC 6238)."""
    code = hmac.digest(seed, counter.to_bytes(8, "big"), digest)
    offset = code[-1] & 0x0F
    number = int.from_bytes(code[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def _seed(text: bytes, selector: SecretKeySelector) -> bytes:
    clean = b"".join(text.split()).upper().rstrip(b"=")
    try:
        seed = base64.b32decode(clean + b"=" * (-len(clean) % 8))
    except binascii.Error:
        seed = b""
    if not seed:
        raise CredentialsError(
            f"Key {selector.key!r} of Secret {selector.name!r} is not a seed for one-time passwords (spec.secret): it has"
            " to be base32, the letters A to Z and the digits 2 to 7"
        )
    return seed
