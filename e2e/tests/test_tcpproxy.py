"""The TCP proxy passes bytes both ways, and drops, refuses or swallows connections when told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from eso_e2e.process import wait_until
from eso_e2e.tcpproxy import Door, TcpFaultProxy
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets, in capitals, until the client has said all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    while data := client.recv(100):
                        client.sendall(data.upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[TcpFaultProxy]:
    with TcpFaultProxy(echo) as made:
        yield made


def connect(proxy: TcpFaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=20)


def test_bytes_pass_both_ways_and_a_half_close_is_passed_on(proxy: TcpFaultProxy) -> None:
    """A client may end its side first and still read the rest."""
    with connect(proxy) as client:
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)

        assert client.makefile("rb").read() == b"ABC"


def test_a_dropped_connection_is_reset(proxy: TcpFaultProxy) -> None:
    """The client sees ECONNRESET, not an orderly end."""
    with connect(proxy) as client:
        client.sendall(b"abc")
        assert client.recv(3) == b"ABC"

        proxy.drop_connections()

        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.open_connections == 0


def test_a_refusing_proxy_keeps_its_port_for_later(proxy: TcpFaultProxy) -> None:
    """An outage and its end: clients come back to the same address."""
    proxy.door = Door.REFUSE
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)

    proxy.door = Door.OPEN

    with connect(proxy) as client:
        client.sendall(b"abc")
        assert client.recv(3) == b"ABC"


def test_a_black_hole_accepts_and_says_nothing(proxy: TcpFaultProxy) -> None:
    """What a dead node behind a living load balancer looks like."""
    proxy.door = Door.BLACK_HOLE

    with connect(proxy) as client:
        client.sendall(b"abc")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_latency_delays_the_answer(proxy: TcpFaultProxy) -> None:
    """The backend's bytes come late, and they do come."""
    proxy.latency = 0.2

    with connect(proxy) as client:
        started = time.monotonic()
        client.sendall(b"abc")

        assert client.recv(3) == b"ABC"
    assert time.monotonic() - started >= 0.2


def test_a_closed_proxy_leaves_nobody_waiting(echo: tuple[str, int]) -> None:
    """Closing ends connections that are in a black hole, and all threads."""
    proxy = TcpFaultProxy(echo)
    proxy.door = Door.BLACK_HOLE
    with connect(proxy) as client:
        wait_until(lambda: proxy.open_connections == 1, seconds=60, what="accepted")

        proxy.close()

        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_grpc_passes_and_recovers_from_a_dropped_connection() -> None:
    """HTTP/2 is only bytes here: a channel that loses its connection is UNAVAILABLE once, and then works again."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    request = health_pb2.HealthCheckRequest()
    with TcpFaultProxy(("127.0.0.1", port)) as proxy, grpc.insecure_channel(proxy.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(request).status == health_pb2.HealthCheckResponse.SERVING

        proxy.door = Door.RESET
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(request)
        proxy.door = Door.OPEN

        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (
            stub.Check(request, wait_for_ready=True, timeout=30).status
            == health_pb2.HealthCheckResponse.SERVING
        )
    server.stop(None).wait()
