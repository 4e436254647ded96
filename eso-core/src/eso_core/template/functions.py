"""The functions that templates may call: Go's own and those of Sprig that need nothing but their arguments.

Arguments come in Sprig's order, the piped one last. Where Sprig swallows an error (`b64dec`, `fromJson`, `atoi`), these
fail: an error text in a Secret helps nobody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from provider_common.errors import ProviderError
from provider_common.values import decode_json, go_json

from eso_core.patterns import PatternError, found, replacer
from eso_core.template.errors import TemplateError
from eso_core.template.gotext import go_float, go_integer, go_quote, go_text, truth

_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:\.([0-9]+))?([a-zA-Z%]|)")
_BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go takes for white space."""
_FLAGS = {"d": "-+0", "f": "-+0", "x": "-0", "s": "-0"}
"""The flags of a verb, where there are more than the one for the left margin."""
LONGEST_REPEAT = 1024 * 1024
"""Characters that one `repeat`, `indent` or padding may make."""


def _bytes(text: str) -> bytes:
    # Bytes that are not UTF-8 travel through templates as lone surrogates.
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _string(value: Any) -> str:
    """The argument, which has to be text: Go would refuse to compile the call."""
    if not isinstance(value, str):
        raise TemplateError("an argument that is no text: use toString")
    return value


def _bounded(count: int) -> int:
    if count > LONGEST_REPEAT:
        raise TemplateError(f"more than {LONGEST_REPEAT} characters")
    return count


def _integer(value: Any) -> int:
    match value:
        case bool():
            return int(value)
        case str():
            return go_integer(value) or 0
        case float():
            return math.trunc(value) if math.isfinite(value) else 0
        case int():
            return value
    return 0


def _int64(value: int) -> int:
    """What is left of `value` in 64 bits."""
    return (value + 2**63) % 2**64 - 2**63


