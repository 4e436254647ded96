"""Vault's own rules for values: what a secret's entries are as bytes.

An entry is chosen by its exact name before a property counts as a path, and nested values are written anew (compact,
sorted), where other providers keep the source text. Integers stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_common import InvalidRequestError, PermanentError
from provider_common.values import decode_json, decoded_to_bytes, gjson, go_json

from provider_vault._errors import quoted


def compact(data: Mapping[str, Any]) -> bytes:
    """A secret's entries as one JSON object, as Go writes it: sorted keys, `<`, `>` and `&` escaped."""
    return go_json(data, escape_html=True)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True when both are the same JSON. Compared as text: Python holds true for 1."""
    return compact(one) == compact(other)


def select(value: bytes, prop: str) -> bytes | None:
    """The entry that is named exactly `prop`, else what the gjson path `prop` leads to; None when there is neither."""
    decoded = decode_json(value, what="the secret")
    if isinstance(decoded, dict) and prop in decoded:
        return decoded_to_bytes(decoded[prop])
    found = gjson.get(value, prop)
    return None if found is None else found.bytes()


def present(data: Mapping[str, Any], prop: str) -> bool:
    """True when `select` finds something that is not null."""
    if prop in data:
        return data[prop] is not None
    found = gjson.get(compact(data), prop)
    return found is not None and found.kind is not gjson.Kind.NULL


def parse_object(value: bytes, *, what: str) -> dict[str, Any]:
    """The JSON object `value`. Raises InvalidRequestError, which shows nothing of it, when it is none."""
    try:
        decoded = decode_json(value, what=what)
    except PermanentError:
        decoded = None
    if not isinstance(decoded, dict):
        raise InvalidRequestError(f"{what} has to be a JSON object: select a property, or push a JSON object")
    return decoded


def text_of(value: bytes, *, what: str) -> str:
    """`value` as text. Raises InvalidRequestError when it is not UTF-8: Vault holds JSON, which has no bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(
            f"The value for {quoted(what)} is not UTF-8 text, and Vault can hold nothing else: encode it in the PushSecret's template"
        ) from None
