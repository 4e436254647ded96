"""The plain HTTP port: what a kubelet, Prometheus, a person and a rude client get from it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from provider_common import _http
from provider_common._http import HttpEndpoint
from provider_common._metrics import Metrics


class Probe:
    """Answers of a health check that a test can change."""

    def __init__(self) -> None:
        self.answer: tuple[bool, dict[str, object]] = (True, {"watch_age_seconds": 3})

    def __call__(self) -> tuple[bool, dict[str, object]]:
        return self.answer


class Endpoint:
    def __init__(self) -> None:
        self.metrics, self.health, self.ready = Metrics(), Probe(), Probe()
        self.http = HttpEndpoint(
            host="127.0.0.1", port=0, metrics=self.metrics, health=self.health, ready=self.ready
        )

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.http.port, timeout=30)) as connection:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.http.port), timeout=30)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    made.http.start()
    yield made
    made.http.stop()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_gets_200_and_ok(endpoint: Endpoint, path: str) -> None:
    """Exactly what the Go servers answer."""
    status, headers, body = endpoint.ask(path)

    assert (status, body) == (200, b"ok")
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/healthz?verbose", {}), ("/healthz", {"Accept": "application/json"})],
    ids=["verbose", "accept"],
)
def test_who_asks_for_more_gets_the_details(endpoint: Endpoint, path: str, headers: dict[str, str]) -> None:
    """The age of the watch stands there: an API server that is away is no reason to restart a provider."""
    status, answered, body = endpoint.ask(path, **headers)

    assert status == 200
    assert answered["content-type"] == "application/json"
    assert json.loads(body) == {"status": "ok", "watch_age_seconds": 3}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/readyz", b"not ok"), ("/readyz?verbose", b'{"status": "not ok", "draining": true}\n')],
    ids=["plain", "verbose"],
)
def test_not_ready_is_503(endpoint: Endpoint, path: str, body: bytes) -> None:
    """A Service takes the pod out; health is another question and stays as it is."""
    endpoint.ready.answer = (False, {"draining": True})

    assert endpoint.ask(path)[0::2] == (503, body)
    assert endpoint.ask("/healthz")[0] == 200


def test_metrics_are_served_as_text_whatever_the_scraper_prefers(endpoint: Endpoint) -> None:
    """Prometheus asks for OpenMetrics first; that would rename counters."""
    endpoint.metrics.rpc("/a/B", True, 0.1)

    status, headers, body = endpoint.ask(
        "/metrics", Accept="application/openmetrics-text; version=1.0.0,text/plain"
    )

    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'grpc_server_requests_total{method="/a/B",status="success"} 1.0\n' in body


def test_head_has_the_headers_and_no_body(endpoint: Endpoint) -> None:
    """Some load balancers probe so."""
    status, headers, body = endpoint.ask("/healthz", method="HEAD")

    assert (status, headers["content-length"], body) == (200, "2", b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/healthz", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/debug/pprof", 404),
    ],
)
def test_nothing_else_is_served(endpoint: Endpoint, method: str, path: str, status: int) -> None:
    """The port is open to the whole cluster."""
    assert endpoint.ask(path, method=method)[0] == status


@pytest.mark.parametrize(
    ("sent", "first_line"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"GET\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    ],
    ids=["TLS", "no target", "HTTP/2"],
)
def test_garbage_is_a_bad_request(endpoint: Endpoint, sent: bytes, first_line: bytes) -> None:
    """Whoever dials the wrong port gets an answer, and nobody else notices."""
    with endpoint.connect() as connection:
        connection.sendall(sent)
        assert connection.makefile("rb").readline().strip() == first_line
    assert endpoint.ask("/healthz")[0] == 200


def test_a_head_without_end_is_not_read_for_ever(endpoint: Endpoint) -> None:
    """Memory for it is bounded, and the next caller is served."""
    with endpoint.connect() as connection:
        try:
            for _ in range(1000):
                connection.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
            answer = connection.recv(64)
        except OSError:
            answer = b""
    assert answer == b"" or b" 431 " in answer
    assert endpoint.ask("/healthz")[0] == 200


def test_a_probe_gets_through_while_somebody_holds_all_connections(endpoint: Endpoint) -> None:
    """A client that opens sockets and says nothing must not make the kubelet restart the provider."""
    with ExitStack() as held:
        for _ in range(_http.MAX_CONNECTIONS + 20):
            held.enter_context(endpoint.connect()).sendall(b"GET /healthz HT")

        assert endpoint.ask("/healthz")[0::2] == (200, b"ok")
        assert len(endpoint.http._open) <= _http.MAX_CONNECTIONS


def test_a_connection_that_says_nothing_is_closed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience is five seconds; here it is less."""
    monkeypatch.setattr(_http, "PATIENCE", 0.05)

    with endpoint.connect() as connection:
        connection.sendall(b"GET ")
        assert closed(connection)


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_client_that_does_not_read_is_let_go(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is bigger than the buffers of the kernel, so it can't be sent off and forgotten."""
    monkeypatch.setattr(_http, "PATIENCE", 0.2)
    endpoint.health.answer = (True, {"filler": "x" * 20_000_000})

    with endpoint.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /healthz?verbose HTTP/1.1\r\n\r\n")
        connection.recv(1)
        endpoint.health.answer = (True, {})
        end = time.monotonic() + 30
        while endpoint.http._open:
            assert time.monotonic() < end, "it is held for ever"
            assert endpoint.ask("/healthz")[0] == 200


def test_a_check_that_breaks_is_answered_by_class_name(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What an exception says may hold a value."""

    def broken() -> tuple[bool, dict[str, object]]:
        raise LookupError("c4nary")

    monkeypatch.setitem(endpoint.http._checks, "/healthz", broken)

    assert endpoint.ask("/healthz")[0::2] == (500, b"LookupError\n")
    assert "c4nary" not in caplog.text


def test_many_at_once_are_all_answered(endpoint: Endpoint) -> None:
    """Scrapes, probes and counting at the same time."""
    paths = ["/metrics", "/healthz", "/readyz?verbose"] * 40

    def ask(path: str) -> int:
        endpoint.metrics.rpc("/a/B", True, 0.01)
        return endpoint.ask(path)[0]

    with ThreadPoolExecutor(max_workers=20) as pool:
        assert set(pool.map(ask, paths)) == {200}
    assert b"grpc_server_request_duration_seconds_count" in endpoint.ask("/metrics")[2]
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("http")} <= {
        "http",
        "http_0",
        "http_1",
    }


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs a machine with IPv6")
@pytest.mark.parametrize("caller", ["127.0.0.1", "::1"])
def test_the_host_of_all_addresses_serves_both_families(caller: str) -> None:
    """Clusters have pods with IPv6 only."""
    endpoint = HttpEndpoint(host="::", port=0, metrics=Metrics(), health=Probe(), ready=Probe())
    endpoint.start()
    try:
        with closing(http.client.HTTPConnection(caller, endpoint.port, timeout=30)) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"ok"
    finally:
        endpoint.stop()


def test_a_port_that_is_taken_is_named(endpoint: Endpoint) -> None:
    """Two providers on one machine: the text has to say which of the ports it is."""
    second = HttpEndpoint(
        host="127.0.0.1", port=endpoint.http.port, metrics=Metrics(), health=Probe(), ready=Probe()
    )

    with pytest.raises(OSError, match=rf"127.0.0.1:{endpoint.http.port} for HTTP \(Address already in use\)"):
        second.start()
    second.stop()


def test_stopping_frees_the_port_and_drops_who_waits() -> None:
    """A restart in the same process (tests, embedders) binds again."""
    first = Endpoint()
    first.http.start()
    port = first.http.port
    with first.connect() as waiting:
        waiting.sendall(b"GET ")
        first.ask("/healthz")
        first.http.stop()
        first.http.stop()
        assert closed(waiting)

    again = HttpEndpoint(host="127.0.0.1", port=port, metrics=Metrics(), health=Probe(), ready=Probe())
    again.start()
    try:
        assert again.port == port
    finally:
        again.stop()
