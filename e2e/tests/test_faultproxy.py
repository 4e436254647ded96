"""Every fault of the proxy, seen from a client's side, in front of a small real HTTP server."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from eso_e2e.faultproxy import FaultProxy, Tls
from eso_e2e.faults import Answer, BlackHole, Cut, Fault, Reset, Respond, Rewrite, too_many_requests
from eso_e2e.moto import MotoApi
from eso_e2e.pki import CertificateAuthority
from eso_e2e.process import wait_until
from eso_e2e.tcpproxy import Door
from eso_e2e.vault import VaultServer

Maker = Callable[..., FaultProxy]


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the method, the path and the length of what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        answer = f"{self.command} {self.path} {len(body)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_POST = do_HEAD = do_GET  # noqa: N815 - the base class asks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        pass


class Backend:
    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self._server.asked = []  # type: ignore[attr-defined]
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def asked(self) -> list[str]:
        return self._server.asked  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    server = Backend()
    yield server
    server.close()


@pytest.fixture
def proxy(fault_proxy: Maker, backend: Backend) -> FaultProxy:
    return fault_proxy(backend.url)


@pytest.fixture
def pool(e2e_authority: CertificateAuthority) -> Iterator[urllib3.PoolManager]:
    timeout = urllib3.Timeout(connect=20, read=20)
    with urllib3.PoolManager(retries=False, timeout=timeout, ca_certs=str(e2e_authority.ca_file)) as client:
        yield client


def test_without_rules_requests_and_answers_pass_unchanged(
    proxy: FaultProxy, pool: urllib3.PoolManager
) -> None:
    """Body, query and status arrive, and the request is recorded as forwarded."""
    answer = pool.request("POST", f"{proxy.url}/a?b=c%2Fd", body=b"12345")

    assert (answer.status, answer.data) == (200, b"POST /a?b=c%2Fd 5")
    (seen,) = proxy.requests
    assert (seen.method, seen.path, seen.body, seen.status, seen.forwarded) == (
        *("POST", "/a?b=c%2Fd", b"12345", 200),
        True,
    )


def test_a_chunked_body_arrives_whole(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """Clients that do not know the length beforehand are served too."""
    answer = pool.request("POST", f"{proxy.url}/", body=iter([b"123", b"45"]), chunked=True)

    assert answer.data == b"POST / 5"
    assert proxy.requests[0].body == b"12345"


def test_head_keeps_the_length_and_sends_no_body(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """A connection stays usable after a HEAD."""
    answer = pool.request("HEAD", f"{proxy.url}/abc")

    assert answer.headers["Content-Length"] == str(len("HEAD /abc 0"))
    assert pool.request("GET", f"{proxy.url}/next").data == b"GET /next 0"
    assert proxy.accepted == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (too_many_requests(), (429, None)),
        (too_many_requests(retry_after=7), (429, "7")),
        (Answer(500), (500, None)),
        (Answer.json(503, {"errors": []}), (503, None)),
    ],
    ids=["429", "429-retry-after", "500", "503"],
)
def test_a_made_up_answer_spares_the_backend(
    proxy: FaultProxy,
    pool: urllib3.PoolManager,
    backend: Backend,
    fault: Answer,
    told: tuple[int, str | None],
) -> None:
    """The client is told so, and the backend never hears of it."""
    proxy.inject(fault)

    answer = pool.request("GET", f"{proxy.url}/")

    assert (answer.status, answer.headers.get("Retry-After")) == told
    assert backend.asked == []
    assert not proxy.requests[0].forwarded


@pytest.mark.parametrize(
    ("fault", "backend_asked"),
    [(Reset(), 0), (Reset(after_backend=True), 1), (Cut(keep=3), 1)],
    ids=["reset", "reset-after-the-backend", "cut"],
)
def test_a_broken_connection_is_an_error_of_the_client(
    proxy: FaultProxy, pool: urllib3.PoolManager, backend: Backend, fault: Fault, backend_asked: int
) -> None:
    """A write may have happened or not: both can be had."""
    proxy.inject(fault)

    with pytest.raises(urllib3.exceptions.ProtocolError):
        pool.request("GET", f"{proxy.url}/")

    assert len(backend.asked) == backend_asked


def test_a_reset_is_a_reset_and_not_an_end(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """Clients tell ECONNRESET from an orderly close, so tests must be able to."""
    proxy.inject(Reset())

    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        pool.request("GET", f"{proxy.url}/")

    assert isinstance(caught.value.args[1], ConnectionResetError)


def test_a_black_hole_never_answers(proxy: FaultProxy, pool: urllib3.PoolManager, backend: Backend) -> None:
    """The client's own timeout ends it; afterwards the proxy serves as before."""
    rule = proxy.inject(BlackHole(), times=1)

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        pool.request("GET", f"{proxy.url}/", timeout=0.2)
    # On a busy machine the client may have left before its request was read.
    wait_until(lambda: rule.hits == 1, seconds=60, what="swallowed")

    assert backend.asked == []
    assert pool.request("GET", f"{proxy.url}/").status == 200


