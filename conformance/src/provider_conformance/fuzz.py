"""Random messages from descriptors: every field sometimes absent, sometimes odd. Repeatable from a seed; knows no provider."""

from __future__ import annotations

import random
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_WORDS = (
    "", "a", "main", "default", "None", "Base64", "Fetch", "SecretStore", "ClusterSecretStore", "../..", "a/b", "a/b/c",
    "\0", "\n", "\u65e5\u672c", "\U0001f511", "x" * 300, "{}", "(", ".*", "#(", "1.1", "-1", "9" * 30, "true", "1h", "%s%n",
)  # fmt: skip
_DEPTH = 4


def random_message(kind: type[M], source: random.Random, depth: int = 0) -> M:
    """A message of this kind whose content depends on `source` alone."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if source.random() < 0.25:
            continue
        _fill(message, field, source, depth)
    return message


def _fill(message: Message, field: Any, source: random.Random, depth: int) -> None:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        _fill_map(getattr(message, field.name), entry.fields_by_name["value"], source)
    elif entry is not None:
        if depth >= _DEPTH:
            return
        target = getattr(message, field.name)
        if field.is_repeated:
            for _ in range(source.randint(0, 2)):
                added = target.add()
                added.CopyFrom(random_message(type(added), source, depth + 1))
        else:
            target.CopyFrom(random_message(type(target), source, depth + 1))
    elif field.is_repeated:
        getattr(message, field.name).extend(_scalar(field, source) for _ in range(source.randint(0, 3)))
    else:
        setattr(message, field.name, _scalar(field, source))


def _fill_map(target: Any, value: FieldDescriptor, source: random.Random) -> None:
    for _ in range(source.randint(0, 3)):
        target[source.choice(_WORDS)] = _scalar(value, source)


def _scalar(field: FieldDescriptor, source: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            if field.type == FieldDescriptor.TYPE_BYTES:
                return source.randbytes(source.choice((0, 1, 8, 200)))
            return source.choice(_WORDS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return source.random() < 0.5
        case FieldDescriptor.CPPTYPE_INT32:
            return source.choice((0, 1, -1, 2**31 - 1, -(2**31)))
        case FieldDescriptor.CPPTYPE_INT64:
            return source.choice((0, 1, -1, 2**63 - 1, -(2**63)))
        case _:
            return 0
