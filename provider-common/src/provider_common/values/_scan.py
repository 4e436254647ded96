"""Finding tokens in JSON text without judging it, as gjson does: what is not understood is passed over.

Positions are byte offsets into the document. The patterns are possessive, so each byte is looked at once.
"""

from __future__ import annotations

import re

_STRING_BODY = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_STRING = b'"' + _STRING_BODY + b'"'
# `n` starts null, unless what follows shows that it is nan.
_LITERAL = rb"(?:[tf]|n(?:(?=u)|\Z))[a-z]*+"
_NUMBER = rb"[+\-0-9iINn][^\x00-\x20,\]}]*+"
_TOKENS = b"(" + _STRING + b")|(" + _LITERAL + b")|(" + _NUMBER + rb")|([{\[])"

# Groups of all three: string, literal, number, opening bracket; MEMBER has the key before, ELEMENT the end behind.
VALUE = re.compile(rb'[^{\["nft+\-0-9iIN]*+(?:' + _TOKENS + b")", re.DOTALL)
MEMBER = re.compile(rb'[^"}]*+"(' + _STRING_BODY + rb')"[^{\["nft+\-0-9iIN]*+(?:' + _TOKENS + b")", re.DOTALL)
ELEMENT = re.compile(rb'[^{\["nft+\-0-9iIN\]]*+(?:' + _TOKENS + rb"|(\]|\Z))", re.DOTALL)

STRING = re.compile(_STRING, re.DOTALL)
LITERAL = re.compile(rb".[a-z]*+", re.DOTALL)
NUMBER = re.compile(rb".[^\x00-\x20,\]}]*+", re.DOTALL)
CONTAINER = re.compile(rb"[{\[]")

_BETWEEN_BRACKETS = rb'[^"{}()\[\]]*+(?:' + _STRING + rb'[^"{}()\[\]]*+)*+'
_BRACKETS = re.compile(_BETWEEN_BRACKETS + rb"(?:([{\[(]++)|([}\])]++))", re.DOTALL)
_BRACKET_FREE = re.compile(_BETWEEN_BRACKETS, re.DOTALL)
_QUOTE_OR_END = re.compile(rb'["}]')


def squash(text: bytes, start: int) -> int:
    """Where the bracket at `start` closes; all kinds of brackets count alike. One beyond the end means that the text
    ended inside a string, which callers tell apart from a bracket that was never closed.
    """
    depth, i = 1, start + 1
    while found := _BRACKETS.match(text, i):
        i = found.end()
        if found.lastindex == 1:
            depth += len(found[1])
        elif len(found[2]) >= depth:
            return found.start(2) + depth
        else:
            depth -= len(found[2])
    bracket_free = _BRACKET_FREE.match(text, i)
    return len(text) + (bracket_free is not None and bracket_free.end() < len(text))


def squash_path(text: bytes, start: int) -> bytes:
    """The bracketed or quoted piece at `start`, for arguments inside a path; all the rest if it does not close."""
    if text[start : start + 1] == b'"':
        closed = STRING.match(text, start)
        return closed[0] if closed else text[start:]
    return text[start : squash(text, start)]


def object_end(text: bytes, i: int) -> int:
    """Where reading goes on after an object in which no further member was found from `i` on."""
    found = _QUOTE_OR_END.search(text, i)
    if found and found[0] == b"}":
        return found.end()
    return max(i, len(text))


def trim(text: bytes) -> bytes:
    """Without blanks and control characters at both ends."""
    return text.strip(_BLANKS)


_BLANKS = bytes(range(0x21))


def trim_space(text: bytes) -> bytes:
    """Without Unicode white space at both ends, which is what Go trims here."""
    if text.isascii():
        return text.strip(_ASCII_SPACE)
    return text.decode("utf-8", "surrogateescape").strip(_SPACE).encode("utf-8", "surrogateescape")


_ASCII_SPACE = b"\t\n\v\f\r "
_SPACE = "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
