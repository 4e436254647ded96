"""A loaded folder, together with what earlier runs wrote, as the world that reconciling reads."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from provider_common.errors import InvalidSpecError

from eso_core.api.externalsecret import ExternalSecret
from eso_core.api.generatorstate import GeneratorState, store_manifest
from eso_core.api.secrets import Secret
from eso_core.api.stores import Store
from eso_core.reconcile.calls import Calls
from eso_core.reconcile.conditions import NAME_LABEL
from eso_core.reconcile.gather import stores_of
from eso_core.reconcile.routing import Settings
from eso_core.reconcile.stores import refresh_seconds, validate
from eso_core.reconcile.world import Managed, Readiness
from eso_core.runtime.folder import Loaded
from eso_core.runtime.output import Output


@dataclass(slots=True)
class _Known:
    """What is known of one store. Whoever holds the lock asks; the others wait for the answer."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inputs: str = ""
    until: float = 0.0
    readiness: Readiness | None = None


class StoreHealth:
    """Readiness of stores, asked for when a store is used and kept for its refreshInterval. What is not ready is asked again in
    the next pass.
    """

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self._calls = calls
        self._settings = settings
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, str], _Known] = {}

    def readiness(self, store: Store, inputs: str) -> Readiness:
        """Whether the store is ready. `inputs` changes with everything the answer depends on in the folder."""
        with self._lock:
            known = self._known.setdefault((store.kind, store.meta.namespace, store.meta.name), _Known())
        with known.lock:
            if known.readiness is None or known.inputs != inputs or time.monotonic() >= known.until:
                known.readiness = validate(store, self._calls, self._settings)
                known.inputs = inputs
                known.until = time.monotonic() + refresh_seconds(store)
            return known.readiness

    def next_pass(self) -> None:
        """Forget what was not ready."""
        with self._lock:
            self._known = {
                key: known
                for key, known in self._known.items()
                if known.readiness is None or known.readiness.ready
            }

    def known(self) -> list[tuple[tuple[str, str, str], Readiness]]:
        """What was asked for so far, in a fixed order."""
        with self._lock:
            return [
                (key, known.readiness)
                for key, known in sorted(self._known.items())
                if known.readiness is not None
            ]


class FolderWorld:
    """The World of one pass."""

    def __init__(self, loaded: Loaded, output: Output, health: StoreHealth) -> None:
        self.loaded = loaded
        self._output = output
        self._health = health
        self._states = output.states()

    def store(self, kind: str, namespace: str, name: str) -> Store | None:
        """A store or generator of the folder. Raises InvalidSpecError when it can't be used."""
        found = self.loaded.stores.get((kind, namespace, name))
        if isinstance(found, str):
            raise InvalidSpecError(found)
        return found

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace. One that has no manifest has only its name."""
        return {**self.loaded.namespaces.get(namespace, {}), NAME_LABEL: namespace}

    def secret(self, namespace: str, name: str) -> Secret | None:
        """A Secret: as it was written, over the one in the folder if there is one (which is never written to)."""
        source = self.loaded.secrets.get((namespace, name))
        if isinstance(source, str):
            raise InvalidSpecError(source)
        written = self._output.secret(namespace, name)
        if source is None or written is None:
            return written or source
        managed = self._managed(namespace, name)
        return replace(
            written,
            data={
                **source.data,
                **{key: value for key, value in written.data.items() if key in managed.data},
            },
        )

    def _managed(self, namespace: str, target: str) -> Managed:
        for external_secret in self.loaded.external_secrets:
            if (external_secret.meta.namespace, external_secret.target_name) == (namespace, target):
                return self._output.status(namespace, external_secret.meta.name).managed_in(target)
        return Managed()

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """A ConfigMap of the folder."""
        found = self.loaded.config_maps.get((namespace, name))
        if isinstance(found, str):
            raise InvalidSpecError(found)
        return found

    def readiness(self, store: Store) -> Readiness:
        """Whether the store is ready; its provider is asked when that is not known."""
        return self._health.readiness(store, self._store_inputs(store))

    def generator_states(self, namespace: str, owner_key: str) -> Sequence[GeneratorState]:
        """States that are kept for one entry."""
        return [
            state for state in self._states if (state.namespace, state.owner_key) == (namespace, owner_key)
        ]

    def all_states(self) -> Sequence[GeneratorState]:
        """Every state that is kept."""
        return self._states

    def inputs(self, external_secret: ExternalSecret) -> str:
        """Hash over everything in the folder that the ExternalSecret's result depends on, except credentials."""
        namespace = external_secret.meta.namespace
        parts = [self._store_inputs(store) for store in stores_of(external_secret, self)]
        template = external_secret.spec.target.template
        for source in template.template_from if template else ():
            if source.config_map is not None:
                content = self.loaded.config_maps.get((namespace, source.config_map.name))
            elif source.secret is not None:
                found = self.loaded.secrets.get((namespace, source.secret.name))
                content = found.data if isinstance(found, Secret) else None
            else:
                continue
            if isinstance(content, Mapping):
                parts += [f"{key}={hashlib.sha256(content[key]).hexdigest()}" for key in sorted(content)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _store_inputs(self, store: Store) -> str:
        reference = store.spec.provider_config.provider_ref
        # A cluster store may lead to an object in the caller's namespace: then all of that name count.
        objects = [
            digest
            for (api_version, kind, namespace, name), digest in sorted(self.loaded.digests.items())
            if (api_version, kind, name) == (store.provider_api_version, reference.kind, reference.name)
            and (reference.namespace or store.meta.namespace or namespace) == namespace
        ]
        return json.dumps([store_manifest(store), store.dialect, objects], sort_keys=True)
