"""A JSON object as a map of secret values. Strict JSON, as Go's standard decoder reads it, nested 10000 deep at most.

Numbers are not rounded: an integer keeps all its digits. A duplicate key counts once, the last one wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from provider_common.errors import PermanentError
from provider_common.values._numbers import format_float
from provider_common.values._text import from_str, unquote
from provider_common.values._valid import valid
from provider_common.values._value import Kind, entries, parse
from provider_common.values.encode import Json, go_json

__all__ = ["decode_json", "decoded_to_bytes", "to_map", "to_map_decoded"]

_MAX_DEPTH = 10_000
_FLOAT_DIGITS = 310
"""An integer with as many digits is beyond every float64, and Go refuses it."""


def _key(raw: bytes) -> str:
    return unquote(raw).decode()


def to_map(value: bytes, *, what: str) -> dict[str, bytes]:
    """The members of the JSON object `value`: strings as their text, null as nothing, all else as it is written.

    Raises PermanentError, which names `what` and shows nothing of `value`, when it is not a JSON object.
    """
    return {
        key: unquote(member.raw)
        if member.kind is Kind.STRING
        else b""
        if member.kind is Kind.NULL
        else member.raw
        for key, member in ((_key(name.raw), member) for name, member in entries(parse(_object(value, what))))
    }


def to_map_decoded(value: bytes, *, what: str) -> dict[str, bytes]:
    """The members of the JSON object `value`, each by the rules of `decoded_to_bytes`.

    Raises PermanentError, which names `what` and shows nothing of `value`, when it is not a JSON object.
    """
    try:
        decoded = _decode(_object(value, what))
    except OverflowError:
        raise PermanentError(f"{what} has a number that is too large for JSON readers") from None
    assert isinstance(decoded, dict)
    return {key: decoded_to_bytes(member) for key, member in decoded.items()}


def decode_json(value: bytes, *, what: str) -> Json:
    """The JSON value `value`; integers are exact. Raises PermanentError, naming `what`, when it is not JSON."""
    if not valid(value, max_depth=_MAX_DEPTH):
        raise PermanentError(f"{what} is not valid JSON")
    try:
        return _decode(value)
    except OverflowError:
        raise PermanentError(f"{what} has a number that is too large for JSON readers") from None


def decoded_to_bytes(value: object) -> bytes:
    """A decoded JSON value as a secret: text, true or false, nothing for null, numbers without exponent (integers
    exact), and compact JSON with sorted keys for objects and arrays.

    Raises PermanentError for anything else; the message names its type only.
    """
    match value:
        case str():
            return from_str(value)
        case bytes():
            return value
        case bool():
            return b"true" if value else b"false"
        case None:
            return b""
        case int():
            return b"%d" % value
        case float():
            return format_float(value)
        case Mapping() | Sequence():
            return go_json(value, escape_html=True)
        case _:
            raise PermanentError(
                f"A value of type {type(value).__name__} can't be turned into a secret value"
            )


def _object(value: bytes, what: str) -> bytes:
    if not valid(value, max_depth=_MAX_DEPTH):
        raise PermanentError(
            f"{what} is not valid JSON, so it can't be split into a map: select a property of it"
        )
    if not value.lstrip(b" \t\r\n").startswith(b"{"):
        raise PermanentError(f"{what} is JSON, but not an object, so it can't be split into a map")
    return value


_TOKEN = re.compile(
    rb'[ \t\r\n:,]*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{\[])|([}\]])|([^ \t\r\n:,{}\[\]"]++))'
)
_WORDS: dict[bytes, Json] = {b"true": True, b"false": False, b"null": None}


def _decode(text: bytes) -> Json:
    """What valid JSON text says. A stack of its own instead of recursion: documents may be deep."""
    root: list[Json] = []
    stack: list[list[Json] | dict[str, Json]] = [root]
    keys: list[str | None] = [None]
    for token in _TOKEN.finditer(text):
        top = stack[-1]
        string, opening, closing, scalar = token.groups()
        if closing is not None:
            stack.pop()
            keys.pop()
            continue
        if string is not None and isinstance(top, dict) and keys[-1] is None:
            keys[-1] = _key(string)
            continue
        item: Json
        if string is not None:
            item = unquote(string).decode()
        elif opening is not None:
            item = {} if opening == b"{" else []
        else:
            item = _WORDS[scalar] if scalar in _WORDS else _number(scalar)
        if isinstance(top, dict):
            key = keys[-1]
            assert key is not None
            top[key] = item
            keys[-1] = None
        else:
            top.append(item)
        if isinstance(item, (dict, list)):
            stack.append(item)
            keys.append(None)
    return root[0]


_INTEGER = re.compile(rb"-?[1-9][0-9]*+|0")


def _number(raw: bytes) -> int | float:
    """Raises OverflowError for a number that no float64 comes near."""
    if _INTEGER.fullmatch(raw):
        if len(raw) > _FLOAT_DIGITS:
            raise OverflowError
        number = int(raw)
        float(number)  # raises
        return number
    fraction = float(raw)
    if fraction in {float("inf"), float("-inf")}:
        raise OverflowError
    return fraction
