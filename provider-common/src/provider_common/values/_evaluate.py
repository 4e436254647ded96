"""Evaluating a gjson path: pipes, modifiers and multipaths; the steps between them are walked in `_walk`.

Only what stands inside a step (a query in a query, a multipath in a multipath) is evaluated by a nested call,
`MAX_NESTING` deep at most.
"""

from __future__ import annotations

from provider_common.values import _modifiers, _path
from provider_common.values._limits import MAX_NESTING, path_too_deep
from provider_common.values._text import quote
from provider_common.values._valid import valid
from provider_common.values._value import Kind, Value, parse
from provider_common.values._walk import Follow, walk


def _multipath(text: bytes, opening: bytes, members: list[_path.Selector], follow: Follow) -> bytes:
    """`{a,b}` or `[a,b]`: a new object or array of what the paths lead to."""
    parts: list[bytes] = []
    for member in members:
        result = follow(text, member.path)
        if not result.exists:
            continue
        raw = result.raw or result.as_bytes() or b"null"
        if opening == b"{":
            raw = _member_name(member) + b":" + raw
        parts.append(raw)
    return opening + b",".join(parts) + (b"}" if opening == b"{" else b"]")


def _member_name(member: _path.Selector) -> bytes:
    if member.name.startswith(b'"') and valid(member.name):
        return member.name
    return quote(member.name or _path.last_name(member.path))


class _Chain:
    """What the steps of a pipe that are already behind us do to the place of the final answer."""

    __slots__ = ("forget", "origin", "piped", "shift")

    def __init__(self) -> None:
        self.origin = 0
        self.shift = 0
        self.piped = False
        self.forget = False

    def enter(self, origin: int) -> None:
        """Go on in a text that starts at `origin` of the one before; -1 if it is not part of it."""
        self.piped = True
        self.origin = self.origin + origin if self.origin >= 0 and origin >= 0 else -1

    def finish(self, value: Value) -> Value:
        value.origin = self.origin + value.origin if self.origin >= 0 and value.origin >= 0 else -1
        if self.piped:
            value.index = 0
        if self.forget:
            value.indexes = None
        elif value.indexes is not None and self.shift:
            value.indexes = [place + self.shift for place in value.indexes]
        return value


def _made(text: bytes, path: bytes, follow: Follow) -> _modifiers.Made | None:
    """What the modifier or the literal makes that `path` begins with; None if it begins with neither."""
    if len(path) < 2:
        return None
    if path.startswith(b"!"):
        return _modifiers.static(path)
    if path.startswith(b"@"):
        return _modifiers.apply(text, path, follow)
    return None


def evaluate(text: bytes, path: bytes, depth: int = 0) -> Value:
    """What `path` leads to in `text`; a value that does not exist if nowhere."""
    if depth > MAX_NESTING:
        raise path_too_deep()

    def follow(inner: bytes, below: bytes) -> Value:
        return evaluate(inner, below, depth + 1)

    chain = _Chain()
    while True:
        made = _made(text, path, follow)
        if made is not None:
            if made.rest[:1] in {b"|", b"."}:
                chain.enter(made.origin)
                chain.forget = True
                text, path = made.text, made.rest[1:]
                continue
            value = parse(made.text)
            value.origin = made.origin + value.origin if made.origin >= 0 and value.origin >= 0 else -1
            return chain.finish(value)
        if len(path) > 1 and path[:1] in {b"[", b"{"}:
            opening = path[:1]
            # What does not close is no path at all; what follows a closed one without a dot is the path instead.
            members, path = _path.selectors(path)
            if members is not None and path[:1] in {b"", b"|", b"."}:
                text = _multipath(text, opening, members, follow)
                if not path:
                    return chain.finish(Value(Kind.JSON, text))
                chain.enter(-1)
                path = path[1:]
                continue
        search = walk(text, path, follow)
        value = search.value
        if search.pipe is None:
            if value.raw:
                value.index = max(value.origin, 0)
            return chain.finish(value)
        chain.enter(value.origin)
        chain.shift += value.index
        text, path = value.raw, search.pipe
