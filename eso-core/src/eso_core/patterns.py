"""RE2 patterns that replace, as Go's regexp does it: `$1` and `${name}`, and no empty match right behind another match."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import re2

_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,7}")
# The library knows `\C`, half a character, and Go does not. A quoted run holds no escapes.
_ESCAPE = re.compile(r"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)


class PatternError(Exception):
    """The pattern is not RE2. Its text says no more: the pattern stands in the manifest."""


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        if any(escape[1] == "C" for escape in _ESCAPE.finditer(pattern)):
            raise re2.error
        return re2.compile(pattern, options)  # type: ignore[no-untyped-call]
    except re2.error:
        raise PatternError(
            "is not an RE2 pattern (look-around and back-references are not supported)"
        ) from None


def found(pattern: str, text: str) -> bool:
    """True when `pattern` is found anywhere in `text`. Raises PatternError."""
    return _compiled(pattern).search(text) is not None


def replacer(pattern: str, target: str) -> Callable[[str], str]:
    """A function that replaces every match by `target`. Raises PatternError at once, not when it is used."""
    compiled = _compiled(pattern)

    def replace(text: str) -> str:
        parts, end, last = [], 0, -1
        for match in compiled.finditer(text):
            if match.start() == match.end() == last:
                continue
            parts += [text[end : match.start()], _expand(target, match)]
            end = last = match.end()
        return "".join([*parts, text[end:]])

    return replace


def _expand(target: str, match: Any) -> str:
    groups = match.re.groupindex

    def group(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        if _NUMBER.fullmatch(name):
            return (match.group(int(name)) or "") if int(name) <= match.re.groups else ""
        return (match.group(groups[name]) or "") if name in groups else ""

    return _REFERENCE.sub(group, target)
