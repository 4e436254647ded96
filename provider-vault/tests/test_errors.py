"""What becomes of everything that Vault, or the network in front of it, may answer: in a table, and over the wire.

A real Vault stands behind the proxy; only the answer under test is made up.
"""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from eso_e2e.faults import Answer as Made
from eso_e2e.faults import BlackHole, Cut, Reset, too_many_requests
from grpc import StatusCode
from provider_common import NoSecretError
from provider_common import errors as sdk_errors
from provider_vault._errors import LOGIN_TABLE, TABLE, refusal
from provider_vault._http import Answer

from .bench import Bench

SECRET = "s3cr3t-in-the-body"

# status, what Vault says -> our code, gRPC status, worth another try?
EXPECTED: dict[str, tuple[int, Any, str, str, bool]] = {
    "cas": (
        400,
        ["check-and-set parameter did not match the current version"],
        "CONFLICT",
        "FAILED_PRECONDITION",
        False,
    ),
    "upgrading": (
        400,
        [
            "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period."
        ],
        "TEMPORARY",
        "UNAVAILABLE",
        True,
    ),
    "no token": (400, ["missing client token"], "CREDENTIALS", "UNAUTHENTICATED", False),
    "bad request": (400, [SECRET], "INVALID_REQUEST", "INVALID_ARGUMENT", False),
    "unauthorized": (401, [SECRET], "CREDENTIALS", "UNAUTHENTICATED", False),
    "token gone": (403, ["permission denied", "invalid token"], "CREDENTIALS", "UNAUTHENTICATED", False),
    "denied": (403, ["permission denied"], "ACCESS_DENIED", "PERMISSION_DENIED", False),
    "no mount": (
        404,
        ['no handler for route "x". route entry not found.'],
        "MISSING_REFERENCE",
        "FAILED_PRECONDITION",
        False,
    ),
    "other 404": (404, [SECRET], "MISSING_REFERENCE", "FAILED_PRECONDITION", False),
    "a login page": (200, None, "MISSING_REFERENCE", "FAILED_PRECONDITION", False),
    "wrong engine version": (
        404,
        ["Invalid path for a versioned K/V secrets engine."],
        "INVALID_SPEC",
        "INVALID_ARGUMENT",
        False,
    ),
    "not vault": (404, None, "MISSING_REFERENCE", "FAILED_PRECONDITION", False),
    "unsupported": (405, ["unsupported operation"], "UNSUPPORTED", "UNIMPLEMENTED", False),
    "behind": (412, ["required index state not present"], "TEMPORARY", "UNAVAILABLE", True),
    "too large": (413, ["request body too large"], "TOO_LARGE", "FAILED_PRECONDITION", False),
    "quota": (429, ["request path: rate limit quota exceeded"], "RATE_LIMITED", "RESOURCE_EXHAUSTED", True),
    "other client error": (418, [SECRET], "PERMANENT", "FAILED_PRECONDITION", False),
    "disaster recovery": (472, [], "TEMPORARY", "UNAVAILABLE", True),
    "performance standby": (473, [], "TEMPORARY", "UNAVAILABLE", True),
    "internal": (500, [SECRET], "TEMPORARY", "UNAVAILABLE", True),
    "too deep": (
        500,
        ["JSON input exceeds allowed nesting depth"],
        "TOO_LARGE",
        "FAILED_PRECONDITION",
        False,
    ),
    "not initialized": (501, ["Vault is not initialized"], "MISSING_REFERENCE", "FAILED_PRECONDITION", False),
    "bad gateway": (502, None, "TEMPORARY", "UNAVAILABLE", True),
    "sealed": (503, ["Vault is sealed"], "TEMPORARY", "UNAVAILABLE", True),
    "unavailable": (503, [SECRET], "TEMPORARY", "UNAVAILABLE", True),
    "gateway timeout": (504, None, "TEMPORARY", "UNAVAILABLE", True),
}


def body_of(said: Any) -> bytes:
    return f"<html>{SECRET}</html>".encode() if said is None else json.dumps({"errors": said}).encode()


@pytest.mark.parametrize("case", EXPECTED)
def test_an_answer_means_one_exception(case: str) -> None:
    status, said, code, grpc_status, retryable = EXPECTED[case]
    body = None if said is None else {"errors": said}
    error = refusal(Answer(status, body), "the thing")
    assert (error.code, error.status, error.retryable) == (code, grpc_status, retryable)
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert not isinstance(error, NoSecretError)


