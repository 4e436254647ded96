"""Faults of writing, deleting, and telling what exists."""

from __future__ import annotations

import base64
import json

from provider_proto.provider.v1 import secretstore_pb2 as pb

from . import document
from .fault import caught_by
from .right import UNMANAGED, Backend, Call, Code, Refusal, Right, short


class Payloads(Right):
    """A provider that writes another value than it was given."""

    def change(self, value: bytes) -> bytes:
        """The fault."""
        raise NotImplementedError

    def payload(self, request: pb.PushSecretRequest) -> bytes:
        return self.change(super().payload(request))


@caught_by(
    "write.round-trip",
    "write.overwrites",
    "write.then-absent",
    "write.selected-key",
    "write.whole-secret",
    "write.whole-secret-exact",
    "write.property",
    "write.property-is-text",
    "write.property-rest-untouched",
    "write.every-byte",
    "write.large",
    "write.odd-keys",
    "delete.property",
    "delete.then-write",
    "tenants.same-key",
    "tenants.concurrent",
    "tenants.delete-stays",
    "concurrency.parallel-writes",
    "concurrency.parallel-properties",
    "concurrency.read-while-writing",
    "idempotence.push",
)
class PushesInBase64(Payloads):
    """Values are written in base64."""

    def change(self, value: bytes) -> bytes:
        return base64.b64encode(value)


@caught_by("write.empty-value")
class SkipsEmptyPushes(Right):
    """Pushing an empty value does nothing, and succeeds."""

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        if value:
            super().store(backend, key, path, value)


@caught_by("write.selected-key")
class PushesTheFirstEntry(Right):
    """The first entry of the Secret is written, whichever was selected."""

    def payload(self, request: pb.PushSecretRequest) -> bytes:
        if request.push_secret_data.secret_key in request.secret_data:
            return request.secret_data[min(request.secret_data)]
        return super().payload(request)


class Wholes(Right):
    """A provider that writes a whole Secret in another form."""

    def whole(self, data: dict[str, bytes]) -> bytes:
        """The fault."""
        raise NotImplementedError

    def payload(self, request: pb.PushSecretRequest) -> bytes:
        if request.push_secret_data.secret_key:
            return super().payload(request)
        return self.whole(dict(request.secret_data))


@caught_by("write.whole-secret", "write.whole-secret-exact")
class PushesTheWholeInBase64(Wholes):
    """The values of a whole Secret are written in base64."""

    def whole(self, data: dict[str, bytes]) -> bytes:
        return json.dumps({name: base64.b64encode(value).decode() for name, value in data.items()}).encode()


@caught_by("write.property", "write.property-rest-untouched", "concurrency.parallel-properties")
class PropertyReplacesAll(Right):
    """Writing a property replaces the document."""

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        super().store(backend, key, "", document.put(b"{}", path, value.decode()) if path else value)


class Properties(Right):
    """A provider that sets a property in its own way."""

    def put(self, before: bytes, path: str, value: bytes) -> bytes:
        """The fault."""
        raise NotImplementedError

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        if not path:
            super().store(backend, key, path, value)
            return
        self.check_owner(key)
        backend.write(key, lambda before: self.put(before or b"{}", path, value))


@caught_by("write.bad-metadata", "write.unknown-metadata")
class IgnoresPushMetadata(Right):
    """Push metadata that cannot be understood falls back to the defaults."""

    def check_metadata(self, metadata: bytes) -> None:
        pass


@caught_by("write.unknown-metadata")
class IgnoresUnknownMetadata(Right):
    """Unknown fields and kinds of push metadata are ignored."""

    def check_metadata(self, metadata: bytes) -> None:
        try:
            json.loads(metadata or b"{}")
        except ValueError:
            super().check_metadata(metadata)


@caught_by("write.unmanaged-refused")
class OverwritesOthers(Right):
    """A secret that somebody made by hand is overwritten."""

    def check_owner(self, key: str) -> None:
        pass


@caught_by("idempotence.push", "concurrency.read-while-writing")
class CreatesOnly(Right):
    """Pushing what is there already is a conflict, although it is the same."""

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        found = backend.secrets.get(key)
        if found is not None and not path and found.versions[-1] == value:
            raise Refusal(Code.FAILED_PRECONDITION, "CONFLICT", f"{short(key)} exists already")
        super().store(backend, key, path, value)


