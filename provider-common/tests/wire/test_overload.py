"""Stores whose backends hang take a share of the threads, and no more."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

THREADS = 24
SLOTS = THREADS - 8


def test_one_hanging_store_cannot_starve_the_others(serve_acme, acme, acme_spec) -> None:
    """Store A hangs with twice the pool; every call of B, Capabilities and health answer meanwhile."""
    harness = serve_acme(threads=THREADS, read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"a"})
    harness.kube.add_secret("team-b", "token", {"value": b"b"})
    a, b = harness.add_store("team-a", acme_spec()), harness.add_store("team-b", acme_spec())
    hanging = [f"hang-{i}" for i in range(2 * THREADS)]
    acme.gated.update(hanging)
    acme.values.update(dict.fromkeys(hanging, b"late"))
    acme.gate.clear()
    channels = [harness.connect() for _ in range(4)]
    with ThreadPoolExecutor(2 * THREADS) as pool:
        calls = [pool.submit(harness.get_secret, a, key, timeout=60) for key in hanging]
        share = (SLOTS - SLOTS // 4) // 2
        for _ in range(share):
            assert acme.waiting.acquire(timeout=30)
        for _ in range(40):
            assert harness.get_secret(b, "whoami", timeout=5) == b"b"
            assert harness.capabilities(a, timeout=5) == "READ_WRITE"
            health = health_pb2_grpc.HealthStub(channels[0]).Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        acme.gate.set()
        outcomes = [call.exception() for call in calls]
    for channel in channels:
        channel.close()
    refused = [error for error in outcomes if error is not None]
    assert outcomes.count(None) >= share
    assert refused
    assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_many_hanging_stores_together_cannot_starve_a_healthy_one(serve_acme, acme, acme_spec) -> None:
    """Three times as many stores as there are threads hang at once, with twice the pool of calls each time somebody asks
    again. As soon as they have shown that they hang, every call of a healthy store answers, health and Capabilities do so
    all the time, and none of them gets a further thread but for single trials.
    """
    harness = serve_acme(threads=THREADS, read_window=0)
    stores = []
    for number in range(3 * THREADS):
        harness.kube.add_secret(f"team-{number}", "token", {"value": b"a"})
        stores.append(harness.add_store(f"team-{number}", acme_spec()))
        acme.gated.add(f"hang-{number}")
    harness.kube.add_secret("healthy", "token", {"value": b"b"})
    healthy = harness.add_store("healthy", acme_spec())
    acme.gate.clear()
    with ThreadPoolExecutor(len(stores)) as pool:
        calls = [
            pool.submit(harness.get_secret, store, f"hang-{number}", timeout=25)
            for number, store in enumerate(stores)
        ]
        for _ in range(SLOTS):
            assert acme.waiting.acquire(timeout=30)
        deadline = time.monotonic() + 20
        while not answers(harness, healthy):
            assert harness.capabilities(healthy, timeout=5) == "READ_WRITE"
            assert time.monotonic() < deadline, "the healthy store was starved for as long as the others hung"
        while f"eso_provider_stores_hanging {SLOTS}.0" not in harness.metrics():
            assert time.monotonic() < deadline, "not all of them count as hanging"
        for _ in range(2):
            again = [
                pool.submit(harness.get_secret, stores[0], "hang-0", timeout=25) for _ in range(2 * THREADS)
            ]
            for _ in range(20):
                assert harness.get_secret(healthy, "whoami", timeout=5) == b"b"
        acme.gate.set()
        for call in (*calls, *again):
            call.exception()
    assert harness.get_secret(stores[0], "db", timeout=5), (
        "a store whose backend answers again is served again"
    )


def answers(harness, store) -> bool:
    try:
        return harness.get_secret(store, "whoami", timeout=5) == b"b"
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return False


def test_a_refused_call_says_when_to_come_back(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(threads=16, read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"a"})
    store = harness.add_store("team-a", acme_spec())
    acme.gated.update(f"hang-{i}" for i in range(3))
    acme.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(harness.get_secret, store, f"hang-{i}", timeout=60) for i in range(3)]
        for _ in calls:
            assert acme.waiting.acquire(timeout=30)
        with harness.fails() as failure:
            harness.get_secret(store, "db")
        acme.gate.set()
        for call in calls:
            call.exception()
    assert (failure.code, failure.error.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert failure.retry_after == 1.0
    assert "AcmeKeyValue team-a/main" in failure.message
    assert "eso_provider_calls_refused_total 1.0" in harness.metrics()


def test_a_full_queue_refuses_without_waiting_for_a_thread(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(max_queued=0)
    with harness.fails() as failure:
        harness.get_secret(harness.add_store("team-a", acme_spec()), "db")
    assert (failure.code, failure.error.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")


def test_a_cached_read_needs_no_slot(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(read_window=600)
    harness.kube.add_secret("team-a", "token", {"value": b"a"})
    store = harness.add_store("team-a", acme_spec())
    harness.get_secret(store, "db")
    harness.server._admission._slots = 0
    assert b"admin" in harness.get_secret(store, "db")
    with harness.fails() as failure:
        harness.get_secret(store, "other")
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("threads", [0, 15])
def test_too_few_threads_are_a_clear_error(serve_acme, threads) -> None:
    with pytest.raises(Exception, match="threads has to be at least 16"):
        serve_acme(threads=threads)
