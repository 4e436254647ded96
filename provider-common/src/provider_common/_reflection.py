"""Server reflection on threads of its own: a stream that somebody leaves open holds one, and must not hold a call's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

SERVICE = reflection.SERVICE_NAME


def handler(services: Sequence[str], pool: ThreadPoolExecutor) -> grpc.GenericRpcHandler:
    """What describes `services`, and itself."""
    servicer: Any = reflection.ReflectionServicer((*services, SERVICE))

    def info(requests: Iterator[object], context: grpc.ServicerContext) -> Iterator[object]:
        yield from servicer.ServerReflectionInfo(requests, context)

    # grpc's own seam for a method that must not queue with the others.
    info.experimental_thread_pool = pool  # type: ignore[attr-defined]
    method = grpc.stream_stream_rpc_method_handler(
        info,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"ServerReflectionInfo": method})
