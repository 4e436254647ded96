"""The walk of one path through the containers of one text: a stack of frames, one per container that was entered.

Dots cost no Python stack, however long the path or deep the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from provider_common.values import _path, _scan, _wildcard
from provider_common.values._query import holds
from provider_common.values._text import unescape
from provider_common.values._value import Kind, Value, from_token, next_value

Follow = Callable[[bytes, bytes], Value]
"""Evaluates a path in a text of its own."""


class Search:
    """One walk through one text, and what it has found so far."""

    __slots__ = ("follow", "pipe", "text", "value")

    def __init__(self, text: bytes, follow: Follow) -> None:
        self.text = text
        self.follow = follow
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

    def scan(self, search: Search, i: int) -> tuple[int, _Frame | None, bool]:
        """Read on from `i`: where it stopped, a container to enter first, and whether the search is over."""


def _enter(search: Search, opening: bytes, path: bytes) -> _Frame:
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

    def scan(self, search: Search, i: int) -> tuple[int, _Frame | None, bool]:
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

    def scan(self, search: Search, i: int) -> tuple[int, _Frame | None, bool]:
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

    def _try(self, search: Search, query: _path.Query, element: Value) -> bool:
        """Try one element; whether it ends the search."""
        if element.kind is Kind.JSON:
            asked = _get(element, query.path, search.follow)
        elif query.path:
            return False
        else:
            asked = element
        if not holds(query, asked):
            return False
        result = element
        if self.rest is not None:
            cut = _path.split_pipe(self.rest)
            if cut is not None:
                self.rest, search.pipe = cut
            result = _get(element, self.rest, search.follow)
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

    def _close(self, search: Search) -> bool:
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

    def _collect(self, search: Search) -> Value:
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
            result = _get(element, self.each, search.follow)
            if result.exists:
                raws.append(result.raw or result.as_bytes())
                places.append(result.index)
        value = Value(Kind.JSON, b"[" + b",".join(raws) + b"]")
        value.indexes = places
        return value


_NOT_BLANK = re.compile(rb"[ \t\r\n]*+[^ \t\r\n\]]")


def _get(value: Value, path: bytes, follow: Follow) -> Value:
    """Follow `path` inside a value. Places are relative to what the value's own place is relative to."""
    result = follow(value.raw, path)
    if result.indexes is not None:
        result.indexes = [place + value.index for place in result.indexes]
    else:
        result.index += value.index
    return result


def walk(text: bytes, path: bytes, follow: Follow) -> Search:
    """Follow `path` up to its first pipe."""
    search = Search(text, follow)
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
