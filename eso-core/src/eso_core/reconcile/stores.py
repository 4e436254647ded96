"""Whether a store is ready, for stores with gatingPolicy Enabled (the default)."""

from __future__ import annotations

from eso_core.api.duration import parse_duration
from eso_core.api.stores import ClusterGeneratorSpec, ClusterSecretStoreSpec, Store
from eso_core.reconcile.calls import CallError, Calls
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.routing import Settings, way
from eso_core.reconcile.world import Readiness

DEFAULT_REFRESH = 300.0
"""Seconds between validations when the store says nothing."""


def refresh_seconds(store: Store) -> float:
    """Seconds after which the store is to be validated again."""
    text = store.spec.refresh_interval
    seconds = parse_duration(text) if text else DEFAULT_REFRESH
    return seconds if seconds > 0 else DEFAULT_REFRESH


def validate(store: Store, calls: Calls, settings: Settings) -> Readiness:
    """Ask the provider about the store. A generator's provider is only asked whether it serves: it can't validate.

    A cluster-scoped store whose configuration object (or, for some providers, whose credentials) is in the caller's
    namespace can't be asked about without a caller: it counts as ready.
    """
    cluster = isinstance(store.spec, ClusterSecretStoreSpec | ClusterGeneratorSpec)
    try:
        via = way(store, "" if cluster else store.meta.namespace, settings)
        if store.generates:
            calls.check_health(via)
            return Readiness(ready=True, reason="Valid")
        # Providers of the one family read credentials in the source namespace: without one there is nothing to check.
        if not via.namespace or (via.store_ref_kind == "ClusterProvider" and not via.source_namespace):
            return Readiness(ready=True, reason="ValidationUnknown")
        verdict = calls.validate(via)
    except CallError as error:
        return Readiness(
            ready=False, reason="InvalidProviderConfig", message=error.message, retry_after=error.retry_after
        )
    except SyncError as error:
        return Readiness(ready=False, reason="InvalidProviderConfig", message=error.message)
    if not verdict.valid:
        message = (
            verdict.error or "the provider says that it is not valid, and not why: look at the provider's log"
        )
        return Readiness(ready=False, reason="InvalidProviderConfig", message=message)
    return Readiness(
        ready=True, reason="Valid", message="; ".join(verdict.warnings), capabilities=verdict.capabilities
    )
