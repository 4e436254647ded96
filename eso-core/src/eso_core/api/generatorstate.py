"""GeneratorState: what a generator needs to remove later what it made, kept beside what was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from provider_common.errors import InvalidSpecError
from provider_common.values import decode_json

from eso_core.api.meta import GENERATOR_STATE_API_VERSION, parse_meta
from eso_core.api.stores import STORE_KINDS, Store, parse_store

OWNER_KEY_LABEL: Final = "generators.external-secrets.io/owner-key"


@dataclass(frozen=True, slots=True)
class GeneratorState:
    """One state. `store` is the generator as it was when it made the values; `deadline` is when they are to be removed."""

    name: str
    namespace: str
    owner_key: str
    store: Store
    state: bytes = field(repr=False)
    created: datetime
    deadline: datetime | None = None

    def manifest(self) -> dict[str, Any]:
        """The state as a manifest. It may tell about what was made, so it is kept like a Secret. Raises PermanentError for a
        state that is no JSON.
        """
        spec: dict[str, Any] = {
            "resource": store_manifest(self.store),
            "state": decode_json(self.state, what="the state"),
        }
        if self.deadline is not None:
            spec["garbageCollectionDeadline"] = instant(self.deadline)
        return {
            "apiVersion": GENERATOR_STATE_API_VERSION,
            "kind": "GeneratorState",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "creationTimestamp": instant(self.created),
                "labels": {OWNER_KEY_LABEL: self.owner_key},
            },
            "spec": spec,
        }


def parse_generator_state(manifest: Mapping[str, Any]) -> GeneratorState:
    """The state in `manifest`. Raises InvalidSpecError naming the object."""
    meta = parse_meta(manifest, namespaced=True)
    where = meta.where("GeneratorState")
    spec = manifest.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(resource := spec.get("resource"), Mapping):
        raise InvalidSpecError(f"{where}: spec.resource: is required")
    if (resource.get("apiVersion"), resource.get("kind")) not in STORE_KINDS:
        raise InvalidSpecError(f"{where}: spec.resource: has to be a Generator or ClusterGenerator")
    if "state" not in spec:
        raise InvalidSpecError(f"{where}: spec.state: is required")
    created = manifest["metadata"].get("creationTimestamp")
    deadline = spec.get("garbageCollectionDeadline")
    return GeneratorState(
        name=meta.name,
        namespace=meta.namespace,
        owner_key=meta.labels.get(OWNER_KEY_LABEL, ""),
        store=parse_store(resource),
        state=json.dumps(spec.get("state")).encode(),
        created=parse_instant(created, where),
        deadline=None if deadline is None else parse_instant(deadline, where),
    )


def store_manifest(store: Store) -> dict[str, Any]:
    """A store or generator as a manifest."""
    metadata = {"name": store.meta.name}
    if store.meta.namespace:
        metadata["namespace"] = store.meta.namespace
    spec = store.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"apiVersion": store.api_version, "kind": store.kind, "metadata": metadata, "spec": spec}


def instant(moment: datetime) -> str:
    """A moment as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: object, where: str) -> datetime:
    """The moment in `text`. Raises InvalidSpecError."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise InvalidSpecError(f"{where}: a time is not of the form 2006-01-02T15:04:05Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
