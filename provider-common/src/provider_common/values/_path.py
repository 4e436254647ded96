"""The syntax of gjson paths: one step at a time, without looking at any document.

Like the Go library this reads what it can and refuses nothing: an odd path is a path that finds nothing.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from provider_common.values import _scan
from provider_common.values._text import unescape

MODIFIERS = frozenset(
    {
        b"dig",
        b"flatten",
        b"fromstr",
        b"group",
        b"join",
        b"keys",
        b"pretty",
        b"reverse",
        b"this",
        b"tostr",
        b"ugly",
        b"valid",
        b"values",
    }
)

_MODIFIER_NAME = re.compile(rb"[^.|:]*+")


@dataclass(frozen=True, slots=True)
class KeyStep:
    """A step into an object: `part` is its key, or a pattern if `wild`; `rest` follows below, `pipe` behind."""

    part: bytes
    wild: bool = False
    rest: bytes | None = None
    pipe: bytes | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """`#(path op value)`; with `all` every match counts. An empty `op` asks whether `path` is there."""

    path: bytes = b""
    op: bytes = b""
    value: bytes = b""
    all: bool = False


@dataclass(frozen=True, slots=True)
class ElementStep:
    """A step into an array: an index, `#` (each or count), or a query. `index` is -1 unless `part` is one."""

    part: bytes
    index: int
    query: Query | None = None
    each: bytes | None = None
    rest: bytes | None = None
    pipe: bytes | None = None


def _starts_pipe(rest: bytes) -> bool:
    """Whether the dot before `rest` acts as a pipe."""
    if rest.startswith(b"@"):
        name = _MODIFIER_NAME.match(rest, 1)
        return name is not None and name[0] in MODIFIERS
    return rest[:1] in {b"[", b"{"}


def _after_dot(rest: bytes, *, may_pipe: bool = True) -> tuple[bytes | None, bytes | None]:
    """What follows a dot, as (rest, pipe)."""
    if may_pipe and rest and _starts_pipe(rest):
        return None, rest
    return rest, None


_KEY_PIECE = re.compile(rb"\\(.?)|([.|])|([*?])|[^.|*?\\]++", re.DOTALL)


@functools.lru_cache(maxsize=512)
def key_step(path: bytes) -> KeyStep:
    """The first step of `path`, taken in an object."""
    wild = False
    part: list[bytes] = []
    for piece in _KEY_PIECE.finditer(path):
        if piece[2] == b"|":
            return KeyStep(b"".join(part), wild, pipe=path[piece.end() :])
        if piece[2] == b".":
            rest, pipe = _after_dot(path[piece.end() :])
            return KeyStep(b"".join(part), wild, rest, pipe)
        if piece[1] is not None:
            part.append(piece[1])
        else:
            wild = wild or piece[3] is not None
            part.append(piece[0])
    return KeyStep(b"".join(part), wild)


def wrapped_index(part: bytes) -> int:
    """The number that `part` is, wrapped to 64 bits as in Go; -1 if it is none."""
    if not part.isdigit():
        return -1
    # 10**64 is a multiple of 2**64: further digits change nothing.
    number = int(part[-64:]) & 0xFFFF_FFFF_FFFF_FFFF
    return number if number < 1 << 63 else number - (1 << 64)


def until(text: bytes, stops: bytes) -> bytes:
    """The beginning of `text` before the first of the bytes `stops`."""
    for i, byte in enumerate(text):
        if byte in stops:
            return text[:i]
    return text


_STOP = re.compile(rb"[.|#]")


@functools.lru_cache(maxsize=512)
def element_step(path: bytes) -> ElementStep:
    """The first step of `path`, taken in an array."""
    query: Query | None = None
    each: bytes | None = None
    hashed = False
    i = 0
    while stop := _STOP.search(path, i):
        i = stop.end()
        part = path[: stop.start()]
        index = -1 if hashed else wrapped_index(part)
        if stop[0] == b"|":
            return ElementStep(part, index, query, each, pipe=path[i:])
        if stop[0] == b".":
            rest, pipe = _after_dot(path[i:], may_pipe=not hashed)
            return ElementStep(part, index, query, each, rest, pipe)
        hashed = True
        if i == 1 and path[1:2] == b".":
            each = path[2:]
        elif i == 1 and path[1:2] in {b"[", b"("}:
            parsed = _query(path)
            if parsed is None:
                query = Query()
                break
            query, i = parsed
    return ElementStep(path, -1 if hashed else wrapped_index(path), query, each)


_QUERY_PIECE = re.compile(rb'\\.?|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[(]|[\])]|[!=<>%]', re.DOTALL)
_OPERATOR = re.compile(rb"==|!=|!%|<=|>=|[<>=%]|.\Z", re.DOTALL)


def _query(path: bytes) -> tuple[Query, int] | None:
    """The query that `path` begins with and where it ends; None if its bracket does not close."""
    depth, operator, escaped = 1, 0, False
    for piece in _QUERY_PIECE.finditer(path, 2):
        token = piece[0]
        if token in {b"[", b"("}:
            depth += 1
        elif token in {b"]", b")"}:
            depth -= 1
            if depth == 0:
                end = piece.start()
                break
        elif token[:1] == b'"':
            escaped = escaped or b"\\" in token
        elif token in {b"!", b"=", b"<", b">", b"%"} and depth == 1 and not operator:
            operator = piece.start()
    else:
        return None
    every = path[end + 1 : end + 2] == b"#"
    if not operator:
        return Query(_scan.trim(path[2:end]), all=every), end + 1
    op, value = _split_operator(_scan.trim(path[operator:end]))
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':
        value = value[1:-1]
        if escaped:
            value = unescape(value)
    return Query(_scan.trim(path[2:operator]), op, value, every), end + 1


def _split_operator(text: bytes) -> tuple[bytes, bytes]:
    found = _OPERATOR.match(text)
    op = found[0] if found else b""
    return (b"=" if op == b"==" else op), _scan.trim(text[len(op) :])


def split_pipe(path: bytes) -> tuple[bytes, bytes] | None:
    """`path` cut at its first pipe that is not inside a query; None if there is none."""
    if b"|" not in path:
        return None
    if path.startswith(b"{"):
        end = 1 + len(_squash_any(path[1:]))
        return (path[:end], path[end + 1 :]) if path[end : end + 1] == b"|" else None
    i = 0
    while stop := _PIPE_PIECE.search(path, i):
        i = stop.end()
        if stop[0] == b"|":
            return path[: stop.start()], path[i:]
        if stop[0] == b"." and path[i : i + 1] == b"#":
            i = _skip_query(path, i + 1)
    return None


_PIPE_PIECE = re.compile(rb"\\.?|[.|]", re.DOTALL)


def _squash_any(text: bytes) -> bytes:
    """`squash_path` of text whose first byte counts as an opening bracket, whatever it is."""
    return _scan.squash_path(text, 0) if text else text


def _skip_query(path: bytes, i: int) -> int:
    """Where the search for a pipe goes on after `.#`, the next byte being at `i`."""
    opening = path[i : i + 1]
    if opening not in {b"[", b"("}:
        # The byte behind `#` is passed over, even a pipe.
        return i + 1
    closing = b"]" if opening == b"[" else b")"
    depth = 1
    for piece in _QUERY_PIECE.finditer(path, i + 1):
        if piece[0] == opening:
            depth += 1
        elif piece[0] == closing:
            depth -= 1
            if depth == 0:
                return piece.end()
    return len(path)


@dataclass(frozen=True, slots=True)
class Selector:
    """One member of a multipath."""

    name: bytes
    path: bytes


_SELECTOR_PIECE = re.compile(rb'\\.?|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[@:,\[({\])}]', re.DOTALL)


def selectors(path: bytes) -> tuple[list[Selector] | None, bytes]:
    """The members of the multipath that `path` begins with, and what follows it; None and nothing if it does not
    close.
    """
    found: list[Selector] = []
    depth, start, colon, modifier = 1, 1, 0, False

    def push(end: int) -> None:
        if colon:
            found.append(Selector(path[start:colon], path[colon + 1 : end]))
        else:
            found.append(Selector(b"", path[start:end]))

    for piece in _SELECTOR_PIECE.finditer(path, 1):
        token, at = piece[0], piece.start()
        if token == b"@":
            modifier = modifier or path[at - 1 : at] in {b".", b"|"}
        elif token == b":":
            if not modifier and not colon and depth == 1:
                colon = at
        elif token == b",":
            if depth == 1:
                push(at)
                start, colon, modifier = at + 1, 0, False
        elif token in {b"[", b"(", b"{"}:
            depth += 1
        elif token in {b"]", b")", b"}"}:
            depth -= 1
            if depth == 0:
                push(at)
                return found, path[at + 1 :]
    return None, b""


def last_name(path: bytes) -> bytes:
    """What a member of a multipath without a name is called: the last part of its path, `_` if that is no plain name."""
    name = path
    for i in range(len(path) - 1, -1, -1):
        if path[i : i + 1] in {b"|", b"."} and not (i > 0 and path[i - 1 : i] == b"\\"):
            name = path[i + 1 :]
            break
    return b"_" if _NOT_A_NAME.search(name) else name


_NOT_A_NAME = re.compile(rb"[\x00-\x1f\[\]{}()#|!]")
