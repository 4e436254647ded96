"""The calls of a core, over gRPC: 30 s for each, our contract version with each, no more retries than the hop itself needs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from provider_proto import CONTRACT_VERSION, CONTRACT_VERSION_KEY, GENERATOR_SERVICE, SECRET_STORE_SERVICE
from provider_proto.generator.v1 import generator_pb2 as gen
from provider_proto.provider.v1 import secretstore_pb2 as pb

from eso_core.api.externalsecret import Find, RemoteRef
from eso_core.client.endpoints import Channels, Endpoints
from eso_core.client.errors import shown, translated
from eso_core.client.requests import (
    find_of,
    generator_context,
    generator_ref,
    provider_ref,
    remote_ref,
    store_context,
)
from eso_core.reconcile.calls import CallError, Made, Verdict, Via

DEADLINE = 30.0
"""Seconds for a call, its retries included."""
_HEALTH_SERVICE = "grpc.health.v1.Health"
_HOP_RETRIES = 2
_OURS = f"{CONTRACT_VERSION[0]}.{CONTRACT_VERSION[1]}"
_CAPABILITIES = {0: "ReadOnly", 1: "WriteOnly", 2: "ReadWrite"}
AnswerT = TypeVar("AnswerT", bound=Message)
Observer = Callable[[str, str, float, CallError | None], None]
"""Is told method, address, seconds and what went wrong, once for each call."""


class GrpcCalls:
    """Calls providers. Safe to use from many threads."""

    def __init__(
        self, endpoints: Endpoints, *, deadline: float = DEADLINE, observer: Observer | None = None
    ) -> None:
        self._endpoints = endpoints
        self._deadline = deadline
        self._observer = observer
        self._channels = Channels()
        self._pause = threading.Event()

    def get_secret(self, via: Via, ref: RemoteRef) -> bytes:
        """One value. Raises AbsentError when the backend has no such secret."""
        request = pb.GetSecretRequest(remote_ref=remote_ref(ref), **_store(via))
        return self._read(via, "GetSecret", request, pb.GetSecretResponse).value

    def get_secret_map(self, via: Via, ref: RemoteRef) -> Mapping[str, bytes]:
        """One secret as a map. Raises AbsentError when the backend has no such secret."""
        request = pb.GetSecretMapRequest(remote_ref=remote_ref(ref), **_store(via))
        return dict(self._read(via, "GetSecretMap", request, pb.GetSecretMapResponse).secrets)

    def get_all_secrets(self, via: Via, find: Find) -> Mapping[str, bytes]:
        """Everything that `find` selects."""
        request = pb.GetAllSecretsRequest(find=find_of(find), **_store(via))
        return dict(self._read(via, "GetAllSecrets", request, pb.GetAllSecretsResponse).secrets)

    def validate(self, via: Via) -> Verdict:
        """Whether the store can be used, and what it can do."""
        answer = self._read(via, "Validate", pb.ValidateRequest(**_store(via)), pb.ValidateResponse)
        capabilities = ""
        if answer.valid:
            request = pb.CapabilitiesRequest(**_store(via))
            told = self._read(via, "Capabilities", request, pb.CapabilitiesResponse).capabilities
            capabilities = _CAPABILITIES.get(told, "")
        return Verdict(answer.valid, shown(answer.error), tuple(map(shown, answer.warnings)), capabilities)

    def check_health(self, via: Via) -> None:
        """Return when the provider serves."""
        request = health_pb2.HealthCheckRequest()
        answer = self._call(
            via, _HEALTH_SERVICE, "Check", request, health_pb2.HealthCheckResponse, retries=_HOP_RETRIES
        )
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise CallError(
                f"the provider at {via.address} is not serving", code="UNAVAILABLE", retryable=True
            )

    def generate(self, via: Via) -> Made:
        """New values. Never tried again: what was made and not answered could not be cleaned up."""
        request = gen.GenerateRequest(
            generator_ref=generator_ref(via),
            source_namespace=via.source_namespace,
            generator=generator_context(via.store),
        )
        answer = self._call(via, GENERATOR_SERVICE, "Generate", request, gen.GenerateResponse, retries=0)
        return Made(dict(answer.secrets), answer.state)

    def cleanup(self, via: Via, state: bytes) -> None:
        """Remove what `generate` left behind."""
        request = gen.CleanupRequest(
            generator_ref=generator_ref(via),
            state=state,
            source_namespace=via.source_namespace,
            generator=generator_context(via.store),
        )
        self._call(via, GENERATOR_SERVICE, "Cleanup", request, gen.CleanupResponse, retries=_HOP_RETRIES)

    def close(self) -> None:
        """Close the connections; calls under way fail."""
        self._pause.set()
        self._channels.close()

    def _read(self, via: Via, method: str, request: Message, answer: type[AnswerT]) -> AnswerT:
        return self._call(via, SECRET_STORE_SERVICE, method, request, answer, retries=_HOP_RETRIES)

    def _call(
        self, via: Via, service: str, method: str, request: Message, answer: type[AnswerT], *, retries: int
    ) -> AnswerT:
        started = time.monotonic()
        problem: CallError | None = None
        try:
            return self._attempts(via, f"/{service}/{method}", request, answer, retries)
        except CallError as error:
            problem = error
            raise
        finally:
            if self._observer is not None:
                self._observer(method, via.address, time.monotonic() - started, problem)

    def _attempts(
        self, via: Via, path: str, request: Message, answer: type[AnswerT], retries: int
    ) -> AnswerT:
        """One call, tried again while the connection (and not the provider) is what fails."""
        method = path.rpartition("/")[2]
        ends = time.monotonic() + self._deadline
        for attempt in range(retries + 1):
            channel = self._channels.get(self._endpoints.endpoint(via.store))
            stub = channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
            try:
                response, call = stub.with_call(
                    request,
                    timeout=max(0.0, ends - time.monotonic()),
                    metadata=((CONTRACT_VERSION_KEY, _OURS),),
                )
            except grpc.RpcError as error:
                # 100 ms, 200 ms, each up to a quarter longer, so that callers that failed together don't return together.
                pause = 0.1 * 2**attempt * random.uniform(1.0, 1.25)  # noqa: S311 - spreads load, hides nothing
                last = attempt == retries or time.monotonic() + pause >= ends
                if last or not _is_hop(error):
                    raise translated(error, method, via.address) from None
                self._pause.wait(pause)
                continue
            except ValueError:
                raise CallError("the core is shutting down", code="CANCELLED", retryable=True) from None
            _refuse_other_major(call.trailing_metadata() or (), via.address)
            return response
        raise AssertionError("the last attempt returns or raises")


def _store(via: Via) -> dict[str, Any]:
    return {
        "provider_ref": provider_ref(via),
        "source_namespace": via.source_namespace,
        "store": store_context(via.store),
    }


def _is_hop(error: Any) -> bool:
    """True when the connection failed, not the provider: nobody explained the status."""
    metadata = error.trailing_metadata() or ()
    explained = any(key in {"grpc-status-details-bin", CONTRACT_VERSION_KEY} for key, _ in metadata)
    return error.code() is grpc.StatusCode.UNAVAILABLE and not explained


def _refuse_other_major(metadata: Any, address: str) -> None:
    """A provider of another major version may mean something else by the same answer."""
    theirs = next((value for key, value in metadata if key == CONTRACT_VERSION_KEY), None)
    if theirs is None:
        return
    major = str(theirs).partition(".")[0]
    if major != str(CONTRACT_VERSION[0]):
        older = major.isdigit() and int(major) < CONTRACT_VERSION[0]
        raise CallError(
            f"the provider at {address} speaks version {shown(str(theirs))[:20]} of the contract and this core {_OURS}: upgrade "
            f"the {'provider' if older else 'core'}",
            code="CONTRACT_VERSION",
        )
