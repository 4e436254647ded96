"""Whether an array's element satisfies a query: gjson's comparisons, which know kinds and never convert strings."""

from __future__ import annotations

from typing import TypeVar

from provider_common.values import _wildcard
from provider_common.values._numbers import parse_float
from provider_common.values._path import Query
from provider_common.values._value import Kind, Value, parse_bool


def _ish(value: Value, word: bytes) -> bool:
    """`~true`, `~false`, `~null`, `~*`: what counts as true, false, null or there. Any other word holds for nothing."""
    truth = parse_bool(value.text) if value.kind is Kind.STRING else None
    match word:
        case b"*":
            return value.exists
        case b"null":
            return value.kind is Kind.NULL
        case b"true":
            nonzero = value.kind is Kind.NUMBER and value.number != 0
            return value.kind is Kind.TRUE or truth is True or nonzero
        case _:
            zero = value.kind is Kind.NUMBER and value.number == 0
            return value.kind in {Kind.NULL, Kind.FALSE} or truth is False or zero


def holds(query: Query, value: Value) -> bool:
    """Whether a query holds for what its path led to. Kinds that can't be compared never do."""
    op, wanted = query.op, query.value
    if wanted.startswith(b"~"):
        word = wanted[1:]
        if word not in {b"*", b"null", b"true", b"false"}:
            return False
        value = Value(Kind.TRUE if _ish(value, word) else Kind.FALSE)
        wanted = b"true"
    if not value.exists:
        return False
    if not op:
        return True
    match value.kind:
        case Kind.STRING:
            if op in {b"%", b"!%"}:
                return _wildcard.matches(value.text, wanted) == (op == b"%")
            return _compare(op, value.text, wanted)
        case Kind.NUMBER:
            return _compare(op, value.number, parse_float(wanted))
        case Kind.TRUE | Kind.FALSE:
            return _compare_bool(op, value.kind is Kind.TRUE, wanted)
        case _:
            return False


_Comparable = TypeVar("_Comparable", bytes, float)


def _compare(op: bytes, left: _Comparable, right: _Comparable) -> bool:
    match op:
        case b"=":
            return left == right
        case b"!=":
            return left != right
        case b"<":
            return left < right
        case b"<=":
            return left <= right
        case b">":
            return left > right
        case b">=":
            return left >= right
        case _:
            return False


def _compare_bool(op: bytes, value: bool, wanted: bytes) -> bool:
    own, other = (b"true", b"false") if value else (b"false", b"true")
    match op:
        case b"=":
            return wanted == own
        case b"!=":
            return wanted != own
        case b">" | b"<":
            return wanted == other and value == (op == b">")
        case b">=" | b"<=":
            return value == (op == b">=")
        case _:
            return False
