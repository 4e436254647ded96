"""Reading one value out of JSON text by a gjson path, exactly as the Go library tidwall/gjson v1.18 does.

The document is never validated and never parsed as a whole: what is found keeps its source text, so that numbers keep
their digits and objects their spelling. Two things differ from Go on purpose: wildcards that Go gives up on are
answered, and what nests too deep (see `_limits`) is an error instead of a very long computation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from provider_common.values._evaluate import evaluate
from provider_common.values._limits import encode_path
from provider_common.values._valid import valid
from provider_common.values._value import Kind, Value

__all__ = ["Kind", "Match", "get", "valid"]


@dataclass(frozen=True, slots=True)
class Match:
    """A value that was found. Neither `repr` nor `str` shows any of it."""

    kind: Kind
    raw: bytes = field(repr=False)
    text: bytes = field(repr=False)

    def bytes(self) -> bytes:
        """The value as a secret: strings without quotes, integers with their digits, other numbers without exponent,
        true and false as words, objects and arrays as they are written, and nothing at all for null.
        """
        return Value(self.kind, self.raw, self.text).as_bytes()


def get(document: bytes, path: str) -> Match | None:
    """What `path` leads to in `document`, None if nowhere. A JSON null is something.

    Raises InvalidSpecError when the path is too long or nests too deep, or the document does below some modifiers.
    """
    value = evaluate(document, encode_path(path))
    return Match(value.kind, value.raw, value.text) if value.exists else None
