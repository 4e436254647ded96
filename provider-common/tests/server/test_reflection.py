"""Server reflection: what grpcurl asks, and what a stream that nobody ends costs."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from grpc_reflection.v1alpha import reflection_pb2 as pb
from provider_common.testing import ProviderHarness

PATH = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def ask(harness: ProviderHarness, requests: Iterator[pb.ServerReflectionRequest]) -> Any:
    rpc = harness.channel.stream_stream(
        PATH,
        request_serializer=pb.ServerReflectionRequest.SerializeToString,
        response_deserializer=pb.ServerReflectionResponse.FromString,
    )
    return rpc(requests, timeout=30)


def test_every_service_is_listed(harness) -> None:
    (answer,) = ask(harness, iter([pb.ServerReflectionRequest(list_services="")]))
    assert sorted(service.name for service in answer.list_services_response.service) == [
        "generator.v1.GeneratorProvider",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "provider.v1.ProviderDescription",
        "provider.v1.SecretStoreProvider",
    ]


@pytest.mark.parametrize("symbol", ["provider.v1.SecretStoreProvider", "generator.v1.GenerateRequest"])
def test_a_symbol_is_described(harness, symbol) -> None:
    (answer,) = ask(harness, iter([pb.ServerReflectionRequest(file_containing_symbol=symbol)]))
    assert answer.file_descriptor_response.file_descriptor_proto


def test_streams_that_nobody_ends_hold_no_thread_of_a_call(serve_acme, acme, acme_spec) -> None:
    """A tool that somebody left open, more often than there are threads."""
    harness = serve_acme(threads=16, read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"a"})
    store = harness.add_store("team-a", acme_spec())
    done = threading.Event()

    def open_ended() -> Iterator[pb.ServerReflectionRequest]:
        yield pb.ServerReflectionRequest(list_services="")
        done.wait(30)

    streams = [ask(harness, open_ended())]
    try:
        # Before the others come: they arrive in any order, and only as many are heard as there are threads for them.
        assert next(streams[0]).HasField("list_services_response")
        streams += [ask(harness, open_ended()) for _ in range(39)]
        assert harness.get_secret(store, "db", timeout=10)
    finally:
        done.set()
        for stream in streams:
            stream.cancel()