def test_every_row_of_the_table_is_expected() -> None:
    """A row that is added to the table without a line here would be a claim that nobody checks."""

    def row_of(status: int, said: Any) -> str:
        answer = Answer(status, {"errors": said})
        rows = (
            row.id for row in TABLE if row.status == status and (not row.reason or answer.says(row.reason))
        )
        return next(rows, "none")

    assert {row.id for row in TABLE} <= {row_of(status, said or []) for status, said, *_ in EXPECTED.values()}


def test_no_row_says_that_a_secret_is_absent() -> None:
    """Only the KV readers say so, on a mount that they know."""
    assert not [row.id for row in (*TABLE, *LOGIN_TABLE) if issubclass(row.error, NoSecretError)]


def test_every_exception_has_a_status_that_grpc_knows() -> None:
    for error in {row.error for row in (*TABLE, *LOGIN_TABLE)}:
        assert hasattr(StatusCode, error.status)
        assert error.code in {
            getattr(e, "code", None) for e in vars(sdk_errors).values() if isinstance(e, type)
        }


@pytest.mark.real
@pytest.mark.parametrize("case", EXPECTED)
@pytest.mark.parametrize("rpc", ["get", "find", "push", "delete", "exists"])
def test_an_answer_reaches_the_caller_as_what_it_means(
    bench: Bench, kv2: str, fault_proxy: Any, case: str, rpc: str
) -> None:
    """Over the wire: never NOT_FOUND, the right status, nothing of the body."""
    status, said, code, grpc_status, retryable = EXPECTED[case]
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    bench.harness.exists(store, "warm")
    calls = {
        "get": lambda: bench.harness.get_secret(store, "app"),
        "find": lambda: bench.harness.find(store, name="x"),
        "push": lambda: bench.harness.push(store, "app", {"k": b"v"}),
        "delete": lambda: bench.harness.delete(store, "app"),
        "exists": lambda: bench.harness.exists(store, "app"),
    }
    proxy.inject(Made(status, body_of(said), {"Content-Type": "application/json"}), path=kv2)
    with bench.harness.fails() as failure:
        calls[rpc]()
    assert (failure.code.name, failure.error.code, failure.error.retryable) == (grpc_status, code, retryable)
    assert SECRET not in failure.message + str(failure.trailers)
    assert SECRET not in bench.harness.metrics()


NETWORK = {
    "reset before": Reset(),
    "reset after": Reset(after_backend=True),
    "cut": Cut(5),
}


@pytest.mark.real
@pytest.mark.parametrize("fault", NETWORK)
def test_a_broken_connection_is_unavailable(bench: Bench, kv2: str, fault_proxy: Any, fault: str) -> None:
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    proxy.inject(NETWORK[fault], path=kv2)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert failure.code is StatusCode.UNAVAILABLE


