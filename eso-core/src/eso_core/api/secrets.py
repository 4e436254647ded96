"""Secrets and ConfigMaps: the objects that values are read from and written to. Values never show in a `repr`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_common.errors import InvalidSpecError

from eso_core.api.meta import Meta, parse_meta


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """The controller that owns an object."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret."""

    meta: Meta
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    type: str = "Opaque"
    finalizers: tuple[str, ...] = ()
    owner: OwnerReference | None = None
    immutable: bool = False

    def manifest(self) -> dict[str, Any]:
        """The Secret as Kubernetes takes it; keys are sorted, so that the same Secret is the same text."""
        metadata: dict[str, Any] = {"name": self.meta.name, "namespace": self.meta.namespace}
        if self.meta.labels:
            metadata["labels"] = dict(sorted(self.meta.labels.items()))
        if self.meta.annotations:
            metadata["annotations"] = dict(sorted(self.meta.annotations.items()))
        if self.finalizers:
            metadata["finalizers"] = list(self.finalizers)
        if self.owner is not None:
            metadata["ownerReferences"] = [
                {
                    "apiVersion": self.owner.api_version,
                    "kind": self.owner.kind,
                    "name": self.owner.name,
                    "uid": self.owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
        document: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": self.type,
        }
        if self.immutable:
            document["immutable"] = True
        document["data"] = {key: base64.b64encode(self.data[key]).decode() for key in sorted(self.data)}
        return document


def parse_secret(manifest: Mapping[str, Any]) -> Secret:
    """The Secret in `manifest`; `stringData` wins over `data`. Raises InvalidSpecError naming object and key."""
    meta = parse_meta(manifest, namespaced=True)
    where = meta.where("Secret")
    data = _decoded(manifest.get("data"), f"{where}: data") | _texts(
        manifest.get("stringData"), f"{where}: stringData"
    )
    raw = manifest["metadata"]
    kind, finalizers, immutable = manifest.get("type"), raw.get("finalizers"), manifest.get("immutable")
    if not isinstance(kind, str | None):
        raise InvalidSpecError(f"{where}: type: has to be text")
    if not isinstance(immutable, bool | None):
        raise InvalidSpecError(f"{where}: immutable: has to be true or false")
    if not isinstance(finalizers, list | None) or not all(isinstance(item, str) for item in finalizers or ()):
        raise InvalidSpecError(f"{where}: metadata.finalizers: has to be a list of texts")
    return Secret(
        meta,
        data,
        type=kind or "Opaque",
        finalizers=tuple(finalizers or ()),
        owner=_controller(raw.get("ownerReferences"), f"{where}: metadata.ownerReferences"),
        immutable=bool(immutable),
    )


def _controller(references: Any, where: str) -> OwnerReference | None:
    if not isinstance(references, list | None):
        raise InvalidSpecError(f"{where}: has to be a list")
    for reference in references or ():
        fields = ("apiVersion", "kind", "name", "uid")
        if not isinstance(reference, Mapping):
            raise InvalidSpecError(f"{where}: each has to be a map with {', '.join(fields)}")
        found = [reference.get(name, "") for name in fields]
        if not all(isinstance(text, str) for text in found) or not found[1] or not found[2]:
            raise InvalidSpecError(f"{where}: {', '.join(fields)} have to be texts")
        if reference.get("controller"):
            return OwnerReference(*found)
    return None


def parse_config_map(manifest: Mapping[str, Any]) -> tuple[Meta, Mapping[str, bytes]]:
    """Identity and content of the ConfigMap in `manifest`. Raises InvalidSpecError naming object and key."""
    meta = parse_meta(manifest, namespaced=True)
    where = meta.where("ConfigMap")
    data = _decoded(manifest.get("binaryData"), f"{where}: binaryData") | _texts(
        manifest.get("data"), f"{where}: data"
    )
    return meta, data


def _decoded(value: Any, where: str) -> dict[str, bytes]:
    decoded = {}
    for key, text in _map(value, where).items():
        try:
            decoded[key] = base64.b64decode("".join(str(text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidSpecError(
                f"{where}.{key}: is not base64: encode it, or use stringData for text"
            ) from None
    return decoded


def _texts(value: Any, where: str) -> dict[str, bytes]:
    texts = {}
    for key, text in _map(value, where).items():
        if not isinstance(text, str):
            raise InvalidSpecError(f"{where}.{key}: has to be text: put it in quotes")
        texts[key] = text.encode()
    return texts


def _map(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidSpecError(f"{where}: has to be a map with texts as keys")
    return value
