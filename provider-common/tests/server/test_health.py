"""Health has threads of its own, is counted, and says NOT_SERVING until the configuration objects are known."""

import threading
import time
from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from provider_common.kube import WatchStatus
from provider_common.testing import FakeKube, ProviderHarness

from ..conftest import AcmeStore

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def check(harness: ProviderHarness, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return int(health_pb2_grpc.HealthStub(harness.channel).Check(request, timeout=10).status)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.mark.parametrize(
    "service",
    [
        "",
        "provider.v1.SecretStoreProvider",
        "generator.v1.GeneratorProvider",
        "provider.v1.ProviderDescription",
    ],
)
def test_every_service_and_the_server_as_a_whole_are_serving(harness, service) -> None:
    assert check(harness, service) == SERVING


def test_an_unknown_service_is_not_found_and_counts_as_an_error(harness) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        check(harness, "nobody")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert (
        'grpc_server_requests_total{method="/grpc.health.v1.Health/Check",status="error"} 1.0'
        in harness.metrics()
    )


def test_health_calls_are_counted_as_the_go_servers_do(harness) -> None:
    check(harness)
    check(harness)
    assert (
        'grpc_server_requests_total{method="/grpc.health.v1.Health/Check",status="success"} 2.0'
        in harness.metrics()
    )


def test_check_and_capabilities_answer_while_every_worker_is_taken(harness, acme_spec) -> None:
    """Whatever admission would allow: here every single worker is blocked."""
    workers = harness.server._workers
    free, taken = threading.Event(), threading.Semaphore(0)

    def block() -> None:
        taken.release()
        free.wait(60)

    for _ in range(workers._max_workers):
        workers.submit(block)
    for _ in range(workers._max_workers):
        assert taken.acquire(timeout=30)
    try:
        assert check(harness) == SERVING
        store = harness.add_store("team-a", acme_spec())
        assert harness.capabilities(store, timeout=5) == "READ_WRITE"
    finally:
        free.set()


def test_two_servers_in_one_process_have_their_own_threads(serve_acme) -> None:
    """One that stops must not take the other's health along."""
    first, second = serve_acme(), serve_acme()
    watch = health_pb2_grpc.HealthStub(second.channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
    assert next(watch).status == SERVING
    first.server.stop()
    assert check(second) == SERVING
    second.server.drain()
    assert next(watch).status == NOT_SERVING
    watch.cancel()


def test_a_reader_that_fails_once_does_not_keep_the_server_from_serving(acme) -> None:
    """The thread that looks whether all is known would end, and the pod would never be ready."""

    class Shaky(FakeKube):
        failures = 0

        def status(self) -> WatchStatus:
            if self.failures:
                self.failures -= 1
                raise RuntimeError("a bug in a reader")
            return super().status()

    kube = Shaky()
    kube.synced = False
    with ProviderHarness(AcmeStore, kube=kube) as harness:
        kube.failures = 1
        until(lambda: not kube.failures)
        assert not harness.server.serving
        kube.synced = True
        until(lambda: harness.server.serving)


def test_a_server_serves_once_its_objects_are_known(acme) -> None:
    kube = FakeKube()
    kube.synced = False
    with ProviderHarness(AcmeStore, kube=kube) as harness:
        assert check(harness) == NOT_SERVING
        watch = health_pb2_grpc.HealthStub(harness.channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == NOT_SERVING
        kube.synced = True
        assert next(watch).status == SERVING
        watch.cancel()
