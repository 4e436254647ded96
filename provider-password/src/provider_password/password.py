"""Password: random characters, so many of them digits and so many symbols.

Settings that can't be met are refused when they are read, not found out by trying: a draw without repetition from too
few characters would otherwise never end. Characters are code points, whatever alphabet they come from.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Callable, Mapping
from secrets import SystemRandom
from typing import ClassVar, Literal, Self

from provider_common import Alias, Context, Field, Generated, GeneratorV2, Rule, Spec, remaining
from provider_common.spec import DataKey
from pydantic import model_validator

DEFAULT_LENGTH = 24
DEFAULT_SYMBOLS = '~!@#$%^&*()_+`-={}|[]\\:"<>?,./'
MAX_LENGTH = 65_536

_random = SystemRandom()

_ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "base64": base64.standard_b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base32": base64.b32encode,
    "hex": lambda value: value.hex().encode(),
}

# The same counts in CEL as in the properties below: an absent number is a quarter of the length.
_LENGTH = f"(has(self.length) && self.length > 0 ? self.length : {DEFAULT_LENGTH})"
_DIGITS = f"(has(self.digits) ? self.digits : {_LENGTH} / 4)"
_SYMBOLS = f"(has(self.symbols) ? self.symbols : {_LENGTH} / 4)"
_REPEAT = "(has(self.allowRepeat) && self.allowRepeat)"
_LETTERS = "(has(self.noUpper) && self.noUpper ? 26 : 52)"

_TOO_SHORT = "digits and symbols together are more than length: lower them, or raise length"
_FEW_DIGITS = "more than 10 digits can't all differ (a quarter of length, unless digits is set): set digits, or allowRepeat: true"
_FEW_LETTERS = (
    "there are fewer letters to choose from than letters wanted (length less digits and symbols):"
    " lower length, or set allowRepeat: true"
)
_TWICE = "secretKeys names a key twice: each needs a name of its own"


class PasswordSpec(Spec):
    """How a random password is made up. Every key gets a password of its own."""

    kind: ClassVar[str] = "Password"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("generators.external-secrets.io/v1alpha1", "Password"),)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_DIGITS} + {_SYMBOLS} <= {_LENGTH}", _TOO_SHORT),
        Rule(f"{_REPEAT} || {_DIGITS} <= 10", _FEW_DIGITS),
        Rule(f"{_REPEAT} || {_LENGTH} - {_DIGITS} - {_SYMBOLS} <= {_LETTERS}", _FEW_LETTERS),
        Rule(
            "!has(self.secretKeys) || self.secretKeys.all(k, self.secretKeys.exists_one(other, other == k))",
            _TWICE,
        ),
    )

    length: int = Field(
        DEFAULT_LENGTH,
        le=MAX_LENGTH,
        description="Number of characters, before encoding. Zero or less means 24.",
    )
    digits: int | None = Field(None, ge=0, description="How many are digits. Default: a quarter of length.")
    symbols: int | None = Field(None, ge=0, description="How many are symbols. Default: a quarter of length.")
    symbol_characters: str | None = Field(
        None,
        max_length=1024,
        description="Symbols to choose from. Absent or empty means the 30 of ASCII without quote and semicolon.",
    )
    no_upper: bool = Field(False, description="Lower-case letters only.")
    allow_repeat: bool = Field(False, description="Whether a character may occur twice.")
    secret_keys: tuple[DataKey, ...] = Field(
        ("password",),
        min_length=1,
        max_length=64,
        description="Keys of the Secret; each gets its own password.",
    )
    encoding: Literal["raw", "base64", "base64url", "base32", "hex"] = Field(
        "raw", description="Encoding of the finished password."
    )

    @property
    def characters(self) -> int:
        """Number of characters in all."""
        return self.length if self.length > 0 else DEFAULT_LENGTH

    @property
    def digit_count(self) -> int:
        """Number of digits."""
        return self.characters // 4 if self.digits is None else self.digits

    @property
    def symbol_count(self) -> int:
        """Number of symbols."""
        return self.characters // 4 if self.symbols is None else self.symbols

    @property
    def letter_count(self) -> int:
        """Number of letters: the rest."""
        return self.characters - self.digit_count - self.symbol_count

    @property
    def letters(self) -> str:
        """The letters to choose from."""
        return string.ascii_lowercase if self.no_upper else string.ascii_letters

    @property
    def symbol_alphabet(self) -> str:
        """The symbols to choose from."""
        return self.symbol_characters or DEFAULT_SYMBOLS

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.letter_count < 0:
            raise ValueError(_TOO_SHORT)
        if len(set(self.secret_keys)) < len(self.secret_keys):
            raise ValueError(_TWICE)
        if self.allow_repeat:
            return self
        if self.digit_count > len(string.digits):
            raise ValueError(_FEW_DIGITS)
        if self.letter_count > len(self.letters):
            raise ValueError(_FEW_LETTERS)
        available = self._certain_symbols()
        if self.symbol_count > available:
            raise ValueError(
                f"{self.symbol_count} symbols are wanted, and symbolCharacters has {available} that differ and are not"
                " used up as letters or digits: lower symbols, add characters, or set allowRepeat: true"
            )
        return self

    def _certain_symbols(self) -> int:
        # Letters and digits are drawn first. What symbolCharacters shares with them may be gone by then, in the worst
        # case as much as was drawn; a password must not depend on luck.
        distinct = set(self.symbol_alphabet)
        taken = min(self.letter_count, len(distinct & set(self.letters)))
        taken += min(self.digit_count, len(distinct & set(string.digits)))
        return len(distinct) - taken


class PasswordGenerator(GeneratorV2[PasswordSpec]):
    """Answers one password per name in `secretKeys`."""

    def generate(self, ctx: Context[PasswordSpec]) -> Generated:
        """Make the passwords from the operating system's random source. Raises DeadlineError."""
        encode, made = _ENCODINGS[ctx.spec.encoding], {}
        for key in ctx.spec.secret_keys:
            remaining()  # many and long ones take seconds: not for a caller who has gone
            made[key] = encode(password(ctx.spec).encode())
        return Generated(made)


def password(spec: PasswordSpec) -> str:
    """One password, not encoded. Every order of the drawn characters is equally likely."""
    if spec.allow_repeat:
        drawn = _random.choices(spec.letters, k=spec.letter_count)
        drawn += _random.choices(string.digits, k=spec.digit_count)
        drawn += _random.choices(spec.symbol_alphabet, k=spec.symbol_count)
    else:
        drawn = _random.sample(spec.letters, spec.letter_count)
        drawn += _random.sample(string.digits, spec.digit_count)
        left = [char for char in dict.fromkeys(spec.symbol_alphabet) if char not in drawn]
        drawn += _random.sample(left, spec.symbol_count)
    _random.shuffle(drawn)
    return "".join(drawn)
