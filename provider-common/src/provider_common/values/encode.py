"""Values as JSON text, byte for byte what Go's encoder writes, so that a secret pushed by either core is the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from provider_common.errors import PermanentError
from provider_common.values._numbers import format_json_float
from provider_common.values._text import from_str, quote

__all__ = ["Json", "go_json", "whole_secret"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def whole_secret(data: Mapping[str, bytes]) -> bytes:
    """A whole Secret as one JSON object of texts. Bytes that are not UTF-8 become U+FFFD."""
    return go_json(data, escape_html=False)


def go_json(value: object, *, escape_html: bool) -> bytes:
    """Compact JSON with sorted keys. `bytes` count as text; `escape_html` also escapes `<`, `>` and `&`.

    Raises PermanentError, naming the type only, for what JSON has no form for.
    """
    out: list[bytes] = []
    stack: list[Iterator[object]] = [iter([value])]
    closings = [b""]
    while stack:
        item = next(stack[-1], _END)
        if item is _END:
            stack.pop()
            out.append(closings.pop())
        elif isinstance(item, _Raw):
            out.append(item.text)
        elif isinstance(item, Mapping):
            out.append(b"{")
            stack.append(_members(item, escape_html=escape_html))
            closings.append(b"}")
        elif isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
            out.append(b"[")
            stack.append(_elements(item))
            closings.append(b"]")
        else:
            out.append(_scalar(item, escape_html=escape_html))
    return b"".join(out)


_END = object()


class _Raw:
    """Text that goes out as it is."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


def _members(mapping: Mapping[object, object], *, escape_html: bool) -> Iterator[object]:
    names: list[tuple[bytes, object]] = []
    for key, member in mapping.items():
        if not isinstance(key, str):
            raise PermanentError(f"An object key of type {type(key).__name__} can't be written as JSON")
        names.append((from_str(key), member))
    names.sort(key=lambda entry: entry[0])
    for number, (name, member) in enumerate(names):
        yield _Raw((b"," if number else b"") + quote(name, escape_html=escape_html) + b":")
        yield member


def _elements(sequence: Sequence[object]) -> Iterator[object]:
    for number, element in enumerate(sequence):
        if number:
            yield _Raw(b",")
        yield element


def _scalar(value: object, *, escape_html: bool) -> bytes:
    match value:
        case str():
            return quote(from_str(value), escape_html=escape_html)
        case bytes():
            return quote(value, escape_html=escape_html)
        case None:
            return b"null"
        case bool():
            return b"true" if value else b"false"
        case int():
            return b"%d" % value
        case float() if math.isfinite(value):
            return format_json_float(value)
        case _:
            raise PermanentError(f"A value of type {type(value).__name__} can't be written as JSON")
