"""Writing one string into JSON text, or taking one value out, exactly as the Go library tidwall/sjson v1.2.5 does.

The rest of the document is kept byte for byte. What is written is always a JSON string. Two differences, both errors:
an array index that would pad with more than `MAX_PADDING` nulls (no backend stores so large a document), and a path
whose modifiers lead away from the document, where Go writes over bytes that are something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provider_common.errors import InvalidSpecError
from provider_common.values import _scan
from provider_common.values._evaluate import evaluate
from provider_common.values._limits import encode_path
from provider_common.values._path import wrapped_index
from provider_common.values._text import quote
from provider_common.values._value import Kind, Value, entries, parse

__all__ = ["MAX_PADDING", "delete", "set_string"]

MAX_PADDING = 65536


@dataclass(frozen=True, slots=True)
class _Step:
    """One part of a path: `part` names a member to be made, `asked` is the same as a gjson path."""

    part: bytes
    asked: bytes
    forced: bool

    @property
    def last(self) -> bool:
        return self.part == b"-1" and not self.forced

    @property
    def index(self) -> int | None:
        """The array index that it is, None if it is a key. An empty part is index 0."""
        if self.forced or self.part.strip(b"0123456789"):
            return None
        return wrapped_index(self.part) if self.part else 0


def set_string(document: bytes, path: str, value: bytes) -> bytes:
    """`document` with the string `value` at `path`; objects and arrays on the way are made as needed.

    Raises InvalidSpecError when nothing can be set there. A path with wildcards or queries changes what it finds and
    adds nothing.
    """
    encoded = encode_path(path)
    written = _stringify(value)
    steps = _steps(encoded)
    if steps is None:
        return _replace_found(document, encoded, written)
    return _set(document, steps, written)


def delete(document: bytes, path: str) -> bytes:
    """`document` without what is at `path`; unchanged if nothing is there.

    Raises InvalidSpecError for an empty path, and for one with wildcards or queries.
    """
    steps = _steps(encode_path(path))
    if steps is None:
        raise InvalidSpecError(
            f"Property {path!r}: a path with any of | # @ * ? can't be deleted, name one value"
        )
    return _delete(document, steps)


_PIECE = re.compile(rb"\\(.?)|(\.)|([|#@*?])|[^.\\|#@*?]++", re.DOTALL)


def _steps(path: bytes) -> list[_Step] | None:
    """The parts of a plain path; None if it has characters that may ask for several values."""
    if not path:
        raise InvalidSpecError("The property to set or delete is empty: name one")
    steps: list[_Step] = []
    rest: bytes | None = path
    while rest is not None:
        forced = rest.startswith(b":")
        if forced:
            rest = rest[1:]
        part, asked = b"", b""
        following: bytes | None = None
        for piece in _PIECE.finditer(rest):
            if piece[3]:
                return None
            if piece[2]:
                following = rest[piece.end() :]
                break
            part += piece[0] if piece[1] is None else piece[1]
            asked += piece[0]
        steps.append(_Step(part, asked, forced))
        rest = following
    return steps


_NEEDS_ENCODER = re.compile(rb'[\x00-\x1f"\\\x80-\xff]')


def _stringify(text: bytes) -> bytes:
    """A JSON string. Only a text that needs escapes goes through the encoder, which then escapes HTML as well."""
    return quote(text) if _NEEDS_ENCODER.search(text) else b'"' + text + b'"'


def _replace_found(document: bytes, path: bytes, written: bytes) -> bytes:
    """Write over everything that a path with wildcards or queries finds."""
    found = evaluate(document, path)
    if not found.exists:
        return document
    if found.index:
        document = _write_over(document, found.index, found.raw, written)
    if not found.indexes:
        return document
    elements = [element for _, element in entries(found)]
    if len(elements) != len(found.indexes):
        return document
    places = sorted(zip(found.indexes, elements, strict=True), key=lambda place: place[0], reverse=True)
    for index, element in places:
        document = _write_over(document, index, element.raw, written)
    return document


def _write_over(document: bytes, index: int, raw: bytes, written: bytes) -> bytes:
    """Go writes wherever the index points to. It points astray after a modifier, and that would destroy the document."""
    if not document.startswith(raw, index):
        raise InvalidSpecError(
            "The property leads to a value that is not part of the document: it can't be set"
        )
    return document[:index] + written + document[index + len(raw) :]


def _descend(document: bytes, steps: list[_Step]) -> tuple[int, int, list[_Step]]:
    """Follow `steps` as far as the document goes: the bounds of the innermost value found, and the steps left."""
    start, end = 0, len(document)
    while len(steps) > 1:
        found = evaluate(document[start:end], steps[0].asked)
        if not found.index:
            break
        start += found.index
        end = start + len(found.raw)
        steps = steps[1:]
    return start, end, steps


def _set(document: bytes, steps: list[_Step], written: bytes) -> bytes:
    start, end, left = _descend(document, steps)
    inner = document[start:end]
    found = evaluate(inner, left[0].asked)
    if found.index:
        changed = inner[: found.index] + written + inner[found.index + len(found.raw) :]
    else:
        changed = _add(inner, left, written)
    return document[:start] + changed + document[end:]


def _add(text: bytes, steps: list[_Step], written: bytes) -> bytes:
    """`text` with a new member or element; text that is no container is replaced by one."""
    index = steps[0].index
    container = parse(text)
    if container.kind is not Kind.JSON:
        container = Value(Kind.JSON, b"{}" if index is None else b"[]")
    raw = container.raw
    filled = _HAS_CONTENT.match(raw) is not None
    comma = b"," if filled else b""
    if container.is_object:
        end = max(raw.rfind(b"}"), 0)
        return raw[:end] + comma + _member(steps, written) + b"}"
    if index is None:
        if not steps[0].last:
            raise InvalidSpecError(
                f"Property part {_shown(steps[0])}: the document has an array there, give an index"
            )
        return _scan.trim(raw).removesuffix(b"]") + comma + _element(steps, written) + b"]"
    elements = _elements(raw)
    missing = _padding(index - len(elements), steps[0])
    padding = b",null" * missing + comma if elements else b"null," * missing
    return b"[" + b",".join(elements) + padding + _element(steps, written) + b"]"


_HAS_CONTENT = re.compile(rb".[\x00-\x20]*+[^\x00-\x20}\]]", re.DOTALL)


def _shown(step: _Step) -> str:
    return repr(step.part.decode("utf-8", "replace"))


def _padding(count: int, step: _Step) -> int:
    if count > MAX_PADDING:
        raise InvalidSpecError(
            f"Property part {_shown(step)}: the array would have to grow by more than {MAX_PADDING} empty elements"
        )
    return max(count, 0)


def _member(steps: list[_Step], written: bytes) -> bytes:
    return _stringify(steps[0].part) + b":" + _element(steps, written)


def _element(steps: list[_Step], written: bytes) -> bytes:
    """The value below `steps[0]`: containers made for the further steps, around the string."""
    before: list[bytes] = []
    after: list[bytes] = []
    for step in steps[1:]:
        index = step.index
        if index is not None or step.last:
            before.append(b"[" + b"null," * _padding(index or 0, step))
            after.append(b"]")
        else:
            before.append(b"{" + _stringify(step.part) + b":")
            after.append(b"}")
    return b"".join(before) + written + b"".join(after[::-1])


_ELEMENT = re.compile(
    rb"[^\]}0-9\-{\[ntf\"]*+(?:([\]}])|([0-9\-][^\x00-\x20,\]}]*+)|([ntf][a-z]*+)|([{\[])|(\"))", re.DOTALL
)


def _elements(raw: bytes) -> list[bytes]:
    """The source texts of an array's elements, in the way sjson cuts an array apart when it has to grow."""
    elements: list[bytes] = []
    i = raw.index(b"[") + 1
    while found := _ELEMENT.match(raw, i):
        start = found.start(found.lastindex or 0)
        match found.lastindex:
            case 1:
                break
            case 2 | 3:
                i = found.end()
            case 4:
                i = min(_scan.squash(raw, start), len(raw))
            case _:
                closed = _scan.STRING.match(raw, start)
                i = closed.end() if closed else len(raw)
        elements.append(raw[start:i])
    return elements