def _atoi(value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", _string(value)):
        raise TemplateError("not a whole number")
    return int(value)


def _b64dec(value: str) -> str:
    try:
        return _text(base64.b64decode(re.sub(r"[\r\n]", "", _string(value)).encode(), validate=True))
    except (binascii.Error, ValueError):
        raise TemplateError("not base64") from None


def _b32dec(value: str) -> str:
    try:
        return _text(base64.b32decode(re.sub(r"[\r\n]", "", _string(value)).encode()))
    except (binascii.Error, ValueError):
        raise TemplateError("not base32") from None


def _from_json(value: str) -> Any:
    try:
        return decode_json(_bytes(_string(value)), what="the text")
    except ProviderError:
        raise TemplateError("not JSON") from None


def _to_json(value: Any) -> str:
    return _text(go_json(value, escape_html=True))


def _trunc(length: int, text: str) -> str:
    # Sprig counts bytes, and may leave half a character.
    data = _bytes(_string(text))
    return _text(data[length:] if length < 0 else data[:length])


def _substr(start: int, end: int, text: str) -> str:
    data = _bytes(_string(text))
    if end < 0 or end > len(data):
        end = len(data) if start >= 0 else end
    if start > end or end > len(data):
        raise TemplateError("the positions are out of range")
    return _text(data[max(start, 0) : end])


def _upper(text: str) -> str:
    # Go knows no character whose upper case is two, as that of `ß` is in Python.
    return "".join(char.upper() if len(char.upper()) == 1 else char for char in _string(text))


def _lower(text: str) -> str:
    return "".join(char.lower()[0] for char in _string(text))


def _title(text: str) -> str:
    return re.sub(
        r"(?<!\w)\w",
        lambda first: first[0].title() if len(first[0].title()) == 1 else first[0],
        _string(text),
    )


def _trim(text: str) -> str:
    return _string(text).strip(_BLANKS)


def _nospace(text: str) -> str:
    return _string(text).translate(dict.fromkeys(map(ord, _BLANKS)))


def _indent(width: int, text: str) -> str:
    pad = " " * _bounded(width)
    return pad + _string(text).replace("\n", "\n" + pad)


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise TemplateError("the count is negative")
    _bounded(count * len(_string(text)))
    return text * count


def _trim_prefix(prefix: str, text: str) -> str:
    return _string(text).removeprefix(prefix)


def _trim_suffix(suffix: str, text: str) -> str:
    return _string(text).removesuffix(suffix)


def _join(separator: str, values: Any) -> str:
    if isinstance(values, list | tuple):
        return separator.join(go_text(value) for value in values if value is not None)
    return go_text(values)


def _dict(*pairs: Any) -> dict[str, Any]:
    values = [*pairs, ""] if len(pairs) % 2 else list(pairs)
    return {go_text(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _get(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key, "")


def _first(values: Any) -> Any:
    return _list(values)[0] if values else None


def _last(values: Any) -> Any:
    return _list(values)[-1] if values else None


def _list(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise TemplateError("not a list")
    return value


def _keys(*mappings: Mapping[str, Any]) -> list[str]:
    return sorted(key for mapping in mappings for key in mapping)


def _index(value: Any, *path: Any) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            if step not in value:
                raise TemplateError(
                    f"there is no key {step!r}" if isinstance(step, str) else "there is no such key"
                )
            value = value[step]
        elif isinstance(step, int) and not isinstance(step, bool) and 0 <= step < _length(value):
            value = _bytes(value)[step] if isinstance(value, str) else value[step]
        else:
            raise TemplateError("the index is out of range")
    return value


def _length(value: Any) -> int:
    return len(_bytes(value)) if isinstance(value, str) else len(value)


def _comparable(left: Any, right: Any) -> None:
    if type(left) is not type(right) and left is not None and right is not None:
        raise TemplateError("values of different types can't be compared: use toString or int")
    if isinstance(left, list | tuple | Mapping):
        raise TemplateError("lists and maps can't be compared: use toJson")


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("needs two values")
    for other in others:
        _comparable(first, other)
        if first == other:
            return True
    return False


def _less(left: Any, right: Any) -> bool:
    _comparable(left, right)
    if isinstance(left, bool):
        raise TemplateError("true and false have no order")
    return bool(left < right)


def _substituted(pattern: str, text: str, replacement: str) -> str:
    try:
        return replacer(pattern, replacement)(_string(text))
    except PatternError as error:
        raise TemplateError(f"the pattern {error}") from None


def _matches(pattern: str, text: str) -> bool:
    try:
        return found(pattern, _string(text))
    except PatternError as error:
        raise TemplateError(f"the pattern {error}") from None


def _printf(layout: str, *arguments: Any) -> str:
    rest = list(arguments)

    def one(verb: re.Match[str]) -> str:
        flags, width, precision, letter = verb.groups()
        if letter == "%":
            return "%"
        if not rest:
            raise TemplateError("fewer arguments than verbs (a percent sign is written %%)")
        if not set(flags) <= set(_FLAGS.get(letter, "-")) or (precision and letter not in "sf"):
            raise TemplateError(f"%{letter} can't be written with these flags or this precision here")
        text = _formatted(letter, rest.pop(0), flags, precision)
        pad = _bounded(int(width or 0))
        if "-" in flags:
            return text.ljust(pad)
        if "0" in flags:
            return text.rjust(pad, "0") if letter == "s" else text.zfill(pad)
        return text.rjust(pad)

    text = _VERB.sub(one, _string(layout))
    if rest:
        raise TemplateError("more arguments than verbs")
    return text


def _formatted(letter: str, value: Any, flags: str, precision: str | None) -> str:
    match letter, value:
        case "v", None:
            return "<nil>"
        case "v", _:
            return go_text(value)
        case "s", str():
            return value[: int(precision)] if precision else value
        case "s", list() | tuple() | Mapping():
            return go_text(value)
        case "q", str():
            return go_quote(value)
        case "t", bool():
            return go_text(value)
        case "d", int() if not isinstance(value, bool):
            return f"{value:+d}" if "+" in flags else str(value)
        case "f", float():
            return f"{value:{'+' if '+' in flags else ''}.{precision or 6}f}"
        case "g", float():
            return go_float(value)
        case "x", str() if "0" not in flags:
            return _bytes(value).hex()
        case "x", int() if not isinstance(value, bool):
            return f"{value:x}"
    raise TemplateError(
        f"verb %{letter} does not go with its argument (supported: %v %s %q %t %d %f %g %x %%)"
    )


def _print(*values: Any) -> str:
    """Go puts a blank between two operands when neither is text."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append("<nil>" if value is None else go_text(value))
    return "".join(parts)


def _divided(left: Any, right: Any) -> int:
    divisor = _integer(right)
    if divisor == 0:
        raise TemplateError("division by zero")
    quotient = abs(_integer(left)) // abs(divisor)
    return quotient if (_integer(left) < 0) == (divisor < 0) else -quotient


def _ternary(yes: Any, no: Any, condition: Any) -> Any:
    if not isinstance(condition, bool):
        raise TemplateError("the condition is not true or false: use empty, or a comparison")
    return yes if condition else no


def _fail(message: str) -> str:
    # The message may have been made of values, so it is not repeated.
    _string(message)
    raise TemplateError("the template says so (its message is not shown: it may hold values)")


def _split_list(separator: str, text: str) -> list[str]:
    return _string(text).split(separator) if separator else list(text)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda *values: _int64(sum(map(_integer, values))),
    "atoi": _atoi,
    "b32dec": _b32dec,
    "b32enc": lambda text: base64.b32encode(_bytes(_string(text))).decode(),
    "b64dec": _b64dec,
    "b64enc": lambda text: base64.b64encode(_bytes(_string(text))).decode(),
    "cat": lambda *values: " ".join(go_text(value) for value in values if value is not None),
    "coalesce": lambda *values: next((value for value in values if truth(value)), None),
    "contains": lambda part, text: _string(part) in _string(text),
    "default": lambda fallback, value=None: value if truth(value) else fallback,
    "dict": _dict,
    "div": _divided,
    "empty": lambda value: not truth(value),
    "eq": _eq,
    "fail": _fail,
    "first": _first,
    "fromJson": _from_json,
    "ge": lambda left, right: not _less(left, right),
    "get": _get,
    "gt": lambda left, right: _less(right, left),
    "hasKey": lambda mapping, key: key in mapping,
    "hasPrefix": lambda prefix, text: _string(text).startswith(prefix),
    "hasSuffix": lambda suffix, text: _string(text).endswith(suffix),
    "indent": _indent,
    "index": _index,
    "int": _integer,
    "join": _join,
    "keys": _keys,
    "last": _last,
    "le": lambda left, right: not _less(right, left),
    "len": _length,
    "list": lambda *values: list(values),
    "lower": _lower,
    "lt": _less,
    "mul": lambda first, *values: _int64(math.prod(map(_integer, (first, *values)))),
    "ne": lambda left, right: not _eq(left, right),
    "nindent": lambda width, text: "\n" + _indent(width, text),
    "nospace": _nospace,
    "not": lambda value: not truth(value),
    "print": _print,
    "printf": _printf,
    "println": lambda *values: (
        " ".join("<nil>" if value is None else go_text(value) for value in values) + "\n"
    ),
    "quote": lambda *values: " ".join(go_quote(go_text(value)) for value in values if value is not None),
    "regexMatch": _matches,
    "regexReplaceAll": _substituted,
    "repeat": _repeat,
    "replace": lambda old, new, text: _string(text).replace(old, new),
    "sha1sum": lambda text: hashlib.sha1(_bytes(_string(text))).hexdigest(),  # noqa: S324 - asked for by name
    "sha256sum": lambda text: hashlib.sha256(_bytes(_string(text))).hexdigest(),
    "sha512sum": lambda text: hashlib.sha512(_bytes(_string(text))).hexdigest(),
    "splitList": _split_list,
    "squote": lambda *values: " ".join(f"'{go_text(value)}'" for value in values if value is not None),
    "sub": lambda left, right: _int64(_integer(left) - _integer(right)),
    "substr": _substr,
    "ternary": _ternary,
    "title": _title,
    "toJson": _to_json,
    "toString": lambda value: "<nil>" if value is None else go_text(value),
    "trim": _trim,
    "trimAll": lambda characters, text: _string(text).strip(characters),
    "trimPrefix": _trim_prefix,
    "trimSuffix": _trim_suffix,
    "trunc": _trunc,
    "upper": _upper,
    "urlquery": lambda *values: quote_plus(_bytes("".join(map(go_text, values)))),
}
SUPPORTED = " ".join(sorted([*FUNCTIONS, "and", "or"]))
"""The names of all functions, for messages."""
