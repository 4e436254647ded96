"""`@pretty` and `@ugly`: the layout of JSON text, byte for byte what tidwall/pretty makes, odd input included."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from provider_common.values import _scan
from provider_common.values._limits import MAX_DEPTH, document_too_deep
from provider_common.values._numbers import parse_float
from provider_common.values._text import unquote
from provider_common.values._valid import valid

_UGLY = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|[\x00-\x20]++', re.DOTALL)


def ugly(text: bytes) -> bytes:
    """Without blanks and control characters outside strings."""
    return _UGLY.sub(lambda found: found[1] or b"", text)


@dataclass(slots=True)
class Style:
    """How `pretty` lays out. Arrays that fit into `width` columns stay on one line."""

    width: int = 80
    prefix: bytes = b""
    indent: bytes = b"  "
    sort_keys: bool = False


def pretty(text: bytes, style: Style) -> bytes:
    """Each member on a line of its own."""
    printer = _Printer(text, style)
    printer.out += style.prefix
    printer.any(0, _Place(indent=style.indent))
    if printer.out:
        printer.out += b"\n"
    return bytes(printer.out)


@dataclass(slots=True)
class _Place:
    """Where a value is printed. `room` is the number of columns that a one-line attempt may use, -1 outside one."""

    indent: bytes
    pretty: bool = True
    tabs: int = 0
    room: int = -1
    depth: int = 0


@dataclass(slots=True)
class _Pair:
    key: bytes
    start: int
    end: int = 0


_NUMBER_START = re.compile(rb"[0-9\-iI+N]|n[^u]", re.DOTALL)
_NUMBER = re.compile(rb".[^\x00-\x20,:\]}]*+", re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_VALUE = re.compile(rb'["{\[tfn0-9\-iI+N]')
_WORDS = {b"t": b"true", b"f": b"false", b"n": b"null"}


class _Printer:
    def __init__(self, text: bytes, style: Style) -> None:
        self.text = text
        self.style = style
        self.out = bytearray()
        self.line = 0  # where the current line of `out` starts

    def any(self, i: int, place: _Place) -> tuple[int, bool]:
        """Print the next value from `i` on: where it ends, and whether a one-line attempt may go on."""
        text = self.text
        start = _VALUE.search(text, i)
        if start is None:
            return max(i, len(text)), True
        i, first = start.start(), start[0]
        if first in b"{[":
            return self._container(i, first, place)
        if first == b'"':
            return self._token(_STRING, i), True
        if _NUMBER_START.match(text, i):
            return self._token(_NUMBER, i), True
        self.out += _WORDS[first]
        return i + len(_WORDS[first]), True

    def _token(self, pattern: re.Pattern[bytes], i: int) -> int:
        token = pattern.match(self.text, i)
        assert token is not None
        self.out += token[0]
        return token.end()

    def _container(self, i: int, opening: bytes, place: _Place) -> tuple[int, bool]:
        if place.depth > MAX_DEPTH:
            raise document_too_deep("pretty")
        if self.style.width > 0:
            if place.pretty and opening == b"[" and place.room == -1:
                end = self._one_line(i, place)
                if end is not None:
                    return end, True
            elif place.room != -1 and opening == b"{":
                return i, False
        return self._lines(i, opening, place)

    def _one_line(self, i: int, place: _Place) -> int | None:
        """Try to print the array at `i` on this line; where it ends if it fits."""
        room = self.style.width - (len(self.out) - self.line)
        if room <= 3:
            return None
        start, line = len(self.out), self.line
        attempt = _Place(indent=b"", pretty=False, room=room, depth=place.depth)
        self.line = 0
        end, fits = self._lines(i, b"[", attempt)
        self.line = line
        if fits and len(self.out) - start <= room:
            return end
        del self.out[start:]
        return None

    def _lines(self, i: int, opening: bytes, place: _Place) -> tuple[int, bool]:
        text, out = self.text, self.out
        in_object = opening == b"{"
        closing = b"}" if in_object else b"]"
        out += opening
        i += 1
        pairs: list[_Pair] = []
        count = 0
        while i < len(text):
            at = text[i : i + 1]
            if at == closing:
                self._close(closing, opening, place, pairs, count)
                return i + 1, not in_object
            if at <= b" " or (in_object and at != b'"'):
                i += 1
                continue
            if count:
                out += b"," if in_object or self.style.width == -1 else b", "
            i, may_go_on = self._entry(i, in_object, place, pairs)
            if place.room != -1 and not may_go_on:
                return i, False
            count += 1
        return i, not in_object

    def _entry(self, i: int, in_object: bool, place: _Place, pairs: list[_Pair]) -> tuple[int, bool]:
        out = self.out
        start = len(out)
        if place.pretty:
            self._new_line()
            start = len(out)
            out += self.style.prefix + place.indent * (place.tabs + 1)
        key = b""
        if in_object:
            end = self._token(_STRING, i)
            key, i = self.text[i:end], end
            out += b": " if place.pretty else b":"
        inside = _Place(place.indent, place.pretty, place.tabs + 1, place.room, place.depth + 1)
        i, may_go_on = self.any(i, inside)
        if place.pretty and in_object:
            pairs.append(_Pair(key, start, len(out)))
        return i, may_go_on

    def _new_line(self) -> None:
        self.line = len(self.out)
        if self.out[-1:] == b" ":
            self.out[-1:] = b"\n"
        else:
            self.out += b"\n"

    def _close(self, closing: bytes, opening: bytes, place: _Place, pairs: list[_Pair], count: int) -> None:
        out = self.out
        if place.pretty:
            if self.style.sort_keys and pairs:
                self._sort(pairs)
            if count:
                self._new_line()
            if out[-1:] != opening:
                out += self.style.prefix + place.indent * place.tabs
        out += closing

    def _sort(self, pairs: list[_Pair]) -> None:
        start = pairs[0].start
        members = [(pair.key, bytes(self.out[pair.start : pair.end])) for pair in pairs]
        members.sort(key=functools.cmp_to_key(_compare_members))
        self.out[start:] = b",\n".join(printed for _, printed in members)


def _compare_members(left: tuple[bytes, bytes], right: tuple[bytes, bytes]) -> int:
    return _compare(left[0], right[0]) or _compare(_value_of(*left), _value_of(*right))


def _value_of(key: bytes, printed: bytes) -> bytes:
    value = _scan.trim_space(printed)
    return _scan.trim_space(value[len(key) + 1 :]) if len(value) > len(key) else value


_RANKS = {b"": 0, b"n": 0, b"f": 1, b'"': 3, b"t": 4, b"[": 5, b"{": 5}
_NUMBER_RANK = 2


def _compare(left: bytes, right: bytes) -> int:
    """Order by kind, then by value."""
    rank, other = _RANKS.get(left[:1], _NUMBER_RANK), _RANKS.get(right[:1], _NUMBER_RANK)
    if rank != other:
        return rank - other
    if rank == _NUMBER_RANK:
        return _sign(parse_float(left), parse_float(right))
    if left[:1] == b'"':
        left, right = _string_value(left), _string_value(right)
    return _sign(left, right)


def _sign(left: bytes | float, right: bytes | float) -> int:
    return (left > right) - (left < right)  # type: ignore[operator]  # always two of a kind


def _string_value(raw: bytes) -> bytes:
    end = raw.find(b'"', 1)
    escape = raw.find(b"\\", 1)
    if escape >= 0 and (end < 0 or escape < end):
        return unquote(raw) if valid(raw) else b""
    return raw[1:end] if end >= 0 else b""