def test_a_delay_comes_before_the_answer(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """A client with less patience than the delay gives up, one with more is served."""
    longer = proxy.inject(delay=600, times=1)

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        pool.request("GET", f"{proxy.url}/", timeout=0.1)
    wait_until(lambda: longer.hits == 1, seconds=60, what="delayed")
    proxy.inject(delay=0.3)
    started = time.monotonic()
    answer = pool.request("GET", f"{proxy.url}/")

    assert answer.status == 200
    assert time.monotonic() - started >= 0.3


def test_an_answer_can_be_rewritten(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """What a stand-in backend gets wrong is set right on the way back."""
    proxy.inject(
        Rewrite(lambda request, answer: Answer(201, answer.body + request.path.encode(), answer.headers))
    )

    answer = pool.request("GET", f"{proxy.url}/x")

    assert (answer.status, answer.data) == (201, b"GET /x 0/x")


def test_a_function_may_answer_or_pass_on(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """Partial failures depend on what is asked."""
    proxy.inject(Respond(lambda request: Answer(404) if "bad" in request.path else None))

    assert pool.request("GET", f"{proxy.url}/bad").status == 404
    assert pool.request("GET", f"{proxy.url}/good").status == 200


@pytest.mark.parametrize(
    ("conditions", "hit"),
    [
        ({"method": "POST"}, True),
        ({"method": "GET"}, False),
        ({"path": r"^/v1/secret/"}, True),
        ({"path": r"^/secret/"}, False),
        ({"headers": {"x-amz-target": r"\.GetSecretValue$"}}, True),
        ({"headers": {"X-Amz-Target": "PutSecretValue"}}, False),
        ({"headers": {"X-Absent": "."}}, False),
        ({"body": '"SecretId": *"a"'}, True),
        ({"body": "other"}, False),
        ({"method": "POST", "body": "other"}, False),
    ],
    ids=str,
)
def test_a_rule_hits_only_what_meets_all_its_conditions(
    proxy: FaultProxy, pool: urllib3.PoolManager, conditions: dict[str, Any], hit: bool
) -> None:
    """One operation of a busy backend can be picked out."""
    proxy.inject(Answer(500), **conditions)

    headers = {"X-Amz-Target": "secretsmanager.GetSecretValue"}
    answer = pool.request("POST", f"{proxy.url}/v1/secret/a", body=b'{"SecretId": "a"}', headers=headers)

    assert (answer.status == 500) is hit
    assert proxy.count(**conditions) == int(hit)


def test_a_rule_can_skip_some_and_hit_some(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """The second and third of five fail: what a retry test needs."""
    rule = proxy.inject(Answer(503), skip=1, times=2)

    statuses = [pool.request("GET", f"{proxy.url}/").status for _ in range(5)]

    assert statuses == [200, 503, 503, 200, 200]
    assert (rule.seen, rule.hits) == (5, 2)


def test_the_newest_rule_decides_and_can_be_taken_back(proxy: FaultProxy, pool: urllib3.PoolManager) -> None:
    """Rules change while the proxy runs."""
    proxy.inject(Answer(500))
    newer = proxy.inject(Answer(503))

    before = pool.request("GET", f"{proxy.url}/").status
    proxy.remove(newer)
    after = pool.request("GET", f"{proxy.url}/").status

    assert (before, after) == (503, 500)


@pytest.mark.parametrize(
    ("door", "words", "patience"),
    [
        (Door.REFUSE, "refused", 20),
        # urllib3 passes over a reset that it meets while sending; the read after it then finds the end.
        (Door.RESET, "reset by peer|Remote end closed connection", 20),
        (Door.BLACK_HOLE, "timed out", 0.2),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_a_shut_door_ends_kept_connections_too_and_can_be_opened(
    proxy: FaultProxy, pool: urllib3.PoolManager, door: Door, words: str, patience: float
) -> None:
    """An outage hits clients that keep a connection; after it they find the same address."""
    assert pool.request("GET", f"{proxy.url}/").status == 200

    proxy.door = door
    # urllib3 notices a dropped kept connection by itself and opens a new one: that one meets the door.
    with pytest.raises(urllib3.exceptions.HTTPError, match=words):
        pool.request("GET", f"{proxy.url}/", timeout=patience)
    proxy.door = Door.OPEN

    assert pool.request("GET", f"{proxy.url}/").status == 200


def test_requests_are_recorded_without_showing_what_they_carry(
    proxy: FaultProxy, pool: urllib3.PoolManager
) -> None:
    """A failed assertion prints the record; it must print no credential."""
    pool.request("POST", f"{proxy.url}/", body=b"canary-body", headers={"X-Vault-Token": "canary-token"})

    assert proxy.requests[0].headers["x-vault-token"] == "canary-token"
    assert "canary" not in repr(proxy.requests)


def test_a_tls_client_that_trusts_the_authority_is_served(
    fault_proxy: Maker, backend: Backend, pool: urllib3.PoolManager
) -> None:
    """TLS ends at the proxy, with a certificate of the test authority."""
    proxy = fault_proxy(backend.url, tls=True)

    assert pool.request("GET", f"{proxy.url}/x").data == b"GET /x 0"


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        (Tls.EXPIRED, "certificate has expired"),
        (Tls.WRONG_HOST, "not valid for"),
        (Tls.UNTRUSTED, "unable to get local issuer certificate|self.signed certificate"),
        (Tls.PLAINTEXT, "WRONG_VERSION_NUMBER|wrong version number|record layer failure"),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_a_tls_fault_is_what_the_client_is_told(
    fault_proxy: Maker, backend: Backend, pool: urllib3.PoolManager, tls: Tls, words: str
) -> None:
    """Each fault leads to its own error, and the request is never sent."""
    proxy = fault_proxy(backend.url, tls=True)
    proxy.tls = tls

    with pytest.raises(urllib3.exceptions.SSLError, match=words):
        pool.request("GET", f"{proxy.url}/")

    assert proxy.requests == []


def test_a_host_out_of_reach_is_served_through_connect(
    fault_proxy: Maker, backend: Backend, e2e_authority: CertificateAuthority
) -> None:
    """HTTPS_PROXY: the client sees a certificate for the host it asked for, with its host check as strict as ever."""
    proxy = fault_proxy()
    proxy.route("oauth2.example.com", backend.url)
    context = ssl.create_default_context(cafile=str(e2e_authority.ca_file))

    with urllib3.ProxyManager(proxy.url, ssl_context=context, retries=False) as pool:
        answer = pool.request("POST", "https://oauth2.example.com/token", body=b"abc")
        other = pool.request("GET", "https://unknown.example.com/")

    assert answer.data == b"POST /token 3"
    assert other.status == 502
    assert [request.host for request in proxy.requests] == ["oauth2.example.com", "unknown.example.com"]


def test_a_plain_host_is_served_through_the_proxy(fault_proxy: Maker, backend: Backend) -> None:
    """HTTP_PROXY: for metadata servers, which speak plain HTTP at a fixed address."""
    proxy = fault_proxy()
    proxy.route("169.254.169.254", backend.url)

    with urllib3.ProxyManager(proxy.url, retries=False) as pool:
        answer = pool.request("GET", "http://169.254.169.254/latest?x=1")

    assert answer.data == b"GET /latest?x=1 0"


def test_a_dead_backend_is_a_502_of_the_proxy(fault_proxy: Maker, pool: urllib3.PoolManager) -> None:
    """A mistake in a test's set-up does not look like a fault that was asked for."""
    proxy = fault_proxy("http://127.0.0.1:1")

    answer = pool.request("GET", f"{proxy.url}/")

    assert (answer.status, b"fault proxy" in answer.data) == (502, True)


def test_it_stands_in_front_of_moto(fault_proxy: Maker, moto_server: MotoApi) -> None:
    """boto3 sees a throttle that moto itself never makes."""
    config = Config(retries={"total_max_attempts": 1})
    proxy = fault_proxy(moto_server.url)
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-3")
    client: Any = session.client("secretsmanager", endpoint_url=proxy.url, config=config)
    client.create_secret(Name="proxied", SecretString="value")
    target = {"X-Amz-Target": "GetSecretValue"}
    throttle = Answer.json(400, {"__type": "ThrottlingException", "message": "slow down"})
    proxy.inject(throttle, headers=target, times=1)

    with pytest.raises(ClientError, match="ThrottlingException"):
        client.get_secret_value(SecretId="proxied")

    assert client.get_secret_value(SecretId="proxied")["SecretString"] == "value"
    assert proxy.count(headers=target) == 2


@pytest.mark.real
def test_it_stands_in_front_of_a_vault_with_tls(
    fault_proxy: Maker, vault_tls: VaultServer, e2e_authority: CertificateAuthority
) -> None:
    """TLS on both sides: the proxy proves the backend's certificate and shows its own."""
    proxy = fault_proxy(vault_tls.address, tls=True, backend_ca=vault_tls.ca_file)
    proxy.inject(too_many_requests(retry_after=1), path="^/v1/sys/health", times=1)

    with urllib3.PoolManager(ca_certs=str(e2e_authority.ca_file), retries=False) as pool:
        first = pool.request("GET", f"{proxy.url}/v1/sys/health")
        second = pool.request("GET", f"{proxy.url}/v1/sys/health")

    assert (first.status, second.status) == (429, 200)
