"""Fetches and makes everything an ExternalSecret asks for: `dataFrom` in order, then `data`, later keys over earlier ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from provider_common.errors import InvalidSpecError, ProviderError
from provider_common.values import decode_json

from eso_core.api.externalsecret import Data, DataFrom, ExternalSecret, Find, RemoteRef, StoreRef
from eso_core.api.stores import Store
from eso_core.reconcile.calls import AbsentError, CallError, Calls, Made, Via
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.rewrite import rewrite
from eso_core.reconcile.routing import Settings, find_generator, find_store, is_ours, permit, way
from eso_core.reconcile.values import checked_keys, convert, decode, decode_map, refuse_null_bytes
from eso_core.reconcile.world import World


@dataclass(frozen=True, slots=True)
class MadeState:
    """A state that a generator returned, and which entry made it. Until it is stored, nobody else knows how to clean up."""

    key: str
    """Index of the `dataFrom` entry, as text."""
    via: Via
    state: bytes = field(repr=False)


@dataclass(slots=True)
class Gathered:
    """What was fetched so far. It is filled step by step, so that a failure can undo what was made until then."""

    data: dict[str, bytes] = field(default_factory=dict, repr=False)
    states: list[MadeState] = field(default_factory=list, repr=False)
    missing: list[str] = field(default_factory=list)
    """A text for each entry that the backend does not have."""


def is_document(state: bytes) -> bool:
    """Whether a generator's state is what the contract asks for, and can be kept."""
    try:
        decode_json(state, what="the state")
    except ProviderError:
        return False
    return True


def stores_of(external_secret: ExternalSecret, world: World) -> list[Store]:
    """Every store and generator referred to that is there. References that lead nowhere are left out: they fail later."""
    spec, namespace = external_secret.spec, external_secret.meta.namespace
    found: list[Store] = []
    references: list[StoreRef | None] = [
        entry.source_ref.store_ref if entry.source_ref else None for entry in spec.data
    ]
    for entry in spec.data_from:
        source = entry.source_ref
        if source is not None and source.generator_ref is not None:
            try:
                found.append(find_generator(source.generator_ref, namespace, world))
            except (SyncError, InvalidSpecError):
                continue
        else:
            references.append(source.store_ref if source else None)
    for reference in {ref or spec.secret_store_ref: None for ref in references}:
        if reference is not None:
            try:
                found.append(find_store(reference, namespace, world))
            except (SyncError, InvalidSpecError):
                continue
    return found


def _asked(entry: DataFrom) -> str:
    if entry.extract is not None:
        return ".extract"
    return ".find" if entry.find is not None else ".sourceRef.generatorRef"


class Gatherer:
    """Gathers for one ExternalSecret."""

    def __init__(
        self, external_secret: ExternalSecret, world: World, calls: Calls, settings: Settings
    ) -> None:
        self._spec = external_secret.spec
        self._namespace = external_secret.meta.namespace
        self._world = world
        self._calls = calls
        self._settings = settings
        self._permitted: set[int] = set()

    def gather(self, into: Gathered) -> None:
        """Fill `into`. Raises SyncError naming the entry."""
        for index, entry in enumerate(self._spec.data_from):
            with self._entry(f"spec.dataFrom[{index}]", into, asked=_asked(entry)):
                into.data.update(self._from(entry, index, into))
        for index, item in enumerate(self._spec.data):
            with self._entry(f"spec.data[{index}] (key {item.remote_ref.key!r})", into):
                into.data.update(self._one(item))

    @contextmanager
    def _entry(self, place: str, into: Gathered, *, asked: str = "") -> Iterator[None]:
        """Name the entry in what goes wrong, and which part of it a provider was asked for. A secret that the backend does not
        have fails the sync only if it is to be retained.
        """
        try:
            yield
        except AbsentError as error:
            if self._spec.target.deletion_policy == "Retain":
                raise SyncError(f"{place}{asked}: {error.message}", retry_after=error.retry_after) from None
            into.missing.append(f"{place}{asked}: {error.message}")
        except CallError as error:
            raise SyncError(f"{place}{asked}: {error.message}", retry_after=error.retry_after) from None
        except SyncError as error:
            raise error.at(place) from None

    def _via(self, reference: StoreRef | None, field_name: str) -> Via:
        if reference is None:
            reference, field_name = self._spec.secret_store_ref, "secretStoreRef"
        if reference is None:
            raise SyncError("names no store: give secretStoreRef or sourceRef.storeRef", retry=False)
        try:
            return self._way(find_store(reference, self._namespace, self._world))
        except SyncError as error:
            raise error.at(field_name) from None

    def _way(self, store: Store) -> Via:
        if not is_ours(store, self._settings):
            raise SyncError(
                f"{store.where} belongs to controller class {store.spec.controller!r}, not to "
                f"{self._settings.controller_class!r}"
            )
        if id(store) not in self._permitted:
            permit(store, self._namespace, self._world)
            self._permitted.add(id(store))
        return way(store, self._namespace, self._settings)

    def _one(self, entry: Data) -> Mapping[str, bytes]:
        via = self._via(entry.source_ref.store_ref if entry.source_ref else None, "sourceRef.storeRef")
        ref = entry.remote_ref
        data = {entry.secret_key: decode(ref.decoding_strategy, self._calls.get_secret(via, ref))}
        refuse_null_bytes(ref.null_byte_policy, data)
        return data

    def _from(self, entry: DataFrom, index: int, into: Gathered) -> Mapping[str, bytes]:
        source = entry.source_ref
        if source is not None and source.generator_ref is not None:
            try:
                via = self._way(find_generator(source.generator_ref, self._namespace, self._world))
            except SyncError as error:
                raise error.at("sourceRef.generatorRef") from None
            made: Made = self._calls.generate(via)
            if made.state:
                into.states.append(MadeState(str(index), via, made.state))
                if not is_document(made.state):
                    raise SyncError(
                        "sourceRef.generatorRef: the state that the generator returned is no JSON document, so what it made could "
                        "not be cleaned up later: report it to whoever maintains the provider",
                        retry=False,
                    )
            return checked_keys(rewrite(entry.rewrite, made.data))
        via = self._via(source.store_ref if source else None, "sourceRef.storeRef")
        options: RemoteRef | Find
        if entry.extract is not None:
            options, data = entry.extract, self._calls.get_secret_map(via, entry.extract)
        else:
            assert entry.find is not None
            options, data = entry.find, self._calls.get_all_secrets(via, entry.find)
        # Without rewrite, keys are converted; with it, it sees them as they are and answers for them.
        if entry.rewrite:
            correct = "correct rewrite, or remove it so that conversionStrategy applies"
            named = checked_keys(rewrite(entry.rewrite, data), instead=correct)
        else:
            named = checked_keys(convert(options.conversion_strategy, data))
        decoded = decode_map(options.decoding_strategy, named)
        refuse_null_bytes(options.null_byte_policy, decoded)
        return decoded
