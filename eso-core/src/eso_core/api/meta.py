"""Identity and labels of an object, and how a manifest is taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provider_common.errors import InvalidSpecError

STORE_API_VERSION: Final = "secretstore.external-secrets.io/v2alpha1"
GENERATOR_API_VERSION: Final = "generator.external-secrets.io/v2alpha1"
EXTERNAL_SECRET_API_VERSION: Final = "external-secrets.io/v1"  # noqa: S105 - no password
GENERATOR_STATE_API_VERSION: Final = "generators.external-secrets.io/v1alpha1"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Meta:
    """The parts of `metadata` that decisions depend on. Annotations may hold anything, so they are not shown."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict, repr=False)

    def where(self, kind: str) -> str:
        """The object in words, for messages: `Kind namespace/name`."""
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


def parse_meta(manifest: Mapping[str, Any], *, namespaced: bool) -> Meta:
    """`metadata` of `manifest`. A namespaced object without a namespace is in `default`, as kubectl has it.

    Raises InvalidSpecError naming the object and the field.
    """
    kind = manifest.get("kind")
    raw = manifest.get("metadata")
    if not isinstance(raw, Mapping):
        raise InvalidSpecError(f"{kind}: metadata: is required, with a name")
    name, namespace = raw.get("name"), raw.get("namespace") or ("default" if namespaced else "")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 253:
        raise InvalidSpecError(
            f"{kind}: metadata.name: has to be lower-case letters, digits, `-` and `.`, at most 253 characters"
        )
    if namespaced and (
        not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace) or len(namespace) > 63
    ):
        raise InvalidSpecError(
            f"{kind} {name}: metadata.namespace: has to be lower-case letters, digits and `-`, at most 63 characters"
        )
    where = f"{kind} {namespace}/{name}" if namespaced else f"{kind} {name}"
    generation = raw.get("generation")
    return Meta(
        name=name,
        namespace=namespace if namespaced else "",
        uid=str(raw.get("uid") or ""),
        generation=generation if isinstance(generation, int) else 0,
        labels=_texts(raw.get("labels"), f"{where}: metadata.labels"),
        annotations=_texts(raw.get("annotations"), f"{where}: metadata.annotations"),
    )


def _texts(value: Any, where: str) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidSpecError(f"{where}: has to be a map of texts")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise InvalidSpecError(f"{where}: the value of {key!r} has to be text: put it in quotes")
    return dict(value)
