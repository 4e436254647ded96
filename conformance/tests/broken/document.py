"""JSON as a text: what a property path finds, and what the text is after one member was set. No part of it is reformatted.

Small on purpose: object members, list indexes, `#` and escapes, which is what the conformance suite asks of a provider.
"""

from __future__ import annotations

import decimal
import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # how the library itself reads a string

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")


class Missing(Exception):  # noqa: N818 - a finding, not an error
    """There is nothing at this path."""


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _end(text: str, at: int) -> int:
    try:
        return _DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        raise Missing from None


def spans(text: str, at: int = 0) -> Iterator[tuple[str, int, int]]:
    """Name (or index), start and end of every member of the object or list that begins at `at`."""
    at = _skip(text, at)
    if at >= len(text) or text[at] not in "{[":
        raise Missing
    _end(text, at)
    is_object, number = text[at] == "{", 0
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        name = str(number)
        if is_object:
            name, at = scanstring(text, at + 1)
            at = _skip(text, _skip(text, at) + 1)
        end = _end(text, at)
        yield name, at, end
        number += 1
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def members(value: bytes) -> dict[str, str]:
    """Member name to raw text. Of members of one name the last wins. Raises Missing when it is no JSON object."""
    try:
        text = value.decode()
        whole = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise Missing from None
    if not isinstance(whole, dict):
        raise Missing
    return {name: text[start:end] for name, start, end in spans(text)}


def steps(path: str) -> list[str]:
    """The path's steps; a backslash keeps the next character as it is."""
    found, step, escaped = [], "", False
    for character in path:
        if escaped or character not in "\\.":
            step, escaped = step + character, False
        elif character == "\\":
            escaped = True
        else:
            found.append(step)
            step = ""
    return [*found, step]


def find(value: bytes, path: str) -> bytes:
    """What is at the path, as bytes. A member of this very name wins. Raises Missing."""
    try:
        text = value.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        raise Missing from None
    for route in ([path], steps(path)):
        try:
            return plain(_follow(text, route))
        except Missing:
            continue
    raise Missing


def _follow(text: str, route: list[str]) -> str:
    for step in route:
        inside = list(spans(text))
        if step == "#" and _skip(text, 0) < len(text) and text[_skip(text, 0)] == "[":
            text = str(len(inside))
            continue
        hits = [text[start:end] for name, start, end in inside if name == step]
        if not hits:
            raise Missing
        text = hits[0]
    return text


def plain(raw: str) -> bytes:
    """Raw JSON text as the bytes of a value."""
    raw = raw.strip()
    if raw.startswith('"'):
        text: str = scanstring(raw, 1)[0]
        return text.encode("utf-8", "surrogatepass")
    if raw == "null":
        return b""
    if raw[0] in "-0123456789" and not re.fullmatch(r"-?\d+", raw):
        number = format(decimal.Decimal(raw), "f")
        return (number.rstrip("0").rstrip(".") if "." in number else number).encode()
    return raw.encode()


def put(value: bytes, path: str, text: str) -> bytes:
    """The document with the member at the path set to a string; nothing else of it changes."""
    document = value.decode() or "{}"
    return _put(document, steps(path), json.dumps(text, ensure_ascii=False)).encode()


def _put(document: str, route: list[str], raw: str) -> str:
    step, rest = route[0], route[1:]
    for name, start, end in spans(document):
        if name == step:
            inner = _put(document[start:end], rest, raw) if rest else raw
            return document[:start] + inner + document[end:]
    inner = _put("{}", rest, raw) if rest else raw
    at = document.rindex("}")
    comma = "" if document[document.index("{") + 1 : at].strip() == "" else ","
    return f"{document[:at]}{comma}{json.dumps(step, ensure_ascii=False)}:{inner}{document[at:]}"


def remove(value: bytes, path: str) -> bytes:
    """The document without a top-level member; zero bytes when none is left. Raises Missing when it is not there."""
    raw = members(value)
    if path not in raw:
        raise Missing
    del raw[path]
    if not raw:
        return b""
    return ("{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{v}" for k, v in raw.items()) + "}").encode()
