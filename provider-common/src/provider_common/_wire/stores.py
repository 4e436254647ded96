"""`provider.v1.SecretStoreProvider` over the open stores of one provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from provider_proto.provider.v1 import secretstore_pb2 as pb

from provider_common._admission import Admission
from provider_common._stores import OpenStore, OpenStores, Place
from provider_common._wire.calls import Call, once
from provider_common._wire.faulty import carry_out
from provider_common._wire.places import Places
from provider_common._wire.statuses import BugError
from provider_common.catalog import Catalog
from provider_common.context import remaining
from provider_common.errors import (
    AccessDeniedError,
    CredentialsError,
    InvalidRequestError,
    MissingReferenceError,
    NoSecretError,
    PermanentError,
    UnknownNamespaceError,
)
from provider_common.provider import ProviderV2
from provider_common.requests import Find, MetadataPolicy, PushData, PushRemoteRef, RemoteRef

T = TypeVar("T")
_Store = ProviderV2[Any]

_StoreRequest = (
    pb.GetSecretRequest
    | pb.GetSecretMapRequest
    | pb.GetAllSecretsRequest
    | pb.PushSecretRequest
    | pb.DeleteSecretRequest
    | pb.SecretExistsRequest
    | pb.ValidateRequest
    | pb.CapabilitiesRequest
)
Reading = tuple[RemoteRef, Place]
"""What is read, and where."""

_CAPABILITIES = {"ReadOnly": pb.READ_ONLY, "WriteOnly": pb.WRITE_ONLY, "ReadWrite": pb.READ_WRITE}


class SecretStoreServicer:
    """The eight RPCs. Each resolves where it may read, finds or opens the store, and lets the author's code answer."""

    def __init__(self, catalog: Catalog, places: Places, stores: OpenStores, admission: Admission) -> None:
        self._catalog = catalog
        self._places = places
        self._stores = stores
        self._admission = admission

    def reading(
        self, message: type[pb.GetSecretRequest | pb.GetSecretMapRequest]
    ) -> Callable[[bytes], Reading]:
        """How the bytes of such a request are understood: what they mean depends on nothing else."""

        def understand(data: bytes) -> Reading:
            request = message.FromString(data)
            return self._remote_ref(request), self._place(request)

        return once(understand)

    def get_secret(self, reading: Reading, call: Call) -> pb.GetSecretResponse:
        """One value: a whole secret, or a property of it."""
        ref, place = reading
        padding = self._fault(place, "GetSecret", ref.key, call)
        value = self._read(place, ref, _value)
        return pb.GetSecretResponse(value=value.ljust(padding, b"x") if padding else value)

    def get_secret_map(self, reading: Reading, call: Call) -> pb.GetSecretMapResponse:
        """One secret, or a property of it, as a map."""
        ref, place = reading
        padding = self._fault(place, "GetSecretMap", ref.key, call)
        return pb.GetSecretMapResponse(secrets=_padded(self._read(place, ref, _members), padding))

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        """What a find selects."""
        if not request.HasField("find"):
            raise InvalidRequestError("find is required")
        find = Find(
            path=request.find.path,
            name=request.find.name.regexp if request.find.HasField("name") else None,
            tags=dict(request.find.tags),
            conversion_strategy=request.find.conversion_strategy or "None",
        )
        place = self._place(request)
        find.name_matches("")  # a pattern that does not compile never reaches a backend
        padding = self._fault(place, "GetAllSecrets", find.path, call)

        def search(entry: OpenStore) -> Mapping[str, bytes]:
            try:
                return entry.store.get_all_secrets(find)
            except NoSecretError as error:
                # A core would take it for "everything is gone". Never let it out.
                raise BugError(
                    f"{type(entry.store).__name__} ended a find with {type(error).__name__}: "
                    "it has to skip what vanished, and answer an empty map when nothing is found"
                ) from None

        key = ("find", find.path, find.name, tuple(sorted(find.tags.items())), find.conversion_strategy)
        found = self._use(place, lambda entry: entry.reads.get(key, lambda: search(entry), keep=False))
        return pb.GetAllSecretsResponse(secrets=_padded(found, padding))

    def push_secret(self, request: pb.PushSecretRequest, call: Call) -> pb.PushSecretResponse:
        """Write a value, or a whole Secret."""
        if not request.HasField("push_secret_data"):
            raise InvalidRequestError("push_secret_data is required")
        wanted = request.push_secret_data
        if not wanted.remote_key:
            raise InvalidRequestError(
                "push_secret_data.remote_key is required: give remoteRef.remoteKey a name"
            )
        place = self._place(request)
        data = PushData(
            remote_key=wanted.remote_key,
            property=wanted.property,
            secret_key=wanted.secret_key,
            data=dict(request.secret_data),
            type=request.secret_type or "Opaque",
            labels=dict(request.secret_labels),
            annotations=dict(request.secret_annotations),
            metadata=wanted.metadata,
            source_namespace=request.source_namespace,
        )
        self._fault(place, "PushSecret", data.remote_key, call)

        def push(entry: OpenStore) -> None:
            try:
                entry.store.push_secret(data)
            except NoSecretError as error:
                # Only a read may say NOT_FOUND.
                raise MissingReferenceError(error.message, details=error.details) from None

        self._write(place, push)
        return pb.PushSecretResponse()

    def delete_secret(self, request: pb.DeleteSecretRequest, call: Call) -> pb.DeleteSecretResponse:
        """Remove what was written. Absent is fine."""
        ref, place = self._push_ref(request), self._place(request)
        self._fault(place, "DeleteSecret", ref.remote_key, call)

        def delete(entry: OpenStore) -> None:
            try:
                entry.store.delete_secret(ref)
            except NoSecretError:
                return

        self._write(place, delete)
        return pb.DeleteSecretResponse()

    def secret_exists(self, request: pb.SecretExistsRequest, call: Call) -> pb.SecretExistsResponse:
        """Whether the backend has it."""
        ref, place = self._push_ref(request), self._place(request)
        self._fault(place, "SecretExists", ref.remote_key, call)

        def look(entry: OpenStore) -> bool:
            try:
                return entry.store.secret_exists(ref)
            except NoSecretError:
                return False

        return pb.SecretExistsResponse(exists=self._use(place, look))

    def validate(self, request: pb.ValidateRequest, call: Call) -> pb.ValidateResponse:
        """Whether the store can work. One that can't be opened is a status; one whose check fails is an answer."""
        place = self._place(request, validating=True)
        opened = False

        def check(entry: OpenStore) -> pb.ValidateResponse:
            nonlocal opened
            opened = True
            return pb.ValidateResponse(valid=True, warnings=entry.store.validate())

        try:
            self._fault(place, "Validate", place.name, call)
            return self._use(place, check)
        except UnknownNamespaceError as error:
            return pb.ValidateResponse(valid=True, warnings=[f"not checked: {error.message}"])
        except PermanentError as error:
            if not opened or isinstance(error, BugError):
                raise
            return pb.ValidateResponse(valid=False, error=error.message)

    def capabilities(self, request: pb.CapabilitiesRequest, call: Call) -> pb.CapabilitiesResponse:
        """What a kind can do, by its name alone."""
        if not request.HasField("provider_ref"):
            raise InvalidRequestError("provider_ref is required")
        kind = self._catalog.store(request.provider_ref.api_version, request.provider_ref.kind)
        return pb.CapabilitiesResponse(capabilities=_CAPABILITIES[kind.capabilities])

    def _place(self, request: _StoreRequest, *, validating: bool = False) -> Place:
        if not request.HasField("provider_ref"):
            raise InvalidRequestError("provider_ref is required")
        store = request.store if request.store.ByteSize() else None
        return self._places.store(
            request.provider_ref, request.source_namespace, store, validating=validating
        )

    @staticmethod
    def _remote_ref(request: pb.GetSecretRequest | pb.GetSecretMapRequest) -> RemoteRef:
        if not request.HasField("remote_ref"):
            raise InvalidRequestError("remote_ref is required")
        ref = request.remote_ref
        if not ref.key:
            raise InvalidRequestError("remote_ref.key is required: remoteRef has to name a secret")
        policy = ref.metadata_policy or "None"
        if policy not in {"None", "Fetch"}:
            raise InvalidRequestError(f"remote_ref.metadata_policy {policy!r} has to be None or Fetch")
        return RemoteRef(ref.key, ref.version, ref.property, cast("MetadataPolicy", policy))

    @staticmethod
    def _push_ref(request: pb.DeleteSecretRequest | pb.SecretExistsRequest) -> PushRemoteRef:
        if not request.HasField("remote_ref"):
            raise InvalidRequestError("remote_ref is required")
        if not request.remote_ref.remote_key:
            raise InvalidRequestError("remote_ref.remote_key is required: give remoteRef.remoteKey a name")
        return PushRemoteRef(request.remote_ref.remote_key, request.remote_ref.property)

    def _read(self, place: Place, ref: RemoteRef, shape: Callable[[_Store, RemoteRef, bytes], T]) -> T:
        """What `shape` makes of the whole object that `ref` names: from the window when it is there, which waits for
        nothing.
        """
        key = (ref.key, ref.version, ref.metadata_policy)
        entry = self._stores.ready(place)
        if entry is not None:
            try:
                kept = entry.reads.peek(key)
                if kept is not None:
                    return shape(entry.store, ref, kept)
            finally:
                self._stores.release(entry)
        whole = RemoteRef(ref.key, ref.version, "", ref.metadata_policy)

        def read(entry: OpenStore) -> T:
            value = entry.reads.get(key, lambda: entry.store.get_secret(whole))
            return shape(entry.store, ref, value)

        return self._use(place, read)

    def _write(self, place: Place, write: Callable[[OpenStore], None]) -> None:
        def write_and_forget(entry: OpenStore) -> None:
            try:
                write(entry)
            finally:
                # Also after a failure: nobody knows how far it got.
                self._stores.written(entry)

        self._use(place, write_and_forget)

    def _use(self, place: Place, use: Callable[[OpenStore], T]) -> T:
        """Let `use` work with the store of `place`, once more when its credentials turn out to have been replaced."""
        with self._admission.slot(place.family, place.title):
            with self._stores.use(place) as entry:
                remaining()  # what can't end in time is not begun
                try:
                    return use(entry)
                except (CredentialsError, AccessDeniedError):
                    if not self._stores.refused(place, entry):
                        raise
            with self._stores.use(place) as entry:
                remaining()
                return use(entry)

    def _fault(self, place: Place, method: str, key: str, call: Call) -> int:
        """Faults of kinds made for tests. Returns the size to which the answer is to be padded."""
        if not place.kind.faulty:
            return 0
        with self._admission.slot(place.family, place.title), self._stores.use(place) as entry:
            return carry_out(entry.store.fault(method, key), call)  # type: ignore[attr-defined]


def _value(store: _Store, ref: RemoteRef, value: bytes) -> bytes:
    return store.select(ref, value) if ref.property else value


def _members(store: _Store, ref: RemoteRef, value: bytes) -> Mapping[str, bytes]:
    return store.to_map(ref, _value(store, ref, value))


def _padded(values: Mapping[str, bytes], size: int) -> Mapping[str, bytes]:
    return {**values, "padding": b"x" * size} if size else values