def _delete(document: bytes, steps: list[_Step]) -> bytes:
    start, end = 0, len(document)
    while True:
        inner = document[start:end]
        found = _last_element(inner) if steps[0].last else None
        if found is None:
            found = evaluate(inner, steps[0].asked)
        if not found.index:
            return document
        if len(steps) == 1:
            break
        start += found.index
        end = start + len(found.raw)
        steps = steps[1:]
    before, first = _cut_tail(document[: start + found.index])
    after = inner[found.index + len(found.raw) :]
    if first:
        comma = _COMMA.match(after)
        after = after[comma.end() :] if comma else after
    return before + after + document[end:]


_COMMA = re.compile(rb"[\x00-\x20]*+,")


def _last_element(text: bytes) -> Value | None:
    count = evaluate(text, b"#")
    number = count.as_int()
    return evaluate(text, b"%d" % (number - 1)) if number > 0 else None


def _cut_tail(text: bytes) -> tuple[bytes, bool]:
    """`text` without the key or comma that it ends with, and whether the comma behind the value must go as well."""
    i = max(text.rfind(b"["), text.rfind(b","), text.rfind(b":"))
    if i < 0:
        return text, False
    if text[i : i + 1] == b"[":
        return text, True
    if text[i : i + 1] == b",":
        return text[:i], False
    closing = text.rfind(b'"', 0, i)
    opening = text.rfind(b'"', 0, max(closing, 0))
    # As in Go, a quote counts as escaped by one backslash before it, itself escaped or not.
    while opening > 0 and text[opening - 1 : opening] == b"\\":
        opening = text.rfind(b'"', 0, max(opening - 2, 0))
    cut = max(text.rfind(b"{", 0, max(opening, 0)), text.rfind(b",", 0, max(opening, 0)))
    if opening < 0 or cut < 0:
        return text, False
    return (text[: cut + 1], True) if text[cut : cut + 1] == b"{" else (text[:cut], False)
