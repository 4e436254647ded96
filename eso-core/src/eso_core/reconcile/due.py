"""When an ExternalSecret is to be synced, and whether its Secret is still as the last sync left it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from eso_core.api.externalsecret import ExternalSecret
from eso_core.api.secrets import Secret
from eso_core.reconcile.world import SyncStatus

MANAGED_LABEL = "reconcile.external-secrets.io/managed"
CREATED_BY_LABEL = "reconcile.external-secrets.io/created-by"
DATA_HASH_ANNOTATION = "reconcile.external-secrets.io/data-hash"


def digest(value: str | bytes) -> str:
    """SHA3-224 in hex: fits in a label."""
    return hashlib.sha3_224(value.encode() if isinstance(value, str) else value).hexdigest()


def data_hash(data: Mapping[str, bytes]) -> str:
    """Hash over a Secret's data that does not depend on the order of its keys."""
    stable = hashlib.sha3_224()
    for key in sorted(data):
        # Lengths keep neighbours apart: {a: bc} and {ab: c} differ.
        stable.update(f"{len(key.encode())}:{key}={len(data[key])}:".encode())
        stable.update(data[key])
    return stable.hexdigest()


def owner_hash(namespace: str, name: str) -> str:
    """What the created-by label of a Secret holds for the ExternalSecret that made it."""
    return digest(f"{namespace}/{name}")


def version_of(external_secret: ExternalSecret) -> str:
    """Changes whenever spec, labels or annotations change. Where nobody counts generations, the spec itself is hashed."""
    meta = external_secret.meta
    spec = str(meta.generation) if meta.generation else digest(external_secret.spec.model_dump_json())
    around = json.dumps([sorted(meta.labels.items()), sorted(meta.annotations.items())])
    return f"{spec}-{digest(around)}"


def is_due(external_secret: ExternalSecret, status: SyncStatus, now: datetime) -> bool:
    """True when the provider has to be asked by refreshPolicy and refreshInterval."""
    never = not status.synced_version or status.refresh_time is None
    changed = status.synced_version != version_of(external_secret)
    match external_secret.spec.refresh_policy:
        case "CreatedOnce":
            return never
        case "OnChange":
            return never or changed
    interval = external_secret.refresh_seconds
    if interval <= 0 and status.synced_version:
        return False
    if status.refresh_time is None or never or changed or status.refresh_time > now:
        return True
    return (now - status.refresh_time).total_seconds() >= interval


def next_sync(external_secret: ExternalSecret, refreshed: datetime, now: datetime) -> float | None:
    """Seconds until the next sync is due, after one that succeeded at `refreshed`; None when there is no next one."""
    if (
        external_secret.spec.refresh_policy in {"CreatedOnce", "OnChange"}
        or external_secret.refresh_seconds <= 0
    ):
        return None
    return max(0.0, external_secret.refresh_seconds - (now - refreshed).total_seconds())


def is_valid(external_secret: ExternalSecret, existing: Secret | None) -> bool:
    """True when the Secret is as the last sync left it (an Orphan is never looked after)."""
    policy = external_secret.spec.target.creation_policy
    if policy == "Orphan":
        return True
    if policy == "None" or existing is None:
        return False
    if existing.meta.labels.get(MANAGED_LABEL) != "true":
        return False
    return existing.meta.annotations.get(DATA_HASH_ANNOTATION) == data_hash(existing.data)
