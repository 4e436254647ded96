"""Faults of deadlines, of tenants, and of calls at the same time. Each fails every time: a race is held open, not hoped for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from google.protobuf.message import Message
from provider_proto.provider.v1 import secretstore_pb2 as pb

from .fault import caught_by
from .right import Backend, Call, Code, Refusal, Right
from .served import Served


@caught_by(
    "deadlines.frees-server",
    "deadlines.cancel-frees-server",
    "deadlines.health-while-hanging",
    "deadlines.other-store-while-hanging",
)
class IgnoresDeadlines(Right):
    """A call that hangs keeps the one connection to the backend, whether or not its caller still waits."""

    def __init__(self) -> None:
        super().__init__()
        self.free_at = 0.0

    HELD: ClassVar[float] = 7.0
    """Longer than half of HANG_SECONDS, which is the time that the suite gives a slow machine."""

    def hang(self, call: Call) -> None:
        self.free_at = max(self.free_at, time.monotonic() + self.HELD)
        time.sleep(self.HELD)
        super().hang(call)

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        while time.monotonic() < self.free_at:
            time.sleep(0.02)
        return super().fetch(backend, key, version)


@caught_by("deadlines.answers-in-time", "map.missing-key", target={"call_timeout": 2.0})
class RetriesAbsence(Right):
    """A map that is not there is looked for again and again, until the caller gives up."""

    def get_secret_map(self, request: pb.GetSecretMapRequest, call: Call) -> pb.GetSecretMapResponse:
        try:
            return super().get_secret_map(request, call)
        except Refusal as refusal:
            if refusal.name == "NO_SECRET":
                call.wait(20)
            raise


@caught_by("deadlines.short-deadline", "deadlines.cancelled-calls")
class LeavesABrokenConnection(Right):
    """A call that is over leaves its connection to the backend broken, and the next call gets that connection."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def misbehave(self, key: str, call: Call) -> None:
        super().misbehave(key, call)
        call.wait(0.01)
        if call.over.is_set():
            self.broken = True
        elif self.broken:
            self.broken = False
            raise Refusal(Code.UNAVAILABLE, "TEMPORARY", "connection reset by the backend")


class FewThreads(Served):
    """A server with fewer threads than callers."""

    THREADS: ClassVar[int] = 32


@caught_by("deadlines.health-while-hanging", "deadlines.other-store-while-hanging")
class BoundsNothing(Right):
    """Calls that hang may take all threads of the server."""

    SERVED = FewThreads

    def admit(self, request: Message) -> tuple[str, str] | None:
        return None


@caught_by("deadlines.other-store-while-hanging")
class BoundsAllStoresAsOne(Right):
    """Calls under way are bounded for all stores together."""

    def admit(self, request: Message) -> tuple[str, str] | None:
        ref = getattr(request, "provider_ref", None)
        if ref is not None:
            ref = pb.ProviderReference.FromString(ref.SerializeToString())
            ref.namespace, ref.name = "every", "store"
            if request.DESCRIPTOR.name != "CapabilitiesRequest":
                return super().admit(pb.ValidateRequest(provider_ref=ref))
        return None


@caught_by("deadlines.flood")
class BreaksUnderLoad(Right):
    """The 300th question for capabilities in a row, with nothing else between, is a defect."""

    def __init__(self) -> None:
        super().__init__()
        self.in_a_row = 0

    def parse(self, method: str, payload: bytes) -> Message:
        with self.lock:
            self.in_a_row = self.in_a_row % 300 + 1 if method == "Capabilities" else 0
            if self.in_a_row == 300:
                raise BlockingIOError("queue")
        return super().parse(method, payload)


# Tenants


@caught_by("tenants.same-key", "tenants.concurrent", "tenants.write-stays", "tenants.delete-stays")
class NamesAreEnough(Right):
    """Stores of the same name in two namespaces share a backend."""

    def backend_key(self, namespace: str, name: str) -> tuple[str, str]:
        return "team-a", name


@caught_by("tenants.concurrent")
class MixesTenants(Right):
    """The backend of a call is kept in an object that all calls share."""

    def __init__(self) -> None:
        super().__init__()
        self.current: Backend = Backend()

    def get_secret(self, request: pb.GetSecretRequest, call: Call) -> pb.GetSecretResponse:
        if request.source_namespace in {"team-a", "team-b"}:
            self.current = self.open(request)
            call.wait(0.004)
        return super().get_secret(request, call)

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        shared = self.backends["team-a", "main"], self.backends["team-b", "main"]
        return super().fetch(self.current if backend in shared else backend, key, version)


# Calls at the same time


class Merged(Right):
    """A provider that merges reads at the same time, by too little of what they ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Lock()
        self.under_way: dict[Any, bytes | Refusal] = {}

    def merges(self, backend: Backend, key: str) -> Any:
        """By what calls are merged; None: not at all."""
        raise NotImplementedError

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        by = self.merges(backend, key)
        if by is None:
            return super().fetch(backend, key, version)
        with self.gate:
            first = by not in self.under_way
            if first:
                try:
                    self.under_way[by] = super().fetch(backend, key, version)
                except Refusal as refusal:
                    self.under_way[by] = refusal
            found = self.under_way[by]
        if first:
            threading.Event().wait(0.003)
            with self.gate:
                del self.under_way[by]
        if isinstance(found, Refusal):
            raise found
        return found


@caught_by("concurrency.parallel-reads", "concurrency.parallel-absent")
class MergesByStore(Merged):
    """Reads at the same time are merged by their store."""

    def merges(self, backend: Backend, key: str) -> Any:
        return id(backend)


@caught_by("concurrency.parallel-absent")
class SharesErrors(Merged):
    """One absent key makes the reads at the same time fail, too."""

    def merges(self, backend: Backend, key: str) -> Any:
        return "absence" if key not in backend.secrets or self.under_way else None


class LooseBackend(Backend):
    """A backend whose writes take a while, without a lock."""

    def write(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        from .right import Secret

        found = self.secrets.get(key)
        before = found.versions[-1] if found is not None and found.versions else None
        threading.Event().wait(0.02)
        after = change(before)
        self.secrets[key] = Secret([*(found.versions if found else []), after], found.tags if found else {})


class LooseListBackend(LooseBackend):
    """The same, and all secrets are in one document."""

    def write(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        before = dict(self.secrets)
        super().write(key, change)
        self.secrets = before | {key: self.secrets[key]}


@caught_by("concurrency.parallel-writes", "concurrency.parallel-properties")
class LosesWrites(Right):
    """All secrets are one document, which is read, changed and written without a lock."""

    def backend_key(self, namespace: str, name: str) -> tuple[str, str]:
        found = self.backends[namespace, name]
        if type(found) is Backend:
            found.__class__ = LooseListBackend
        return namespace, name


@caught_by("concurrency.read-while-writing")
class DeletesBeforeItWrites(Right):
    """An update is a delete and a create, with a moment between."""

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        found = None if path or self.stored_key(key) != key else backend.secrets.pop(key, None)
        if found is not None:
            threading.Event().wait(0.01)
            backend.secrets[key] = found
        super().store(backend, key, path, value)
