"""What a `property` is to a secret that is a JSON document: read, a key that looks like a path first, then a path; written
and removed, one place of it, the rest staying as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from provider_common.errors import ConflictError, InvalidRequestError
from provider_common.values import gjson, sjson
from provider_common.values.decode import decode_json

__all__ = ["any_dot", "inner_dot", "select_property", "with_property", "without_property"]


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


def with_property(
    document: bytes,
    property: str,  # noqa: A002 - the field's name
    value: bytes,
    *,
    what: str,
) -> bytes:
    """`document` with the text `value` at `property`. Nothing at all counts as an empty object. `what` names the secret.

    Raises InvalidRequestError for a value that JSON can't hold and a property that names no single place, whatever the
    document; ConflictError for a document that is neither an object nor an array: writing would destroy it.
    """
    try:
        value.decode()
    except UnicodeDecodeError:
        # It would be stored as something else, and so be written anew at every push.
        raise InvalidRequestError(
            f"The value for property {property!r} of {what} is not UTF-8 text, and JSON holds nothing else: encode it, or"
            " push it without property"
        ) from None
    if sjson.set_string(b"{}", property, value) == b"{}":
        raise InvalidRequestError(
            f"Property {property!r} of {what} can't be written: it has to name one place, without any of | # @ * ?"
        )
    document = document if document.strip() else b"{}"
    if not _has_members(document):
        raise ConflictError(
            f"{what[:1].upper()}{what[1:]} is no JSON object, so property {property!r} can't be written into it: it is left"
            " as it is"
        )
    return sjson.set_string(document, property, value)


def without_property(
    document: bytes,
    property: str,  # noqa: A002 - the field's name
) -> bytes | None:
    """`document` without `property`, unchanged when that is not there; None when nothing but empty objects and arrays would
    be left.

    Raises InvalidSpecError for a property that names no single place.
    """
    rest = sjson.delete(document, property)
    if rest == document or not _has_members(document):
        return document
    left = [decode_json(rest, what="the document")]
    while left:
        match left.pop():
            case dict() as members:
                left += members.values()
            case list() as members:
                left += members
            case _:
                return rest
    return None


def _has_members(document: bytes) -> bool:
    return document.lstrip()[:1] in {b"{", b"["} and gjson.get(document, "@valid") is not None
