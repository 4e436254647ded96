"""`Vault`: secrets of a KV engine, read, found, pushed and deleted.

What is pushed is marked `managed-by: external-secrets`; a secret without the mark is never changed or removed. A push that
would change nothing writes nothing, and what was not asked for stays: other properties, other custom metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self

from provider_common import (
    ConflictError,
    Context,
    Find,
    InvalidRequestError,
    MissingReferenceError,
    NoPropertyError,
    NoSecretError,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
)
from provider_common.values import to_map_decoded

from provider_vault._client import VaultClient
from provider_vault._connection import Connection
from provider_vault._errors import ChangedMeanwhileError, quoted
from provider_vault._kv import KeyValue, Metadata, Place, Read
from provider_vault._values import compact, parse_object, present, same, select, text_of
from provider_vault.spec import VaultSpec

OWNER_KEY = "managed-by"
OWNER = "external-secrets"
V1_METADATA = "custom_metadata"
"""KV v1 has no metadata, so the mark is an entry of the data."""
WRITE_TRIES = 4
FIND_THREADS = 8


class VaultStore(ProviderV2[VaultSpec]):
    """One KV engine opened with one identity."""

    def __init__(self, ctx: Context[VaultSpec], vault: VaultClient, kv: KeyValue) -> None:
        self._ctx = ctx
        self._vault = vault
        self._kv = kv
        check_and_set = ctx.spec.check_and_set
        self._strict = check_and_set is not None and check_and_set.required

    @classmethod
    def open(cls, ctx: Context[VaultSpec]) -> Self:
        """Read the credentials. Vault is asked at the first call."""
        spec = ctx.spec
        vault = Connection.read(ctx.auth, spec).client(ctx)
        return cls(ctx, vault, KeyValue(vault, path=spec.mount, version=spec.version))

    # -- reading -------------------------------------------------------------------------------------------------------

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The secret's entries as a JSON object with sorted keys; with Fetch, its metadata."""
        place = self._kv.place(ref.key)
        if ref.metadata_policy == "Fetch":
            return compact(self._metadata_of(ref.key, place).texts())
        found = self._kv.read(place, version=ref.version)
        if found is None or found.data is None:
            raise NoSecretError(ref.key, version=ref.version)
        return compact(found.data)

    def select(self, ref: RemoteRef, value: bytes) -> bytes:
        """An entry by its exact name, else a gjson path."""
        found = select(value, ref.property)
        if found is None:
            raise NoPropertyError(ref.key, ref.property)
        return found

    def to_map(self, ref: RemoteRef, value: bytes) -> Mapping[str, bytes]:
        """The members of the secret, or of the object that the property selects."""
        return to_map_decoded(value, what=quoted(ref.key))

    def _metadata_of(self, key: str, place: Place) -> Metadata:
        if self._kv.version == "v1":
            raise InvalidRequestError(
                f"KV v1 has no metadata (asked for {quoted(key)}): remove metadataPolicy: Fetch"
            )
        found = self._kv.metadata(place)
        if found is None:
            raise MissingReferenceError(f"Secret {quoted(key)} has no metadata")
        return found

    # -- finding -------------------------------------------------------------------------------------------------------

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Secrets below `find.path`, named by their path on the mount. `name` is searched in that path; without a name,
        `tags` have to equal entries of the metadata (KV v2).
        """
        by_tags = find.name is None and bool(find.tags)
        if by_tags and self._kv.version == "v1":
            raise InvalidRequestError("KV v1 has no metadata, so find.tags can't be used: find by name")
        places = (p for p in self._walk(self._kv.folder(find.path)) if find.name_matches(p.name))
        return dict(self._read_all(places, find.tags if by_tags else {}))

    def _walk(self, folder: Place) -> Iterator[Place]:
        folders = [folder]
        while folders:
            here = folders.pop()
            for name in self._kv.names(here):
                below = Place(here.mount, f"{here.name}/{name}".strip("/"), here.verified)
                if name.endswith("/"):
                    folders.append(below)
                else:
                    yield below

    def _read_all(self, places: Iterator[Place], tags: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        def fetch(place: Place) -> tuple[str, bytes] | None:
            if tags:
                metadata = self._kv.metadata(place)
                if metadata is None or not tags.items() <= metadata.texts().items():
                    return None
            found = self._kv.read(place)  # None: gone since it was listed
            return None if found is None or found.data is None else (place.name, compact(found.data))

        for found in _concurrently(fetch, places):
            if found is not None:
                yield found

    # -- writing -------------------------------------------------------------------------------------------------------

    def push_secret(self, data: PushData) -> None:
        """Write one property, or the whole secret (then the value has to be a JSON object)."""
        place = self._kv.place(data.remote_key)
        value = data.value()
        if data.property:
            text = text_of(value, what=data.property)
        else:
            entries = parse_object(value, what="The value to push without a property")
        if self._kv.version == "v1" and data.property == V1_METADATA:
            raise InvalidRequestError(
                f"Property {V1_METADATA!r} of a KV v1 secret is the mark of who owns it: choose another name"
            )

        def changed(old: Mapping[str, Any]) -> Mapping[str, Any]:
            if not data.property:
                return entries
            if not isinstance(old.get(data.property, ""), str):
                raise ConflictError(
                    f"Property {quoted(data.property)} of {quoted(data.remote_key)} is not a text, and is not replaced by one"
                )
            return {**old, data.property: text}

        change = self._change_v1 if self._kv.version == "v1" else self._change_v2
        self._writing(place, lambda: change(data.remote_key, place, changed))

    def _writing(self, place: Place, write: Callable[[], None]) -> None:
        with self._ctx.changing(place.shown):
            for tries_left in reversed(range(WRITE_TRIES)):
                try:
                    write()
                except ChangedMeanwhileError:
                    # Read again and decide anew, unless the spec wants to hear of it.
                    if self._strict or not tries_left:
                        raise
                else:
                    return

    def _change_v2(
        self, key: str, place: Place, changed: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        found = self._kv.read(place)
        metadata = self._kv.metadata(place)
        if metadata is not None and metadata.current_version:
            _check_owner(key, metadata.custom)
        old = found.data if found is not None else None
        new = changed(old or {})
        if old is not None and same(new, old):
            return
        custom = metadata.custom if metadata is not None else {}
        if custom.get(OWNER_KEY) != OWNER:
            self._kv.write_metadata(place, {**custom, OWNER_KEY: OWNER})
        self._write_v2(place, new, over=found, call="WriteSecretData")

    def _write_v2(self, place: Place, data: Mapping[str, Any], *, over: Read | None, call: str) -> None:
        # Always compared and set, with the version that was read: one that appeared since may be another owner's, or hold
        # a property that this write would lose.
        try:
            self._kv.write(place, data, cas=over.version if over is not None else 0, call=call)
        except ChangedMeanwhileError:
            # Perhaps by us: the answer to a first try was lost, and Vault had carried it out.
            found = self._kv.read(place)
            if found is None or found.data is None or not same(found.data, data):
                raise

    def _change_v1(
        self, key: str, place: Place, changed: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        found = self._kv.read(place)
        old, mark = _split_v1(found.data if found is not None else None)
        if old is not None:
            _check_owner(key, mark)
        new = {name: value for name, value in changed(old or {}).items() if name != V1_METADATA}
        if old is not None and same(new, old):
            return
        self._kv.write(place, {**new, V1_METADATA: {**mark, OWNER_KEY: OWNER}})

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Remove a property, and the secret with its last one; without a property, the secret with all versions."""
        place = self._kv.place(ref.remote_key)
        self._writing(place, lambda: self._delete(ref, place))

    def _delete(self, ref: PushRemoteRef, place: Place) -> None:
        found = self._kv.read(place)
        if found is None or found.data is None:
            return
        if self._kv.version == "v1":
            old, mark = _split_v1(found.data)
        else:
            metadata = self._kv.metadata(place)
            old, mark = found.data, metadata.custom if metadata is not None else {}
        if mark.get(OWNER_KEY) != OWNER:
            return
        rest = {name: value for name, value in (old or {}).items() if name != ref.property}
        if ref.property and rest:
            if rest == old:
                return
            # Counted as a deletion, which is what the user asked for; dashboards know it so.
            if self._kv.version == "v1":
                self._kv.write(place, {**rest, V1_METADATA: mark}, call="DeleteSecret")
            else:
                self._write_v2(place, rest, over=found, call="DeleteSecret")
            return
        self._kv.delete(place)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when the secret, and the property if one is given, is there and not null."""
        found = self._kv.read(self._kv.place(ref.remote_key))
        if found is None or found.data is None:
            return False
        return not ref.property or present(found.data, ref.property)

    # ------------------------------------------------------------------------------------------------------------------

    def validate(self) -> Sequence[str]:
        """Check the token, unless its life is known and not over, and the mount, once."""
        self._vault.check_token()
        if not self._vault.logs_in:
            return ()
        warning = self._kv.check_mount()
        return (warning,) if warning else ()

    def close(self) -> None:
        """Let go of the token and the connections."""
        self._vault.close()


def _check_owner(key: str, mark: Mapping[str, Any]) -> None:
    if mark.get(OWNER_KEY) != OWNER:
        raise ConflictError(
            f"Secret {quoted(key)} was not made by External Secrets: it is left as it is. To hand it over, set its custom"
            f" metadata {OWNER_KEY}={OWNER}"
        )


def _split_v1(data: Mapping[str, Any] | None) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    if data is None:
        return None, {}
    mark = data.get(V1_METADATA)
    rest = {name: value for name, value in data.items() if name != V1_METADATA}
    return rest, mark if isinstance(mark, Mapping) else {}


def _concurrently(
    fetch: Callable[[Place], tuple[str, bytes] | None], places: Iterator[Place]
) -> Iterator[tuple[str, bytes] | None]:
    """`fetch` of each place, a few at a time; each in the caller's context, so that it sees the call's deadline."""
    with ThreadPoolExecutor(FIND_THREADS, thread_name_prefix="vault-find") as pool:
        waiting = []
        try:
            for place in places:
                waiting.append(pool.submit(copy_context().run, fetch, place))
                if len(waiting) >= 2 * FIND_THREADS:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
