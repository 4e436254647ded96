"""`*` and `?` in a key or after `%`, matched by characters. Linear: a pattern can't make a lookup slow.

The Go library gives up, and says "no match", on patterns whose search explodes; here they are answered.
"""

from __future__ import annotations

import functools
import re

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_TOKEN = re.compile(r"\\(.)|(\\\Z)|(\*+)|(\?)|(.)", re.DOTALL)


def _characters(text: bytes) -> str:
    """Each byte that is not UTF-8 counts as one U+FFFD."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _NOT_UTF8.sub("\ufffd", text.decode("utf-8", "surrogateescape"))


@functools.lru_cache(maxsize=256)
def _compile(pattern: bytes) -> re.Pattern[str] | None:
    segments = [""]
    for escaped, lone, stars, any_one, plain in _TOKEN.findall(_characters(pattern)):
        if stars:
            segments.append("")
        elif any_one:
            segments[-1] += "."
        elif lone and len(segments) == 1:
            return None  # nothing to escape: matches nothing, unless a star came before (then it is itself)
        else:
            segments[-1] += re.escape(escaped or lone or plain)
    if len(segments) == 1:
        return re.compile(segments[0], re.DOTALL)
    first, *middle, last = segments
    # The earliest place for each middle part is as good as any later one, so none is ever tried twice.
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)


def matches(text: bytes, pattern: bytes) -> bool:
    """Whether the whole of `text` matches; `*` is any run of characters, `?` any one, a backslash escapes."""
    if pattern == b"*":
        return True
    compiled = _compile(pattern)
    return compiled is not None and compiled.fullmatch(_characters(text)) is not None
