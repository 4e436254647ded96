"""Following a gjson path through a document: a stack of frames, one per container that the path has entered.

Dots and pipes cost no Python stack, however long the path or deep the document. Only what stands inside a step (a
query in a query, a multipath in a multipath) is evaluated by a nested call, `MAX_NESTING` deep at most.
"""

from __future__ import annotations

import re
from typing import Protocol, TypeVar

from provider_common.values import _modifiers, _path, _scan, _wildcard
from provider_common.values._limits import MAX_NESTING, path_too_deep
from provider_common.values._numbers import parse_float
from provider_common.values._text import quote, unescape
from provider_common.values._value import Kind, Value, from_token, next_value, parse, parse_bool
from provider_common.values._valid import valid


class _Search:
    """One walk through one text, and what it has found so far."""

    __slots__ = ("depth", "pipe", "text", "value")

    def __init__(self, text: bytes, depth: int) -> None:
        self.text = text
        self.depth = depth
        self.value = Value()
        self.pipe: bytes | None = None

    def take(self, found: Value) -> None:
        """Set the answer the way gjson does: over an earlier one, of which some traits stay."""
        value = self.value
        value.raw, value.origin = found.raw, found.origin
        if found.kind is not Kind.NULL:
            value.kind = found.kind
        if found.kind is Kind.STRING:
            value.text = found.text


class _Frame(Protocol):
    """A container that is being read."""

    def scan(self, search: _Search, i: int) -> tuple[int, _Frame | None, bool]:
        """Read on from `i`: where it stopped, a container to enter first, and whether the search is over."""


def _enter(search: _Search, opening: bytes, path: bytes) -> _Frame:
    step: _path.KeyStep | _path.ElementStep
    frame: _Frame
    if opening == b"{":
        step = _path.key_step(path)
        frame = _ObjectFrame(step)
    else:
        step = _path.element_step(path)
        frame = _ArrayFrame(step)
    if step.rest is None and step.pipe is not None:
        search.pipe = step.pipe
    return frame


class _ObjectFrame:
    """An object whose members are compared with one step. The first member that leads somewhere wins."""

    __slots__ = ("step",)

    def __init__(self, step: _path.KeyStep) -> None:
        self.step = step

    def scan(self, search: _Search, i: int) -> tuple[int, _Frame | None, bool]:
        text, step = search.text, self.step
        next_member = _scan.MEMBER.match
        while found := next_member(text, i):
            key = found[1]
            if b"\\" in key:
                key = unescape(key)
            same = _wildcard.matches(key, step.part) if step.wild else key == step.part
            if same and step.rest is None:
                value, i = from_token(found, first=2)
                search.take(value)
                return i, None, True
            if found.lastindex != 5:
                i = found.end()
            elif same and step.rest is not None:
                return found.end(), _enter(search, found[5], step.rest), False
            else:
                i = _scan.squash(text, found.start(5))
        return _scan.object_end(text, i), None, False


class _ArrayFrame:
    """An array whose elements are counted, picked by index, or tried one by one."""

    __slots__ = ("each", "matched", "places", "position", "rest", "starts", "step")

    def __init__(self, step: _path.ElementStep) -> None:
        self.step = step
        self.position = 0
        self.rest = step.rest
        self.each = step.each
        self.starts: list[int] = []
        self.matched: list[bytes] = []
        self.places: list[int] = []

    def scan(self, search: _Search, i: int) -> tuple[int, _Frame | None, bool]:
        text, step = search.text, self.step
        next_element = _scan.ELEMENT.match
        while i <= len(text):
            same = self.position == step.index
            self.position += 1
            if self.each is not None:
                self.starts.append(i)
            found = next_element(text, i)
            if found is None:  # a string that does not end
                return len(text), None, False
            if found.lastindex == 5:
                return found.start(5) + 1, None, self._close(search)
            if same and step.rest is not None and found.lastindex == 4:
                return found.end(), _enter(search, found[4], step.rest), False
            if step.query is not None:
                value, i = from_token(found)
                if self._try(search, step.query, value):
                    return i, None, True
            elif same and step.rest is None:
                value, i = from_token(found)
                search.take(value)
                return i, None, True
            elif found.lastindex == 4:
                i = _scan.squash(text, found.start(4))
            else:
                i = found.end()
        return i, None, False

    def _try(self, search: _Search, query: _path.Query, element: Value) -> bool:
        """Try one element; whether it ends the search."""
        if element.kind is Kind.JSON:
            asked = _get(element, query.path, search.depth)
        elif query.path:
            return False
        else:
            asked = element
        if not _holds(query, asked):
            return False
        result = element
        if self.rest is not None:
            cut = _path.split_pipe(self.rest)
            if cut is not None:
                self.rest, search.pipe = cut
            result = _get(element, self.rest, search.depth)
        origin = element.origin + result.origin if result is not element else element.origin
        if not query.all:
            if result is not element:
                result.origin = origin if result.origin >= 0 else -1
            search.value = result
            return True
        raw = result.raw or result.as_bytes()
        if raw:
            self.matched.append(raw)
            self.places.append(result.index + element.origin)
        return False

    def _close(self, search: _Search) -> bool:
        """The end of the array; whether it ends the search."""
        if self.step.part == b"#":
            search.value = self._collect(search) if self.each is not None else self._count()
            return True
        query = self.step.query
        if query is not None and query.all and not search.value.exists:
            search.value = Value(Kind.JSON, b"[" + b",".join(self.matched) + b"]")
            search.value.indexes = self.places or None
        return False

    def _count(self) -> Value:
        return Value(Kind.NUMBER, b"%d" % (self.position - 1))

    def _collect(self, search: _Search) -> Value:
        """`#.path`: the path followed in each element, absent ones left out."""
        assert self.each is not None
        cut = _path.split_pipe(self.each)
        if cut is not None:
            self.each, search.pipe = cut
        text = search.text
        raws: list[bytes] = []
        places: list[int] = []
        for start in self.starts:
            if _NOT_BLANK.match(text, start) is None:
                continue
            found = next_value(text, start)
            if found is None:
                continue
            element = found[0]
            element.index = element.origin if element.kind is Kind.JSON else 0
            result = _get(element, self.each, search.depth)
            if result.exists:
                raws.append(result.raw or result.as_bytes())
                places.append(result.index)
        value = Value(Kind.JSON, b"[" + b",".join(raws) + b"]")
        value.indexes = places
        return value


