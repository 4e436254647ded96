"""Values as Go prints, quotes, reads and judges them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def truth(value: Any) -> bool:
    """Go's idea of a value that is not empty."""
    return bool(value)


def go_text(value: Any) -> str:
    """`value` as Go's template prints it."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case float():
            return go_float(value)
        case Mapping():
            return f"map[{' '.join(f'{key}:{_inner(value[key])}' for key in sorted(value))}]"
        case list() | tuple():
            return f"[{' '.join(map(_inner, value))}]"
    return str(value)


def _inner(value: Any) -> str:
    return "<nil>" if value is None else go_text(value)


def go_float(value: float) -> str:
    """A float with the fewest digits, in exponent form from a million on and below 0.0001 (`%v`, `%g`)."""
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    exact = Decimal(repr(value)).normalize()
    sign, digits, exponent = exact.as_tuple()
    power = len(digits) + int(exponent) - 1
    if -5 < power < 6:
        return f"{exact:f}"
    shown = "".join(map(str, digits))
    mantissa = f"{shown[0]}.{shown[1:]}" if len(shown) > 1 else shown
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_ESCAPES |= {'"': '\\"', "\\": "\\\\"}


def go_quote(text: str) -> str:
    """`text` in double quotes, escaped as strconv.Quote does."""
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python carries it in text
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_INTEGER = re.compile(
    r"([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]?((?:_?[0-7])+)|(0|[1-9](?:_?[0-9])*))"
)


def go_integer(text: str) -> int | None:
    """A whole number as Go's source writes it (`0x1F`, `017`, `0b1`, `1_000`); None for anything else, and for what does not
    fit in 64 bits.
    """
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    sign, *bodies = found.groups()
    digits, base = next((d, b) for d, b in zip(bodies, (16, 2, 8, 10), strict=True) if d is not None)
    number = int(sign + digits.replace("_", ""), base)
    return number if -(2**63) <= number < 2**63 else None
