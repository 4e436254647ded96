"""`templateAs: KeysAndValues`: rendered text as a map of texts, by the rules of YAML 1.1 as the Go operator's reader has them.

Times and numbers in base 60 (`12:30`) stay the text that they are; `yes`, `0x1F` and `1.0` become `true`, `31` and `1`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

import yaml

from eso_core.template.errors import TemplateError
from eso_core.template.gotext import go_float

_TAG = "tag:yaml.org,2002:"
_BOOL = re.compile(r"y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE")
_TRUE = frozenset({"y", "yes", "on", "true"})
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class _Loader(yaml.SafeLoader):
    """Composes nodes, and resolves nothing but what this page knows."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<$"), ["<"])
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
for _name, _pattern, _first in (
    ("bool", _BOOL, "yYnNtTfFoO"),
    ("int", _INTEGER, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"(?:{_pattern.pattern})$"), list(_first))


def keys_and_values(text: str) -> dict[str, str]:
    """The map in `text`; empty text is an empty map. Bytes that are not UTF-8 travel as lone surrogates.

    Raises TemplateError, which shows nothing of `text` but keys.
    """
    try:
        loader = _Loader(text.translate(_HIDDEN))
        try:
            root = loader.get_single_node()
            if isinstance(root, yaml.MappingNode):
                loader.flatten_mapping(root)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError):
        raise TemplateError("the result is not YAML") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == f"{_TAG}null"):
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise TemplateError("the result is not a map of keys to texts")
    found = {}
    for key_node, value_node in root.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == f"{_TAG}null":
            raise TemplateError("a key of the result is no text")
        key = _text(key_node, "a key of the result")
        if not isinstance(value_node, yaml.ScalarNode):
            raise TemplateError(f"the value of key {key!r} is no text: put it in quotes")
        found[key] = _text(value_node, f"the value of key {key!r}")
    return found


# YAML refuses lone surrogates; for a while they are characters for private use, of a plane that nobody else uses.
_HIDDEN = {0xDC00 + byte: 0x10FF00 + byte for byte in range(0x80, 0x100)}
_SHOWN = {hidden: surrogate for surrogate, hidden in _HIDDEN.items()}


def _text(node: yaml.ScalarNode, what: str) -> str:
    value: Any = node.value
    match node.tag.removeprefix(_TAG):
        case "null":
            return ""
        case "bool" if _BOOL.fullmatch(value):
            return "true" if value.lower() in _TRUE else "false"
        case "int" if _INTEGER.fullmatch(value):
            return _integer(value, what)
        case "float" if _FLOAT.fullmatch(value):
            number = value.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan")
            # What no float can hold stays text.
            return (
                str(value) if number[-1:].isdigit() and math.isinf(float(number)) else go_float(float(number))
            )
        case "bool" | "int" | "float":
            raise TemplateError(f"{what} is not what its tag says")
        case "binary":
            try:
                return base64.b64decode(value, validate=False).decode("utf-8", "surrogateescape")
            except (binascii.Error, ValueError):
                raise TemplateError(f"{what} is not base64") from None
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise TemplateError(f"{what} has an escape that is no character")
    return str(value.translate(_SHOWN))


def _integer(text: str, what: str) -> str:
    digits = text.replace("_", "").lstrip("+-")
    sign = "-" if text.startswith("-") else ""
    base = {"b": 2, "x": 16, "o": 8}.get(digits[1:2], 8 if digits[:1] == "0" else 10)
    body = digits[2:] if digits[1:2] in {"b", "x", "o"} else digits
    try:
        number = int(body or "x", base)
    except ValueError:
        raise TemplateError(f"{what} is not a number") from None
    return f"{sign if number else ''}{number}"