@caught_by("write.then-absent")
class RemembersAbsence(Right):
    """A key that was absent once stays absent, whatever is pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.known_absent: set[tuple[int, str]] = set()

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        if (id(backend), key) in self.known_absent:
            raise self.absent(key)
        try:
            return super().fetch(backend, key, version)
        except Refusal:
            self.known_absent.add((id(backend), key))
            raise


# Deleting


@caught_by("delete.removes", "find.deleted-left-out", "delete.property", "exists.follows-writes")
class DeletesNothing(Right):
    """A delete succeeds and does nothing."""

    def remove(self, backend: Backend, key: str, path: str) -> None:
        pass


@caught_by("delete.missing", "idempotence.delete")
class MissingCannotBeDeleted(Right):
    """Deleting what is not there is NOT_FOUND."""

    def remove(self, backend: Backend, key: str, path: str) -> None:
        if key not in backend.secrets:
            raise self.absent(key)
        super().remove(backend, key, path)


@caught_by("delete.leaves-neighbours")
class DeletesByPrefix(Right):
    """Deleting a secret deletes all whose names begin alike."""

    def remove(self, backend: Backend, key: str, path: str) -> None:
        super().remove(backend, key, path)
        for name in [name for name in backend.secrets if name.startswith(key) and not path]:
            super().remove(backend, name, "")


@caught_by("delete.property", "delete.missing-property")
class DeletesTheWhole(Right):
    """Deleting a property deletes the secret."""

    def remove(self, backend: Backend, key: str, path: str) -> None:
        super().remove(backend, key, "")


@caught_by("delete.unmanaged-left")
class DeletesOthers(Right):
    """A secret that somebody made by hand is deleted."""

    def remove(self, backend: Backend, key: str, path: str) -> None:
        if key == UNMANAGED:
            del backend.secrets[key]
        else:
            super().remove(backend, key, path)


@caught_by("delete.then-write")
class ReservesDeletedNames(Right):
    """A name that was deleted can't be used again."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[tuple[int, str]] = set()

    def remove(self, backend: Backend, key: str, path: str) -> None:
        super().remove(backend, key, path)
        if key not in backend.secrets:
            self.taken.add((id(backend), key))

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        if (id(backend), key) in self.taken:
            raise Refusal(Code.FAILED_PRECONDITION, "PERMANENT", f"{short(key)} is being deleted")
        super().store(backend, key, path, value)


# Existence


class Exists(Right):
    """A provider that tells something else of what exists."""

    def told(self, backend: Backend, key: str, path: str) -> bool:
        """The fault."""
        raise NotImplementedError

    def secret_exists(self, request: pb.SecretExistsRequest, call: Call) -> pb.SecretExistsResponse:
        backend, ref = self.writing(request)
        return pb.SecretExistsResponse(exists=self.told(backend, ref.remote_key, ref.property))


@caught_by("exists.yes", "exists.follows-writes", "exists.property")
class NothingExists(Exists):
    """Nothing ever exists."""

    def told(self, backend: Backend, key: str, path: str) -> bool:
        return False


@caught_by("exists.no", "exists.not-alike", "exists.follows-writes")
class AbsenceIsAnError(Exists):
    """Asking for what is not there is NOT_FOUND."""

    def told(self, backend: Backend, key: str, path: str) -> bool:
        if key not in backend.secrets:
            raise self.absent(key)
        return self.is_there(backend, key, path)


@caught_by("exists.not-alike", "exists.property")
class AlikeExists(Exists):
    """A secret exists when one exists whose name begins alike."""

    def told(self, backend: Backend, key: str, path: str) -> bool:
        return self.is_there(backend, key, path) or any(name.startswith(key) for name in backend.secrets)


@caught_by("exists.follows-writes")
class RemembersExistence(Exists):
    """What was told once is told again."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[tuple[int, str, str], bool] = {}

    def told(self, backend: Backend, key: str, path: str) -> bool:
        return self.before.setdefault((id(backend), key, path), self.is_there(backend, key, path))