_NOT_BLANK = re.compile(rb"[ \t\r\n]*+[^ \t\r\n\]]")


def _get(value: Value, path: bytes, depth: int) -> Value:
    """Follow `path` inside a value. Places are relative to what the value's own place is relative to."""
    result = evaluate(value.raw, path, depth + 1)
    if result.indexes is not None:
        result.indexes = [place + value.index for place in result.indexes]
    else:
        result.index += value.index
    return result


def _ish(value: Value, word: bytes) -> bool:
    """`~true`, `~false`, `~null`, `~*`: what counts as true, false, null or there. Any other word holds for nothing."""
    truth = parse_bool(value.text) if value.kind is Kind.STRING else None
    match word:
        case b"*":
            return value.exists
        case b"null":
            return value.kind is Kind.NULL
        case b"true":
            nonzero = value.kind is Kind.NUMBER and value.number != 0
            return value.kind is Kind.TRUE or truth is True or nonzero
        case _:
            zero = value.kind is Kind.NUMBER and value.number == 0
            return value.kind in {Kind.NULL, Kind.FALSE} or truth is False or zero


def _holds(query: _path.Query, value: Value) -> bool:
    """Whether a query holds for what its path led to. Kinds that can't be compared never do."""
    op, wanted = query.op, query.value
    if wanted.startswith(b"~"):
        word = wanted[1:]
        if word not in {b"*", b"null", b"true", b"false"}:
            return False
        value = Value(Kind.TRUE if _ish(value, word) else Kind.FALSE)
        wanted = b"true"
    if not value.exists:
        return False
    if not op:
        return True
    match value.kind:
        case Kind.STRING:
            if op in {b"%", b"!%"}:
                return _wildcard.matches(value.text, wanted) == (op == b"%")
            return _compare(op, value.text, wanted)
        case Kind.NUMBER:
            return _compare(op, value.number, parse_float(wanted))
        case Kind.TRUE | Kind.FALSE:
            return _compare_bool(op, value.kind is Kind.TRUE, wanted)
        case _:
            return False


_Comparable = TypeVar("_Comparable", bytes, float)


def _compare(op: bytes, left: _Comparable, right: _Comparable) -> bool:
    match op:
        case b"=":
            return left == right
        case b"!=":
            return left != right
        case b"<":
            return left < right
        case b"<=":
            return left <= right
        case b">":
            return left > right
        case b">=":
            return left >= right
        case _:
            return False


def _compare_bool(op: bytes, value: bool, wanted: bytes) -> bool:
    own, other = (b"true", b"false") if value else (b"false", b"true")
    match op:
        case b"=":
            return wanted == own
        case b"!=":
            return wanted != own
        case b">" | b"<":
            return wanted == other and value == (op == b">")
        case b">=" | b"<=":
            return value == (op == b">=")
        case _:
            return False


def _multipath(text: bytes, opening: bytes, members: list[_path.Selector], depth: int) -> bytes:
    """`{a,b}` or `[a,b]`: a new object or array of what the paths lead to."""
    parts: list[bytes] = []
    for member in members:
        result = evaluate(text, member.path, depth + 1)
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


def _walk(text: bytes, path: bytes, depth: int) -> _Search:
    search = _Search(text, depth)
    if path.startswith(b".."):
        i = 0
        stack = [_enter(search, b"[", path[2:])]
    else:
        opening = _scan.CONTAINER.search(text)
        if opening is None:
            return search
        i = opening.end()
        stack = [_enter(search, opening[0], path)]
    while stack:
        i, child, over = stack[-1].scan(search, i)
        if over:
            break
        if child is not None:
            stack.append(child)
        else:
            stack.pop()
    return search


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


def evaluate(text: bytes, path: bytes, depth: int = 0) -> Value:
    """What `path` leads to in `text`; a value that does not exist if nowhere."""
    if depth > MAX_NESTING:
        raise path_too_deep()
    def follow(inner: bytes, argument: bytes) -> Value:
        return evaluate(inner, argument, depth + 1)

    chain = _Chain()
    while True:
        if len(path) > 1 and path[:1] in {b"@", b"!"}:
            made = _modifiers.apply(text, path, follow) if path[:1] == b"@" else _modifiers.static(path)
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
            selected = _path.selectors(path)
            # What does not close is no path at all; what follows a closed one without a dot is the path instead.
            path = selected[1] if selected is not None else b""
            if selected is not None and path[:1] in {b"", b"|", b"."}:
                text = _multipath(text, opening, selected[0], depth)
                if not path:
                    return chain.finish(Value(Kind.JSON, text))
                chain.enter(-1)
                path = path[1:]
                continue
        search = _walk(text, path, depth)
        value = search.value
        if search.pipe is None:
            if value.raw and value.origin >= 0:
                value.index = value.origin
            elif value.raw:
                value.index = 0
            return chain.finish(value)
        chain.enter(value.origin)
        chain.shift += value.index
        text, path = value.raw, search.pipe
