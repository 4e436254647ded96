"""`@name:argument` in a path: a function over the text that was found so far. And `!`, text that the path itself holds.

The set is closed: nobody can add a modifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from provider_common.values import _path, _pretty, _scan
from provider_common.values._limits import MAX_DEPTH, document_too_deep
from provider_common.values._text import quote
from provider_common.values._valid import valid
from provider_common.values._value import Kind, Value, entries, parse


@dataclass(frozen=True, slots=True)
class Made:
    """The text that a step made, its place in the text before (-1 if it is new), and the path that is left."""

    text: bytes
    origin: int
    rest: bytes


def static(path: bytes) -> Made | None:
    """The text that a path beginning with `!` holds; None if that is not a JSON value."""
    body = path[1:]
    if body[:1] in _STATIC_STARTS:
        end = _scan.squash(body, 0)
        return Made(body[:end], -1, body[end:])
    name = _path.until(body, b"|.")
    if name.lower() in {b"true", b"false", b"null", b"nan", b"inf"}:
        return Made(name, -1, body[len(name) :])
    return None


_STATIC_STARTS = {bytes([c]) for c in b'{["+-0123456789'}


def apply(text: bytes, path: bytes, follow: Callable[[bytes, bytes], Value]) -> Made | None:
    """Run the modifier that `path` begins with; None if there is none of that name. `follow` evaluates a path."""
    name = _path.until(path[1:], b":|.")
    if name not in _path.MODIFIERS:
        return None
    rest = path[1 + len(name) :]
    argument = b""
    if rest.startswith(b":"):
        argument, rest = _argument(rest[1:])
    if name == b"fromstr":
        return Made(*_from_string(text), rest)
    out = _dig(text, argument, follow) if name == b"dig" else _MODIFIERS[name](text, argument)
    # Text that is handed on unchanged keeps its place, equal text that was made anew does not.
    return Made(out, 0 if out is text else -1, rest)


def _argument(rest: bytes) -> tuple[bytes, bytes]:
    if rest[:1] in {b"{", b"[", b'"'}:
        argument = _scan.squash_path(rest, 0)
        return argument, rest[len(argument) :]
    i = 0
    while i < len(rest) and rest[i : i + 1] != b"|":
        if rest[i : i + 1] in {b"{", b"[", b'"', b"("}:
            i += len(_scan.squash_path(rest, i))
        else:
            i += 1
    return rest[:i], rest[i:]


def _options(argument: bytes) -> Iterator[tuple[bytes, Value]]:
    if argument:
        for key, value in entries(parse(argument)):
            yield key.as_bytes(), value


def _flag(argument: bytes, name: bytes) -> bool:
    flag = False
    for key, value in _options(argument):
        if key == name:
            flag = value.as_bool()
    return flag


def _unwrap(text: bytes) -> bytes:
    text = _scan.trim(text)
    return text[1:-1] if len(text) >= 2 and text[:1] in {b"[", b"{"} else text


def _this(text: bytes, _argument: bytes) -> bytes:
    return text


def _valid(text: bytes, _argument: bytes) -> bytes:
    return text if valid(text) else b""


def _to_string(text: bytes, _argument: bytes) -> bytes:
    return quote(text)


def _from_string(text: bytes) -> tuple[bytes, int]:
    if not valid(text):
        return b"", -1
    value = parse(text)
    out = value.as_bytes()
    if value.kind is Kind.STRING and b"\\" not in value.raw:
        return out, value.origin + 1
    same = out == value.raw and value.kind in {Kind.JSON, Kind.NUMBER}
    return out, value.origin if same else -1


def _reverse(text: bytes, _argument: bytes) -> bytes:
    value = parse(text)
    if value.is_array:
        return b"[" + b",".join([item.raw for _, item in entries(value)][::-1]) + b"]"
    if value.is_object:
        members = [key.raw + b":" + item.raw for key, item in entries(value)]
        return b"{" + b",".join(members[::-1]) + b"}"
    return text


def _keys(text: bytes, _argument: bytes) -> bytes:
    value = parse(text)
    names = [key.raw if value.is_object else b"null" for key, _ in entries(value)]
    return b"[" + b",".join(names) + b"]"


def _values(text: bytes, _argument: bytes) -> bytes:
    value = parse(text)
    if value.is_array:
        return text
    return b"[" + b",".join(item.raw for _, item in entries(value)) + b"]"


def _flatten(text: bytes, argument: bytes) -> bytes:
    value = parse(text)
    if not value.is_array:
        return text
    return b"[" + _flat(value, deep=_flag(argument, b"deep"), depth=0) + b"]"


def _flat(array: Value, *, deep: bool, depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise document_too_deep("flatten")
    parts: list[bytes] = []
    for _, item in entries(array):
        raw = item.raw
        if item.is_array:
            raw = _flat(item, deep=deep, depth=depth + 1) if deep else _unwrap(raw)
        raw = _scan.trim_space(raw)
        if raw:
            parts.append(raw)
    return b",".join(parts)


def _join(text: bytes, argument: bytes) -> bytes:
    value = parse(text)
    if not value.is_array:
        return text
    objects = [item for _, item in entries(value) if item.is_object]
    if _flag(argument, b"preserve"):
        return b"{" + b",".join(_unwrap(item.raw) for item in objects) + b"}"
    members: dict[bytes, tuple[bytes, bytes]] = {}
    for item in objects:
        for key, member in entries(item):
            name = key.as_bytes()
            first_spelling = members.get(name, (key.raw, b""))[0]
            members[name] = (first_spelling, member.raw)
    return b"{" + b",".join(key + b":" + raw for key, raw in members.values()) + b"}"


def _group(text: bytes, _argument: bytes) -> bytes:
    value = parse(text)
    if not value.is_object:
        return b""
    rows: list[list[bytes]] = []
    for key, column in entries(value):
        if not column.is_array:
            continue
        for number, (_, item) in enumerate(entries(column)):
            if number == len(rows):
                rows.append([])
            rows[number].append(key.raw + b":" + item.raw)
    return b"[" + b",".join(b"{" + b",".join(row) + b"}" for row in rows) + b"]"


def _dig(text: bytes, argument: bytes, follow: Callable[[bytes, bytes], Value]) -> bytes:
    found: list[bytes] = []
    stack: list[Iterator[tuple[Value, Value]]] = [iter([(Value(), parse(text))])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        value = entry[1]
        result = follow(value.raw, argument)
        if result.exists:
            found.append(result.raw)
        if value.kind is Kind.JSON:
            if len(stack) > MAX_DEPTH:
                raise document_too_deep("dig")
            stack.append(entries(value))
    return b"[" + b",".join(found) + b"]"


def _prettify(text: bytes, argument: bytes) -> bytes:
    style = _pretty.Style()
    for name, value in _options(argument):
        match name:
            case b"sortKeys":
                style.sort_keys = value.as_bool()
            case b"indent":
                style.indent = _only_blanks(value.as_bytes())
            case b"prefix":
                style.prefix = _only_blanks(value.as_bytes())
            case b"width":
                style.width = value.as_int()
    return _pretty.pretty(text, style)


def _only_blanks(text: bytes) -> bytes:
    return bytes(c for c in text if c in b" \t\r\n")


def _ugly(text: bytes, _argument: bytes) -> bytes:
    return _pretty.ugly(text)


_MODIFIERS: dict[bytes, Callable[[bytes, bytes], bytes]] = {
    b"flatten": _flatten,
    b"group": _group,
    b"join": _join,
    b"keys": _keys,
    b"pretty": _prettify,
    b"reverse": _reverse,
    b"this": _this,
    b"tostr": _to_string,
    b"ugly": _ugly,
    b"valid": _valid,
    b"values": _values,
}
