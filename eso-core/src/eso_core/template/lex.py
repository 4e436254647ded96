"""A template taken apart into text and the tokens of its actions."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eso_core.template.errors import TemplateError
from eso_core.template.gotext import go_integer

_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>[+-]?(?:0[xXbBoO]\w*|(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))
    |(?P<variable>\$\w*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|=|\||\(|\)|,|\.)""",
    re.VERBOSE,
)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an action. `spaced` tells whether a blank stands before it: `$x.a` is one operand, `$x .a` two."""

    kind: str
    text: str
    place: str
    spaced: bool
    value: Any = None


@dataclass(frozen=True, slots=True)
class Action:
    """The tokens between two pairs of braces."""

    tokens: tuple[Token, ...]
    place: str


def pieces(template: str) -> Iterator[str | Action]:
    """Text and actions in turn, with `{{-` and `-}}` applied and comments left out."""
    position, trim = 0, False
    while True:
        start = template.find("{{", position)
        text = template[position:] if start < 0 else template[position:start]
        if trim:
            text = text.lstrip(_SPACE)
        if start < 0:
            if text:
                yield text
            return
        inner = start + 2
        if template[inner : inner + 1] == "-" and template[inner + 1 : inner + 2] in tuple(_SPACE):
            text, inner = text.rstrip(_SPACE), inner + 1
        if text:
            yield text
        stripped = template[inner:].lstrip(_SPACE)
        if stripped.startswith("/*"):
            position, trim = _comment_end(template, len(template) - len(stripped))
            continue
        tokens, position, trim = _tokens(template, inner)
        yield Action(tuple(tokens), _place(template, start))


def _comment_end(template: str, start: int) -> tuple[int, bool]:
    end = template.find("*/", start)
    rest = re.compile(r"(\s+-)?\}\}").match(template, end + 2) if end >= 0 else None
    if rest is None:
        raise TemplateError(f"{_place(template, start)}: the comment is not closed by `*/}}}}`")
    return rest.end(), rest[1] is not None


def _tokens(template: str, position: int) -> tuple[list[Token], int, bool]:
    tokens: list[Token] = []
    spaced = False
    while True:
        if template.startswith("}}", position):
            return tokens, position + 2, False
        if spaced and template.startswith("-}}", position):
            return tokens, position + 3, True
        found = _TOKEN.match(template, position)
        place = _place(template, position)
        if found is None:
            what = "the action is not closed by `}}`" if position >= len(template) else "unexpected character"
            raise TemplateError(f"{place}: {what}")
        position = found.end()
        kind = str(found.lastgroup)
        if kind == "space":
            spaced = True
            continue
        tokens.append(Token(kind, found[0], place, spaced, _value(kind, found[0], place)))
        spaced = False


def _value(kind: str, text: str, place: str) -> Any:
    match kind:
        case "text":
            return text[1:-1] if text[0] == "`" else _unescaped(text[1:-1], place)
        case "number":
            return _number(text, place)
    return None


def _number(text: str, place: str) -> int | float:
    number = go_integer(text)
    if number is not None:
        return number
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    raise TemplateError(f"{place}: not a number of 64 bits")


def _unescaped(text: str, place: str) -> str:
    def one(escape: re.Match[str]) -> str:
        byte, code = escape[1] or escape[4], escape[2] or escape[3]
        if byte:
            value = int(byte, 16 if escape[1] else 8)
            # A byte, not a character: several of them may make one.
            return chr(value) if value < 0x80 else chr(0xDC00 + value % 256)
        if code:
            number = int(code, 16)
            if number > sys.maxunicode or 0xD800 <= number < 0xE000:
                raise TemplateError(f"{place}: an escape in a text is no character")
            return chr(number)
        if escape[5] not in _SIMPLE:
            raise TemplateError(f"{place}: unknown escape in a text")
        return _SIMPLE[escape[5]]

    return _ESCAPE.sub(one, text).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _place(template: str, position: int) -> str:
    line = template.count("\n", 0, position) + 1
    return f"line {line} column {position - template.rfind(chr(10), 0, position)}"