class OddServer:
    """Accepts connections and does with each what a function says, until the client leaves or the test ends."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._serve = serve
        self.left = threading.Event()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._one, args=(client,)))
            self._threads[-1].start()

    def _one(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self._serve(client)
        self.left.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def odd_server() -> Iterator[Callable[[Callable[[socket.socket], None]], OddServer]]:
    made: list[OddServer] = []

    def make(serve: Callable[[socket.socket], None]) -> OddServer:
        made.append(OddServer(serve))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.mark.real
def test_a_handshake_that_ends_without_a_word_is_an_outage(bench: Bench, kv2: str, odd_server: Any) -> None:
    """A balancer without a server does so: nothing is wrong with certificates, and a retry may help."""
    server = odd_server(lambda client: client.recv(65536))
    store = bench.harness.add_store("team-a", {**bench.spec(kv2), "server": f"https://{server.address}"})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert (failure.code, failure.error.retryable) == (StatusCode.UNAVAILABLE, True)


@pytest.mark.real
def test_an_answer_that_drips_is_left_when_the_call_s_time_is_over(
    bench: Bench, kv2: str, odd_server: Any
) -> None:
    """Each byte in time, and no end: the thread is not the server's to keep."""
    end = threading.Event()

    def drip(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not end.wait(0.02):
            client.sendall(b" ")

    server = odd_server(drip)
    store = bench.harness.add_store("team-a", {**bench.spec(kv2), "server": f"http://{server.address}"})
    try:
        with bench.harness.fails() as failure:
            bench.harness.get_secret(store, "app", timeout=1)
        assert failure.code is StatusCode.DEADLINE_EXCEEDED
        assert server.left.wait(20)
    finally:
        end.set()


@pytest.mark.real
def test_an_answer_without_bounds_is_not_kept(
    bench: Bench, kv2: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.vault("POST", f"/{kv2}/data/long", {"data": {"k": "x" * 300_000}})
    store = bench.store(kv2)
    bench.harness.exists(store, "warm")
    monkeypatch.setattr("provider_vault._http.LARGEST_ANSWER", 200_000)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "long")
    assert (failure.code, failure.error.code) == (StatusCode.FAILED_PRECONDITION, "TOO_LARGE")


@pytest.mark.real
def test_connections_are_kept(bench: Bench, kv2: str, odd_server: Any) -> None:
    """A new one for each read would cost a handshake each time."""
    upstream = urlsplit(bench.vault.address)
    opened = []

    def pass_on(client: socket.socket) -> None:
        opened.append(client)
        with socket.create_connection((upstream.hostname, upstream.port)) as backend:
            while True:
                readable, _, _ = select.select([client, backend], [], [])
                for one in readable:
                    if not (data := one.recv(65536)):
                        return
                    (backend if one is client else client).sendall(data)

    server = odd_server(pass_on)
    store = bench.harness.add_store("team-a", {**bench.spec(kv2), "server": f"http://{server.address}"})
    for number in range(20):
        bench.harness.exists(store, f"never-{number}")
    assert len(opened) == 1


@pytest.mark.real
@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"X-Team": "\u20ac"}},
        {"headers": {"X-Team": " a"}},
        {"server": "http://[::1"},
        {"server": "http://127.0.0.1:99999"},
    ],
    ids=["a header beyond Latin-1", "a header that begins with a blank", "half an address", "no port"],
)
def test_what_can_not_be_sent_is_an_error_of_the_spec(bench: Bench, kv2: str, more: dict[str, Any]) -> None:
    """Trying again changes nothing."""
    store = bench.harness.add_store("team-a", {**bench.spec(kv2), **more})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert (failure.code, failure.error.retryable) == (StatusCode.INVALID_ARGUMENT, False)


@pytest.mark.real
@pytest.mark.parametrize("content", [b"", b" \n", b"hvs.a\nhvs.b", "hvs.\u20ac".encode()])
def test_a_secret_that_holds_no_token_is_no_outage(bench: Bench, kv2: str, content: bytes) -> None:
    bench.harness.kube.add_secret("team-a", "odd", {"token": content})
    auth = {"tokenSecretRef": {"name": "odd", "key": "token"}}
    store = bench.harness.add_store("team-a", {**bench.spec(kv2), "auth": auth})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert failure.code is StatusCode.UNAUTHENTICATED
    assert "hvs." not in failure.message


@pytest.mark.real
def test_no_server_at_all_is_unavailable(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    proxy.close()
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert failure.code is StatusCode.UNAVAILABLE


@pytest.mark.real
def test_a_server_that_never_answers_holds_a_call_no_longer_than_its_deadline(
    bench: Bench, kv2: str, fault_proxy: Any
) -> None:
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    proxy.inject(BlackHole(), path=kv2)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app", timeout=1)
    assert failure.code is StatusCode.DEADLINE_EXCEEDED


@pytest.mark.real
@pytest.mark.parametrize("fault", ["reset before", "too many", "behind", "unavailable"])
def test_what_may_pass_is_tried_again(bench: Bench, kv2: str, fault_proxy: Any, fault: str) -> None:
    """By the store's retrySettings."""
    faults = {
        "reset before": Reset(),
        "too many": too_many_requests(0),
        "behind": Made(412, b'{"errors":[]}'),
        "unavailable": Made(503, b"{}"),
    }
    bench.vault("POST", f"/{kv2}/data/patient", {"data": {"k": "v"}})
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2, retries=2)
    proxy.inject(faults[fault], path=f"{kv2}/data", times=2)
    assert bench.harness.get_secret(store, "patient", property="k") == b"v"


