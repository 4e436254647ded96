"""`rewrite`: renaming what was fetched, step by step. Two keys that become one are an error: which one would win is left to
chance otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from provider_common.errors import ProviderError
from provider_common.values import decode_json, decoded_to_bytes, go_json

from eso_core.api.externalsecret import Merge, Regexp, Rewrite
from eso_core.patterns import PatternError, replacer
from eso_core.reconcile.errors import SyncError
from eso_core.template import Template, TemplateError


def rewrite(steps: Sequence[Rewrite], data: Mapping[str, bytes]) -> dict[str, bytes]:
    """`data` after every step. Raises SyncError naming the step."""
    current = dict(data)
    for index, step in enumerate(steps):
        try:
            if step.regexp is not None:
                current = _renamed(current, _by_regexp(step.regexp))
            elif step.transform is not None:
                current = _renamed(current, _by_template(step.transform.template))
            elif step.merge is not None:
                current = _merged(step.merge, current)
        except SyncError as error:
            raise error.at(f"rewrite[{index}]") from None
    return current


def _renamed(data: Mapping[str, bytes], rename: Callable[[str], str]) -> dict[str, bytes]:
    origin: dict[str, str] = {}
    renamed = {}
    for key in sorted(data):
        new = rename(key)
        if new in origin:
            raise SyncError(f"keys {origin[new]!r} and {key!r} both become {new!r}")
        origin[new] = key
        renamed[new] = data[key]
    return renamed


def _by_regexp(step: Regexp) -> Callable[[str], str]:
    try:
        return replacer(step.source, step.target)
    except PatternError as error:
        raise SyncError(f"regexp.source: {error}", retry=False) from None


def _by_template(text: str) -> Callable[[str], str]:
    try:
        template = Template(text)
    except TemplateError as error:
        raise SyncError(f"transform.template: {error}", retry=False) from None

    def rename(key: str) -> str:
        try:
            return template.render({"value": key}, missing_is_error=False)
        except TemplateError as error:
            raise SyncError(f"transform.template: {error}", retry=False) from None

    return rename


def _merged(step: Merge, data: Mapping[str, bytes]) -> dict[str, bytes]:
    missing = [key for key in step.priority if key not in data]
    if missing and step.priority_policy != "IgnoreNotFound":
        raise SyncError(
            f"merge.priority: no key {missing[0]!r} was fetched: remove it, or use priorityPolicy IgnoreNotFound"
        )
    order = [key for key in sorted(data) if key not in step.priority] + [
        key for key in step.priority if key in data
    ]
    merged: dict[str, Any] = {}
    repeated: set[str] = set()
    for key in order:
        inner = _object(key, data[key])
        repeated |= merged.keys() & inner.keys()
        merged |= inner
    if repeated and step.conflict_policy != "Ignore":
        raise SyncError(
            f"merge: {', '.join(map(repr, sorted(repeated)))} stand in more than one value: use conflictPolicy Ignore "
            "and say in priority which one wins"
        )
    if step.strategy == "JSON":
        return {**data, step.into: go_json(merged, escape_html=True)}
    return {key: decoded_to_bytes(value) for key, value in merged.items()}


def _object(key: str, value: bytes) -> dict[str, Any]:
    try:
        document = decode_json(value, what=key)
    except ProviderError:
        document = None
    if not isinstance(document, dict):
        raise SyncError(f"merge: the value of key {key!r} is not a JSON object")
    return document
