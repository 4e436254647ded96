"""Names of remote secrets: finding them by a pattern, and turning them into keys that a Kubernetes Secret accepts.

Patterns are RE2 and nothing more: what would make matching slow (look-around, back-references) does not compile.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from typing import TypeVar

import re2

from provider_common.errors import ConflictError, InvalidSpecError
from provider_common.values._text import from_str

__all__ = ["NameMatcher", "compile_name", "convert_key", "convert_keys"]

T = TypeVar("T")


_ESCAPE = re.compile(r"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)
"""A quoted run, or one escape. The library knows `\\C`, half a character, and Go does not."""


class NameMatcher:
    """A compiled `find.name.regexp`. Safe to share between threads."""

    __slots__ = ("_compiled", "pattern")

    def __init__(self, pattern: str) -> None:
        """Raises InvalidSpecError when `pattern` is not RE2."""
        options = re2.Options()
        options.log_errors = False  # the library would print to stderr what the exception says anyway
        self.pattern = pattern
        if any(escape[1] == "C" for escape in _ESCAPE.finditer(pattern)):
            raise InvalidSpecError(
                f"find.name.regexp {pattern!r} does not compile as RE2: invalid escape: \\C"
            )
        try:
            self._compiled = re2.compile(pattern.encode(), options)  # type: ignore[no-untyped-call]
        except (re2.error, UnicodeEncodeError) as error:
            raise InvalidSpecError(
                f"find.name.regexp {pattern!r} does not compile as RE2: {_reason(error)}"
            ) from None

    def matches(self, name: str) -> bool:
        """Whether the pattern is found anywhere in `name`."""
        return self._compiled.search(from_str(name)) is not None

    def __repr__(self) -> str:
        return f"NameMatcher({self.pattern!r})"


def _reason(error: Exception) -> str:
    reason = error.args[0] if isinstance(error, re2.error) and error.args else "it is not UTF-8"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


@functools.lru_cache(maxsize=128)
def compile_name(regexp: str | None) -> NameMatcher:
    """The matcher of `find.name.regexp`; without a pattern it matches every name.

    Raises InvalidSpecError, naming the field and the reason, for a pattern that does not compile.
    """
    return NameMatcher(regexp or "")


def convert_key(key: str, strategy: str = "Default") -> str:
    """`key` with each character replaced that is no letter, digit, `-`, `.` or `_`: by `_` (`Default`, or empty), by
    `_U<hex>_` (`Unicode`), or not at all (`None`).

    What is a letter is decided by the Unicode version of the Python that runs, as in Go by that of the Go release.

    Raises InvalidSpecError for a strategy that does not exist.
    """
    match strategy:
        case "None":
            return key
        case "" | "Default":
            return "".join(c if _may_stay(c) else "_" for c in key)
        case "Unicode":
            return "".join(c if _may_stay(c) else f"_U{ord(c):04x}_" for c in key)
        case _:
            raise InvalidSpecError(
                f"conversionStrategy {strategy!r} does not exist: use Default, Unicode or None"
            )


def _may_stay(character: str) -> bool:
    return character in "-._" or unicodedata.category(character)[0] in "LN"


def convert_keys(values: Mapping[str, T], strategy: str = "Default") -> dict[str, T]:
    """`values` under converted keys. Raises ConflictError when two keys become the same one."""
    converted: dict[str, T] = {}
    came_from: dict[str, str] = {}
    for key, value in values.items():
        new = convert_key(key, strategy)
        if new in came_from:
            raise ConflictError(
                f"Keys {came_from[new]!r} and {key!r} both become {new!r}: use conversionStrategy Unicode or a rewrite"
            )
        came_from[new] = key
        converted[new] = value
    return converted
