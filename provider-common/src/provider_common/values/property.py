"""The rule by which a `property` picks a part of a secret: one key that looks like a path first, then a path."""

from __future__ import annotations

from collections.abc import Callable

from provider_common.values import gjson

__all__ = ["any_dot", "inner_dot", "select_property"]


def any_dot(path: str) -> bool:
    """Whether `path` has a dot anywhere."""
    return "." in path


def inner_dot(path: str) -> bool:
    """Whether `path` has a dot, and the first one is not its first character."""
    return path.find(".") > 0


def select_property(
    value: bytes,
    property: str,  # noqa: A002 - the field's name
    *,
    literal_first: Callable[[str], bool] = any_dot,
) -> bytes | None:
    """What `property` leads to in the JSON text `value`; None if it is not there, and in text that is not JSON.

    When `literal_first` says so, its dots are first taken for parts of one key, and for steps only if there is no such
    key. Raises InvalidSpecError for a path that can't be followed because it nests too deep or is too long.
    """
    if literal_first(property):
        found = gjson.get(value, property.replace(".", "\\."))
        if found is not None:
            return found.bytes()
    found = gjson.get(value, property)
    return None if found is None else found.bytes()
