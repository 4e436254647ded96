"""Go's numbers as text: `strconv.ParseFloat` and the two ways Go prints a float64. No other notation is known here."""

from __future__ import annotations

import re
from decimal import Decimal

_DECIMAL = re.compile(rb"[+-]?[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9_]+)?")
_HEXADECIMAL = re.compile(rb"[+-]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9_]+")
_LONE_UNDERSCORE = re.compile(rb"(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])")
_NAMED = {
    b"nan": float("nan"),
    b"inf": float("inf"),
    b"+inf": float("inf"),
    b"-inf": float("-inf"),
    b"infinity": float("inf"),
    b"+infinity": float("inf"),
    b"-infinity": float("-inf"),
}


def parse_float(text: bytes) -> float:
    """The float64 that Go reads from `text`: 0 when it is not a number, infinite when it is too large."""
    if _DECIMAL.fullmatch(text):
        try:
            return float(text)
        except ValueError:  # "", ".", "1__0": the pattern is only a filter for what Python accepts beyond Go
            return 0.0
    if _HEXADECIMAL.fullmatch(text) and not _LONE_UNDERSCORE.search(text):
        try:
            return float.fromhex(text.replace(b"_", b"").decode("ascii"))
        except OverflowError:
            return float("-inf") if text.startswith(b"-") else float("inf")
        except ValueError:
            return 0.0
    return _NAMED.get(text.lower(), 0.0)


def format_float(number: float) -> bytes:
    """The shortest decimal without an exponent that reads back as `number` (`FormatFloat(number, 'f', -1, 64)`)."""
    text = repr(number)
    if text in {"inf", "-inf", "nan"}:
        return {"inf": b"+Inf", "-inf": b"-Inf", "nan": b"NaN"}[text]
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0").encode("ascii")


def format_json_float(number: float) -> bytes:
    """What Go's JSON encoder writes for a finite float64: an exponent only below 1e-6 and from 1e21 on."""
    if number != 0 and (abs(number) < 1e-6 or abs(number) >= 1e21):
        return repr(number).replace("e-0", "e-").encode("ascii")
    return format_float(number)
