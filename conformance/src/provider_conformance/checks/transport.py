"""Transport: pings, health, reflection, and the sizes that have to pass."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

from provider_conformance.client import MAX_MESSAGE, Client, Code, path_of
from provider_conformance.judge import ServerJudge, StoreJudge
from provider_conformance.registry import check
from provider_conformance.run import IDLE_CHECK
from provider_conformance.seed import Item
from provider_conformance.session import HEALTH, health_request
from provider_conformance.verdict import Failed, NotRun

MIB = 1 << 20
_REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


@check(IDLE_CHECK, area="transport", profile="core", role="server", contract=("TR-1", "TR-2"), slow=True)
def idle_connection(judge: ServerJudge) -> None:
    """A connection without calls, on which the client pings, stays open.

    If this fails: a Go core, which pings every 10 s, loses its connection again and again, and calls fail at random.
    Likely cause: the server's default ping policy takes these pings for abuse and answers GOAWAY too_many_pings.
    Fix: permit pings without calls, 5 s apart (grpcio: grpc.keepalive_permit_without_calls=1 and
    grpc.http2.min_ping_interval_without_data_ms=5000; Go: EnforcementPolicy MinTime 5 s, PermitWithoutStream).
    """
    if judge.session.idle is None:
        raise NotRun("not reachable: no connection was opened for it at the start of the run")
    judge.session.idle.judge()


def _health(judge: ServerJudge, service: str) -> tuple[Code, int]:
    answer = judge.client.call(health_request(service), path=HEALTH)
    status = health_pb2.HealthCheckResponse.FromString(answer.payload or b"").status
    return answer.code, status


@check("transport.health-serving", area="transport", profile="core", role="server", contract=("TR-3",))
def health_serving(judge: ServerJudge) -> None:
    """Health of the empty service name is SERVING.

    If this fails: the core shows the provider as unhealthy, and probes restart it again and again.
    Likely cause: no health service, or only the full service names are set.
    Fix: register grpc.health.v1.Health and set the empty name to SERVING once the server listens.
    """
    code, status = _health(judge, "")
    if code is not Code.OK or status != health_pb2.HealthCheckResponse.SERVING:
        raise Failed(f"health of the empty service name is {code.name}, status {status}")


@check("transport.health-per-service", area="transport", role="server", contract=("TR-4",))
def health_per_service(judge: ServerJudge) -> None:
    """Health of each served service is SERVING.

    If this fails: tools that probe the service they use take it for dead.
    Likely cause: only the empty service name was set.
    Fix: set the status of every service under its full name, too.
    """
    for service in judge.services:
        code, status = _health(judge, service)
        if code is not Code.OK or status != health_pb2.HealthCheckResponse.SERVING:
            raise Failed(f"health of {service} is {code.name}, status {status}")


@check("transport.health-unknown-service", area="transport", role="server", contract=("TR-4",))
def health_unknown_service(judge: ServerJudge) -> None:
    """Health of a service that is not served is NOT_FOUND.

    If this fails: a probe with a misspelled name looks healthy for ever.
    Likely cause: a health handler of the server's own that answers SERVING to everything.
    Fix: use the health service of the gRPC library.
    """
    code, status = _health(judge, "conformance.v1.NoSuchService")
    if code is not Code.NOT_FOUND:
        raise Failed(f"health of an unknown service is {code.name}, status {status}")


def _reflect(judge: ServerJudge, request: Message) -> Message:
    """The answer of whichever reflection version is served."""
    with judge.session.connection() as client:
        for service in _REFLECTION:
            found = _reflect_once(client, service, request)
            if found is not None:
                return found
    raise Failed(f"neither {_REFLECTION[0]} nor {_REFLECTION[1]} is served")


def _reflect_once(client: Client, service: str, request: Message) -> Message | None:
    call: Any = client.channel.stream_stream(f"/{service}/ServerReflectionInfo")
    try:
        for payload in call(iter([request.SerializeToString()]), timeout=client.timeout):
            # Both versions have the same messages.
            return reflection_pb2.ServerReflectionResponse.FromString(payload)
    except grpc.RpcError as problem:
        code: Code = problem.code()
        if code is Code.UNIMPLEMENTED:
            return None
        raise Failed(f"{service} answered {code.name}") from None
    return None


@check("transport.reflection-lists", area="transport", role="server", contract=("TR-5", "WIRE-1"))
def reflection_lists(judge: ServerJudge) -> None:
    """Reflection lists the services that are served.

    If this fails: grpcurl and other tools cannot be used to find out what is wrong in a cluster.
    Likely cause: reflection is not registered, or registered before the services were known.
    Fix: enable server reflection with the full names of all services.
    """
    answer = _reflect(judge, reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = {service.name for service in answer.list_services_response.service}  # type: ignore[attr-defined]
    missing = set(judge.services) - listed
    if missing:
        raise Failed(f"reflection does not list {', '.join(sorted(missing))}")


def _numbers(message: descriptor_pb2.DescriptorProto) -> dict[str, tuple[int, int]]:
    return {field.name: (field.number, field.type) for field in message.field if field.number < 100}


def _baseline(descriptor: Descriptor) -> dict[str, tuple[int, int]]:
    proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(proto)
    return _numbers(proto)


@check("transport.field-numbers", area="transport", role="server", contract=("WIRE-1", "WIRE-2", "TR-5"))
def field_numbers(judge: ServerJudge) -> None:
    """The messages that reflection describes have the field numbers and types of the contract.

    If this fails: the peer reads one field as another: a namespace for a name, or a value for nothing.
    Likely cause: generated from an edited or older .proto file.
    Fix: generate the stubs from the contract's proto files and never renumber a field.
    """
    modules = {
        "provider.v1.SecretStoreProvider": secretstore_pb2,
        "generator.v1.GeneratorProvider": generator_pb2,
    }
    for service in judge.services:
        answer = _reflect(judge, reflection_pb2.ServerReflectionRequest(file_containing_symbol=service))
        described: dict[str, dict[str, tuple[int, int]]] = {}
        for raw in answer.file_descriptor_response.file_descriptor_proto:  # type: ignore[attr-defined]
            file = descriptor_pb2.FileDescriptorProto.FromString(raw)
            described |= {f"{file.package}.{m.name}": _numbers(m) for m in file.message_type}
        for descriptor in modules[service].DESCRIPTOR.message_types_by_name.values():
            said = described.get(descriptor.full_name)
            if said is None:
                continue  # an extension's message, which a baseline peer does not know
            for name, number in _baseline(descriptor).items():
                if said.get(name) != number:
                    raise Failed(
                        f"{descriptor.full_name}.{name} has number and type {said.get(name)}, the contract says {number}"
                    )


@check("transport.unknown-method", area="transport", role="server", contract=("WIRE-4",))
def unknown_method(judge: ServerJudge) -> None:
    """A method that does not exist is UNIMPLEMENTED.

    If this fails: a newer core cannot tell a provider without a method from one that is broken.
    Likely cause: a generic handler that catches every path.
    Fix: let the gRPC library answer for methods that are not registered.
    """
    for service in judge.services:
        answer = judge.client.call(b"", path=f"/{service}/ConformanceNoSuchMethod")
        answer.refused(Code.UNIMPLEMENTED, why="the method does not exist")


def _padded(judge: ServerJudge, size: int) -> tuple[bytes, str]:
    """A harmless request, blown up by an unknown field of `size` bytes."""
    request = judge.harmless()
    length, varint = size, b""
    while length > 127:
        varint += bytes([length & 127 | 128])
        length >>= 7
    tag = b"\xfa\xff\x03"  # field 8191, length-delimited
    return request.SerializeToString() + tag + varint + bytes([length]) + b"x" * size, path_of(request)


@check("transport.large-request", area="transport", role="server", contract=("TR-6", "WIRE-2"))
def large_request(judge: ServerJudge) -> None:
    """A request of 3.9 MiB is accepted.

    If this fails: large Secrets cannot be pushed.
    Likely cause: a smaller receive limit than gRPC's default was set.
    Fix: set the server's receive limit to 4 MiB.
    """
    payload, path = _padded(judge, int(3.9 * MIB))
    judge.client.call(payload, path=path).ok("a request of 3.9 MiB")


@check("transport.oversize-request", area="transport", role="server", contract=("TR-6",))
def oversize_request(judge: ServerJudge) -> None:
    """A request over 4 MiB is refused, and the connection goes on.

    If this fails: one caller can fill the provider's memory, or cut off everybody on the same connection.
    Likely cause: the receive limit was switched off.
    Fix: set the server's receive limit to 4 MiB.
    """
    payload, path = _padded(judge, MAX_MESSAGE + MIB)
    answer = judge.client.call(payload, path=path)
    if answer.code is Code.OK:
        raise Failed("a request of 5 MiB was accepted")
    judge.client.call(judge.harmless()).ok("the next call on the same connection")


@check("transport.request-metadata", area="transport", role="server", contract=("TR-8", "WIRE-2"))
def request_metadata(judge: ServerJudge) -> None:
    """Request metadata of nearly 8 KiB that nobody knows is accepted.

    If this fails: a mesh or a tracing library that adds headers breaks every call.
    Likely cause: a low limit on metadata, or a check that refuses unknown keys.
    Fix: leave the limit at 8 KiB or more, and ignore unknown keys.
    """
    extra = tuple((f"x-conformance-{n}", "m" * 700) for n in range(9))
    judge.client.call(judge.harmless(), metadata=extra).ok("6.5 KiB of unknown metadata")


@check("transport.too-large-answer", area="transport", role="store", contract=("TR-7",))
def too_large_answer(judge: StoreJudge) -> None:
    """An answer over 4 MiB is refused with a clear error, not sent.

    If this fails: the caller's gRPC library refuses the answer with RESOURCE_EXHAUSTED, which tells it to retry for ever.
    Likely cause: the size of the answer is not looked at before it is sent.
    Fix: compare the serialised size with 4 MiB and answer FAILED_PRECONDITION with the size.
    """
    heap: list[Item] = []
    try:
        if judge.store.faults.oversize:
            answer = judge.client.call(judge.get_request(judge.store.faults.oversize))
        else:
            if "name" not in judge.limits.find:
                raise NotRun(
                    "not seeded: needs a key with more than 4 MiB (faults.oversize), or find by name"
                )
            stem = judge.seeds.key("oversize")
            heap += (judge.seeds.under(f"{stem}-{part}", b"O" * (3 * MIB // 2)) for part in "abc")
            answer = judge.client.call(judge.find_request(f"^{stem}-"))
    finally:
        for item in heap:
            judge.seeds.drop(item)
    answer.refused(Code.FAILED_PRECONDITION, why="the answer exceeds 4 MiB")
    if not any(character.isdigit() for character in answer.text):
        raise Failed(f"the text does not tell the size: {answer.said()}")
