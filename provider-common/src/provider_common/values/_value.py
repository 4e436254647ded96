"""One JSON value as found: its kind, its source text, and where it stood. No numbers are rounded here."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from provider_common.values import _scan
from provider_common.values._numbers import format_float, parse_float
from provider_common.values._text import unescape


class Kind(enum.Enum):
    """What a JSON value is. `JSON` stands for objects and arrays."""

    NULL = "null"
    FALSE = "false"
    NUMBER = "number"
    STRING = "string"
    TRUE = "true"
    JSON = "json"


_INTEGER = re.compile(rb"-?[0-9]*")


class Value:
    """A value and its place.

    `index` is what gjson reports, a position that it sometimes resets to 0; `origin` is the true offset in the text
    that was searched, -1 for text made on the way. `indexes` are the places of the elements of a made array.
    """

    __slots__ = ("index", "indexes", "kind", "origin", "raw", "text")

    def __init__(self, kind: Kind = Kind.NULL, raw: bytes = b"", text: bytes = b"", origin: int = -1) -> None:
        self.kind = kind
        self.raw = raw
        self.text = text
        self.origin = origin
        self.index = 0
        self.indexes: list[int] | None = None

    @property
    def exists(self) -> bool:
        """A JSON null exists; what was not found does not."""
        return self.kind is not Kind.NULL or bool(self.raw)

    @property
    def number(self) -> float:
        """As a float64: 0 unless it is a number."""
        return parse_float(self.raw) if self.kind is Kind.NUMBER else 0.0

    @property
    def is_object(self) -> bool:
        """Whether it is an object."""
        return self.kind is Kind.JSON and self.raw.startswith(b"{")

    @property
    def is_array(self) -> bool:
        """Whether it is an array."""
        return self.kind is Kind.JSON and self.raw.startswith(b"[")

    def as_bytes(self) -> bytes:
        """Text of strings, digits of integers, no exponent in other numbers, source text of the rest; null is empty."""
        match self.kind:
            case Kind.STRING:
                return self.text
            case Kind.JSON:
                return self.raw
            case Kind.NUMBER:
                return self.raw if _INTEGER.fullmatch(self.raw) else format_float(self.number)
            case Kind.TRUE | Kind.FALSE:
                return b"true" if self.kind is Kind.TRUE else b"false"
            case Kind.NULL:
                return b""

    def as_bool(self) -> bool:
        """What counts as true in an option of a modifier."""
        match self.kind:
            case Kind.STRING:
                return parse_bool(self.text) is True
            case Kind.NUMBER:
                return self.number != 0
            case _:
                return self.kind is Kind.TRUE

    def as_int(self) -> int:
        """As Go's int64. What is no number is 0; digits beyond 64 bits wrap around."""
        if self.kind is Kind.TRUE:
            return 1
        digits = self.text if self.kind is Kind.STRING else self.raw
        if self.kind in {Kind.STRING, Kind.NUMBER} and _DIGITS.fullmatch(digits):
            sign = -1 if digits.startswith(b"-") else 1
            return (sign * int(digits.lstrip(b"-")[-64:]) + (1 << 63)) % (1 << 64) - (1 << 63)
        number = self.number
        fits = -(1 << 63) <= number < 1 << 63  # not so for NaN
        return int(number) if fits else -(1 << 63)


_DIGITS = re.compile(rb"-?[0-9]+")


def parse_bool(text: bytes) -> bool | None:
    """Go's reading of a truth value, in any case; None if it is none."""
    lowered = text.lower()
    if lowered in {b"1", b"t", b"true"}:
        return True
    return False if lowered in {b"0", b"f", b"false"} else None


def literal_kind(raw: bytes) -> Kind:
    """The kind that gjson gives a literal: only its first letter counts."""
    return {b"t": Kind.TRUE, b"f": Kind.FALSE}.get(raw[:1], Kind.NULL)


def string_text(raw: bytes) -> bytes:
    """What a closed string says."""
    return unescape(raw[1:-1]) if b"\\" in raw else raw[1:-1]


def from_token(found: re.Match[bytes], first: int = 1) -> tuple[Value, int]:
    """The value of a match of a pattern of `_scan` whose string group is number `first`, and where it ends."""
    group = found.lastindex or 0
    start = found.start(group)
    match group - first:
        case 0:
            raw = found[group]
            return Value(Kind.STRING, raw, string_text(raw), start), found.end()
        case 1:
            raw = found[group]
            return Value(literal_kind(raw), raw, origin=start), found.end()
        case 2:
            return Value(Kind.NUMBER, found[group], origin=start), found.end()
        case _:
            end = _scan.squash(found.string, start)
            return Value(Kind.JSON, found.string[start:end], origin=start), end


def next_value(text: bytes, i: int) -> tuple[Value, int] | None:
    """The next value from `i` on, whatever stands before it, and where it ends."""
    found = _scan.VALUE.match(text, i)
    return from_token(found) if found else None


_FIRST = re.compile(rb"[^\x00-\x20]")


def parse(text: bytes) -> Value:
    """The value that `text` begins with. An object or array takes all that follows along, closed or not."""
    found = _FIRST.search(text)
    if found is None:
        return Value()
    start, first = found.start(), found[0]
    if first in b"{[":
        value = Value(Kind.JSON, text[start:], origin=start)
    elif first == b'"':
        value = _parse_string(text, start)
    elif first in b"tf" or (first == b"n" and text[start + 1 : start + 2] in {b"", b"u"}):
        literal = _scan.LITERAL.match(text, start)
        assert literal is not None
        value = Value(literal_kind(literal[0]), literal[0], origin=start)
    elif first in b"+-0123456789iINn":
        number = _scan.NUMBER.match(text, start)
        assert number is not None
        value = Value(Kind.NUMBER, number[0], origin=start)
    else:
        return Value()
    value.index = start
    return value


def _parse_string(text: bytes, start: int) -> Value:
    closed = _scan.STRING.match(text, start)
    if closed:
        return Value(Kind.STRING, closed[0], string_text(closed[0]), start)
    raw = text[start:]
    return Value(Kind.STRING, raw, unescape(raw[1:]) if b"\\" in raw else raw[1:], start)


def entries(value: Value) -> Iterator[tuple[Value, Value]]:
    """Key and value of each member of an object; an empty key and the element for an array; itself for the rest."""
    if value.kind is not Kind.JSON:
        if value.exists:
            yield Value(), value
        return
    text = value.raw
    first = _FIRST.search(text)
    if first is None or first[0] not in b"{[":
        return
    i = first.end()
    while i < len(text):
        key = Value()
        if first[0] == b"{":
            quote = text.find(b'"', i)
            closed = _scan.STRING.match(text, quote) if quote >= 0 else None
            if closed is None:
                return
            key = Value(Kind.STRING, closed[0], string_text(closed[0]))
            i = closed.end()
        found = next_value(text, i)
        if found is None:
            return
        item, end = found
        yield key, item
        i = end + 1  # the comma; in text without one, whatever stands there