@pytest.mark.real
def test_by_default_two_retries_are_made(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2, retries=None)
    proxy.inject(Made(500, b"{}"), path=f"{kv2}/data")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert failure.code is StatusCode.UNAVAILABLE
    assert proxy.count(path=f"{kv2}/data") == 3


@pytest.mark.real
def test_what_can_not_pass_is_not_tried_again(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2, retries=5)
    proxy.inject(Made(501, b'{"errors":["x"]}'), path=f"{kv2}/data")
    with bench.harness.fails():
        bench.harness.get_secret(store, "app")
    assert proxy.count(path=f"{kv2}/data") == 1


@pytest.mark.real
def test_vault_s_own_delay_reaches_the_caller(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    proxy.inject(too_many_requests(17), path=f"{kv2}/data")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert (failure.code, failure.retry_after) == (StatusCode.RESOURCE_EXHAUSTED, 17)


@pytest.mark.real
@pytest.mark.parametrize("rpc", ["get", "find"])
def test_a_miss_on_a_mount_that_can_not_be_seen_is_not_believed(
    bench: Bench, kv2: str, fault_proxy: Any, rpc: str
) -> None:
    """v2 paths on a v1 mount look like missing secrets, so where a gateway hides the mounts there is no NOT_FOUND."""
    bench.vault("POST", f"/{kv2}/data/seen", {"data": {"a": "1"}})
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(403, b'{"errors":["permission denied"]}'), path="internal/ui/mounts")
    store = bench.through(proxy, kv2)
    assert bench.harness.get_secret(store, "seen", property="a") == b"1"
    calls = {
        "get": lambda: bench.harness.get_secret(store, "missing"),
        "find": lambda: bench.harness.find(store, path="missing", name="x"),
    }
    with bench.harness.fails() as failure:
        calls[rpc]()
    assert failure.code is StatusCode.PERMISSION_DENIED
    assert kv2 in failure.message


@pytest.mark.real
def test_an_error_is_the_same_text_each_time(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    """Events are counted by their text."""
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    proxy.inject(Made(500, b"{}"), path=kv2)
    texts = set()
    for _ in range(3):
        with bench.harness.fails() as failure:
            bench.harness.exists(store, "app")
        texts.add(failure.message)
    assert len(texts) == 1
    assert not re.search(r"0x[0-9a-f]{6}", texts.pop())


@pytest.mark.real
def test_credentials_stand_in_no_log_and_no_metric(
    bench: Bench, kv2: str, fault_proxy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    bench.harness.push(store, "quiet", {"k": SECRET.encode()})
    proxy.inject(Made(500, SECRET.encode()), path=kv2)
    with bench.harness.fails():
        bench.harness.exists(store, "app")
    for text in (caplog.text, bench.harness.metrics()):
        assert SECRET not in text
        assert bench.vault.root_token not in text


@pytest.mark.real
def test_a_standby_s_redirect_is_followed_with_the_token(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    """A standby that does not forward sends clients to the active node."""
    bench.vault("POST", f"/{kv2}/data/redirected", {"data": {"k": "v"}})
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    target = f"{bench.vault.address}/v1/{kv2}/data/redirected"
    proxy.inject(Made(307, b"", {"Location": target}), path=f"{kv2}/data")
    assert bench.harness.get_secret(store, "redirected", property="k") == b"v"


@pytest.mark.real
def test_a_redirect_to_another_scheme_is_not_followed(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    """The token would go out in the clear, or to somebody who only claims to be Vault."""
    proxy, other = fault_proxy(bench.vault.address), fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    target = other.url.replace("http://", "https://")
    proxy.inject(Made(307, b"", {"Location": f"{target}/v1/x"}), path=f"{kv2}/data")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert other.requests == []


@pytest.mark.real
def test_redirects_that_go_in_circles_end(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    """A standby sends to the active node, and that one answers: one step is all there is to follow."""
    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    bench.harness.exists(store, "warm")
    proxy.inject(Made(307, b"", {"Location": f"{proxy.url}/v1/{kv2}/data/app"}), path=f"{kv2}/data/app")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "app")
    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert proxy.count(path=f"{kv2}/data/app") == 2
