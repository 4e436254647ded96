"""Whether text is JSON. Strict, iterative, and without an opinion on how deep a document may nest."""

from __future__ import annotations

import re

_BLANK = rb"[ \t\n\r]*+"
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_SCALAR = (
    b"(?:"
    + _STRING
    + rb"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+\-]?[0-9]++)?+|true|false|null)"
    + _BLANK
)
_KEY = _STRING + _BLANK + b":" + _BLANK

_START = re.compile(_BLANK)
_OPENING = re.compile(rb"([{\[])" + _BLANK)
_CLOSING = re.compile(rb"([}\]])" + _BLANK)
_COMMA = re.compile(rb"," + _BLANK)
_ONE_KEY = re.compile(_KEY)
_ONE_SCALAR = re.compile(_SCALAR)
# Runs of plain members or elements are swallowed in one match; the last of a run is looked at on its own.
_MEMBERS = re.compile(b"(?:" + _KEY + _SCALAR + b"," + _BLANK + b")*+")
_ELEMENTS = re.compile(b"(?:" + _SCALAR + b"," + _BLANK + b")*+")


def valid(text: bytes, *, max_depth: int | None = None) -> bool:
    """Whether `text` is one JSON value, nested `max_depth` containers deep at most."""
    start = _START.match(text)
    assert start is not None
    i = start.end()
    open_brackets = bytearray()
    while True:
        # A value is due at i.
        if opening := _OPENING.match(text, i):
            open_brackets += opening[1]
            if max_depth is not None and len(open_brackets) > max_depth:
                return False
            i = opening.end()
            if text[i : i + 1] != (b"}" if opening[1] == b"{" else b"]"):
                inside = _item(text, i, open_brackets)
                if inside is None:
                    return False
                i = inside
                continue
        elif scalar := _ONE_SCALAR.match(text, i):
            i = scalar.end()
        else:
            return False
        # A value has ended at i: close what closes here.
        while open_brackets and (closing := _CLOSING.match(text, i)):
            if (closing[1] == b"}") != (open_brackets[-1] == 0x7B):
                return False
            open_brackets.pop()
            i = closing.end()
        if not open_brackets:
            return i == len(text)
        comma = _COMMA.match(text, i)
        inside = _item(text, comma.end(), open_brackets) if comma else None
        if inside is None:
            return False
        i = inside


def _item(text: bytes, i: int, open_brackets: bytearray) -> int | None:
    """Where the value of the next entry of the innermost container is due; None if its key is missing."""
    in_object = open_brackets[-1] == 0x7B
    run = (_MEMBERS if in_object else _ELEMENTS).match(text, i)
    assert run is not None
    if not in_object:
        return run.end()
    key = _ONE_KEY.match(text, run.end())
    return key.end() if key else None
