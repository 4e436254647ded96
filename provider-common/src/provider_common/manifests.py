"""Kubernetes manifests in files: YAML (several documents) and JSON, lists taken apart, types as Kubernetes sees them.

Public for cores that read the same folder as their providers. Problems are told by file and line; the content of a file is
never repeated, for it may be a Secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from provider_common._files import UnfitFileError, read_file

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
DEFAULT_NAMESPACE = "default"

_LARGEST = 64 * 1024 * 1024
"""Bytes of a file."""
_DEEPEST = 500
_MOST_VALUES = 1_000_000
"""Values of a document, those that aliases stand for included. The API server takes no object of more than 1.5 MiB."""

# The C loader is ten times as fast; wheels have it, a PyYAML built without libyaml does not.
_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BaseLoader):  # type: ignore[misc]  # the base is chosen at run time
    """Scalars as Kubernetes reads them: a date stays text, and `1:30` is no number in base 60."""


_INTEGER = re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_OURS = ("int", "float", "timestamp", "value")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _OURS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _integer(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if len(digits) > 1 and digits[0] == "0":
        base = {"b": 2, "x": 16}.get(digits[1], 8)
        return sign * int(digits[1:] if digits[1].isdigit() else digits[2:], base)
    return sign * int(digits)


def _float(loader: Any, node: Any) -> float:
    return float(
        loader.construct_scalar(node).replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan")
    )


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


class ManifestError(Exception):
    """A file that can't be read as manifests. The text names the line, and never holds what is written there."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a file. `line` is where its document begins, counted from 1."""

    api_version: str
    kind: str
    namespace: str
    name: str
    line: int
    content: dict[str, Any] = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no two objects of a folder may have in common."""
        return (self.api_version, self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds: its objects, and a text for every document that is none."""

    manifests: tuple[Manifest, ...] = ()
    problems: tuple[str, ...] = ()


def read_manifests(path: Path) -> Parsed:
    """The objects in a file. Raises ManifestError when it is no YAML or JSON at all, OSError when it can't be read."""
    try:
        content = read_file(path, largest=_LARGEST, advice=": split it")
    except UnfitFileError as problem:
        raise ManifestError(str(problem)) from None
    manifests: list[Manifest] = []
    problems: list[str] = []
    for line, document in _documents(content, is_json=path.suffix == ".json"):
        for found in _objects(document, line):
            if isinstance(found, Manifest):
                manifests.append(found)
            else:
                problems.append(found)
    return Parsed(tuple(manifests), tuple(problems))


def _documents(content: bytes, *, is_json: bool) -> Iterator[tuple[int, Any]]:
    if is_json:
        try:
            document = json.loads(content, object_pairs_hook=_object_of)
            if b"\\ud" in content.lower():
                json.dumps(document, ensure_ascii=False).encode()
            yield 1, document
        except json.JSONDecodeError as error:
            raise ManifestError(f"line {error.lineno}: not valid JSON") from None
        except (ValueError, RecursionError):
            raise ManifestError("line 1: not valid JSON") from None
        return
    try:
        loader = _Loader(content)
    except yaml.YAMLError:
        raise ManifestError("line 1: not valid YAML: the text is not UTF-8") from None
    try:
        _check_depth(content)
        while loader.check_node():
            node = loader.get_node()
            if (line := _repeated_key(node)) is not None:
                raise ManifestError(f"line {line}: a key that the mapping has already")
            line, document = node.start_mark.line + 1, loader.construct_document(node)
            if _weight(document, {}) > _MOST_VALUES:
                raise ManifestError(f"line {line}: its aliases stand for more than {_MOST_VALUES} values")
            yield line, document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What is missing at the end is found missing on the line after it.
        line = min(mark.line, content.rstrip().count(b"\n")) + 1 if mark else 1
        raise ManifestError(f"line {line}: not valid YAML") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise ManifestError("line 1: not valid YAML") from None
    finally:
        loader.dispose()


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ManifestError("line 1: a key that the object has already")
    return made


def _repeated_key(root: Any) -> int | None:
    """The line of a key that its mapping has already: one of the two would be lost without a word, and Kubernetes refuses it."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        keys: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    return int(key.start_mark.line) + 1
                keys.add((key.tag, key.value))
            waiting.append(value)
    return None


def _check_depth(content: bytes) -> None:
    """In libyaml nested nodes are built by a function that calls itself, and nobody limits it: it would end the process."""
    longest = max(map(len, content.splitlines()), default=0)
    if longest < _DEEPEST and content.count(b"[") + content.count(b"{") < _DEEPEST:
        return  # blocks are as deep as lines are indented, the rest needs brackets
    depth = 0
    event: Any
    for event in yaml.parse(content, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ManifestError(f"line {event.start_mark.line + 1}: nested more than {_DEEPEST} times")


def _weight(value: Any, known: dict[int, int]) -> int:
    """How many values `value` holds when every alias is written out: a few lines can stand for more than any memory holds."""
    if not isinstance(value, dict | list | tuple | set):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # what holds itself has no end; it is refused when it is made JSON
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_weight(part, known) for part in parts)
    return known[id(value)]


def _objects(document: Any, line: int) -> Iterator[Manifest | str]:
    """The objects in a document, or a text that says why it is none."""
    if document is None:
        return
    if not isinstance(document, dict):
        yield f"line {line}: not a Kubernetes object (a mapping was expected)"
        return
    api_version, kind, metadata = document.get("apiVersion"), document.get("kind"), document.get("metadata")
    if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
        yield f"line {line}: not a Kubernetes object (it has no apiVersion or no kind)"
        return
    items = document.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for item in items:
            # The items of a typed list may leave out what the list says.
            inherited = (
                {"apiVersion": api_version, "kind": kind.removesuffix("List")} if kind != "List" else {}
            )
            yield from _objects({**inherited, **item} if isinstance(item, dict) else item, line)
        return
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        yield f"line {line}: this {kind} has no metadata.name"
        return
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE  # type: ignore[union-attr]  # name came from it
    if not isinstance(namespace, str):
        yield f"line {line}: metadata.namespace of {kind} {name!r} is not text"
        return
    yield Manifest(api_version, kind, namespace, name, line, document)
