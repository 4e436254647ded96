"""`grpc.health.v1.Health` on threads of its own: it answers while every worker waits for a backend.

The published servicer keeps the statuses. It hangs its thread pool on its class, where a second server in the process would
share it, and puts `Check` on no pool but the workers'; so the methods are wired here, per server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2

from provider_common._metrics import Metrics

SERVICE = health.SERVICE_NAME
_CHECK = f"/{SERVICE}/Check"

_Send = Callable[[health_pb2.HealthCheckResponse | None], None]


class Health:
    """The statuses of `services` and of the whole server (the empty name), all the same at any moment."""

    def __init__(self, services: Sequence[str], *, pool: ThreadPoolExecutor, metrics: Metrics) -> None:
        """Not serving at first."""
        self._servicer = health.HealthServicer()
        self._services = ("", *services)
        self._pool = pool
        self._metrics = metrics
        self.set(serving=False)

    def set(self, *, serving: bool) -> None:
        """Tell those who ask and those who watch."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for service in self._services:
            self._servicer.set(service, status)

    def drain(self) -> None:
        """Not serving, for good."""
        self._servicer.enter_graceful_shutdown()

    def handler(self) -> grpc.GenericRpcHandler:
        """What serves the two methods."""

        def check(request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> object:
            # Counted like every call: the Go servers do so, and dashboards are made for it.
            began = time.perf_counter()
            answer = self._servicer.Check(request, context)
            known = answer.status != health_pb2.HealthCheckResponse.UNKNOWN
            self._metrics.rpc(_CHECK, known, time.perf_counter() - began)
            return answer

        def watch(
            request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext, send: _Send | None = None
        ) -> object:
            return self._servicer.Watch(request, context, send)

        check.experimental_thread_pool = self._pool  # type: ignore[attr-defined]
        watch.experimental_thread_pool = self._pool  # type: ignore[attr-defined]
        watch.experimental_non_blocking = True  # type: ignore[attr-defined]
        parse, write = (
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(check, parse, write),
                "Watch": grpc.unary_stream_rpc_method_handler(watch, parse, write),
            },
        )
