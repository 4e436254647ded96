"""JSON strings as bytes, both ways, as Go does them. Text is never held as `str`: a secret need not be UTF-8.

There are two readers because the two Go libraries differ: gjson's cuts a string at the first thing that it does not
understand, the standard decoder replaces it by U+FFFD.
"""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd".encode()

_SHORT_ESCAPES = {
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
}
_PIECE = re.compile(rb'([^\x00-\x1f\\]++)|\\(?:(["\\/bfnrt])|u(.{4}))', re.DOTALL)
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")
_UNPAIRED = re.compile("[\ud800-\udfff]")


def _code_unit(digits: bytes) -> int:
    return int(digits, 16) if _HEX4.fullmatch(digits) else 0


def _encode_rune(rune: int) -> bytes:
    return REPLACEMENT if 0xD800 <= rune <= 0xDFFF else chr(rune).encode()


def _join_surrogates(high: int, low: int) -> bytes:
    if 0xD800 <= high <= 0xDBFF and 0xDC00 <= low <= 0xDFFF:
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).encode()
    return REPLACEMENT


def unescape(body: bytes) -> bytes:
    """What gjson reads from what stands between two quotes: it ends early at a control character or a bad escape."""
    out: list[bytes] = []
    i = 0
    while piece := _PIECE.match(body, i):
        i = piece.end()
        plain, short, digits = piece.groups()
        if plain is not None:
            out.append(plain)
        elif short is not None:
            out.append(_SHORT_ESCAPES[short])
        else:
            unit = _code_unit(digits)
            if 0xD800 <= unit <= 0xDFFF and body[i : i + 2] == b"\\u" and len(body) >= i + 6:
                # Whatever follows is taken for the other half, and is lost if it is not.
                out.append(_join_surrogates(unit, _code_unit(body[i + 2 : i + 6])))
                i += 6
            else:
                out.append(_encode_rune(unit))
    return b"".join(out)


def valid_utf8(text: bytes) -> bytes:
    """`text` with U+FFFD for each byte that is not part of a UTF-8 character."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return from_str(text.decode("utf-8", "surrogateescape"))
    return text


def from_str(text: str) -> bytes:
    """UTF-8 of `text`, with U+FFFD for a surrogate that has no other half."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _UNPAIRED.sub("\ufffd", text).encode()


_STANDARD_ESCAPE = re.compile(
    rb"\\(?:([\"\\/bfnrt])|u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))"
)


def _standard_escape(found: re.Match[bytes]) -> bytes:
    short, high, low, unit = found.groups()
    if short is not None:
        return _SHORT_ESCAPES[short]
    if high is not None:
        return _join_surrogates(int(high, 16), int(low, 16))
    return _encode_rune(int(unit, 16))


def unquote(raw: bytes) -> bytes:
    """The standard decoder's reading of a *valid* JSON string, quotes included."""
    body = valid_utf8(raw[1:-1])
    return _STANDARD_ESCAPE.sub(_standard_escape, body) if b"\\" in body else body


_ALWAYS = rb"[\x00-\x1f\"\\]|\xe2\x80[\xa8\xa9]"
_ESCAPED = re.compile(_ALWAYS)
_ESCAPED_HTML = re.compile(_ALWAYS + rb"|[<>&]")
_WRITTEN = {
    **{bytes([code]): b"\\u%04x" % code for code in (*range(0x20), *b"<>&")},
    b"\b": b"\\b",
    b"\f": b"\\f",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b'"': b'\\"',
    b"\\": b"\\\\",
    "\u2028".encode(): b"\\u2028",
    "\u2029".encode(): b"\\u2029",
}


def quote(text: bytes, *, escape_html: bool = True) -> bytes:
    """`text` as Go's JSON encoder writes it. A byte that is not UTF-8 becomes the escape of U+FFFD."""
    pattern = _ESCAPED_HTML if escape_html else _ESCAPED
    try:
        text.decode()
    except UnicodeDecodeError:
        characters = text.decode("utf-8", "surrogateescape")
        parts = [p.encode() for p in _UNPAIRED.split(characters)]
        body = b"\\ufffd".join(pattern.sub(lambda m: _WRITTEN[m[0]], p) for p in parts)
    else:
        body = pattern.sub(lambda m: _WRITTEN[m[0]], text)
    return b'"' + body + b'"'
