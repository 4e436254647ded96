"""An HTTP proxy that stands in front of a real backend and makes it fail on demand.

It speaks HTTP/1.1 over plain TCP or TLS, in three ways: in front of one backend (`FaultProxy(url)`), as the proxy of
HTTPS_PROXY for hosts that can't be reached from a test (CONNECT: TLS ends here, with a certificate of the test CA), and
as the proxy of HTTP_PROXY. Answers are read whole before they are passed on; it refuses HTTP/2 and upgrades.
"""

from __future__ import annotations

import contextlib
import enum
import http.server
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from eso_e2e.faults import Answer, BlackHole, Cut, Fault, RecordedRequest, Reset, Respond, Rewrite, Rule
from eso_e2e.pki import LOOPBACK, CertificateAuthority, KeyPair
from eso_e2e.tcpproxy import Connection, TcpFaultProxy

_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
}


class Tls(enum.Enum):
    """What a TLS client is shown."""

    GOOD = "good"
    EXPIRED = "expired"
    WRONG_HOST = "wrong host"
    UNTRUSTED = "untrusted"
    """A certificate of another authority."""
    PLAINTEXT = "plaintext"
    """HTTP in the clear where TLS is expected."""


class FaultProxy(TcpFaultProxy):
    """A proxy in front of `backend` (a URL), with rules that can be changed while it runs.

    The newest rule that matches a request decides; without one the request is passed on. `requests` holds all that
    came, in order.
    """

    def __init__(
        self,
        backend: str | None = None,
        *,
        authority: CertificateAuthority | None = None,
        tls: bool = False,
        backend_ca: Path | None = None,
        backend_client: KeyPair | None = None,
        hosts: tuple[str, ...] = LOOPBACK,
    ) -> None:
        """Listen at once. `authority` issues what TLS clients are shown, `backend_ca` proves an https backend."""
        self.tls = Tls.GOOD
        self.requests: list[RecordedRequest] = []
        self._authority = authority
        self._tls_on_accept = tls
        self._hosts = hosts
        self._routes: dict[str, str] = {}
        self._rules: list[Rule] = []
        self._contexts: dict[tuple[Tls, tuple[str, ...]], ssl.SSLContext] = {}
        self._backend = backend
        options: dict[str, Any] = {
            "retries": False,
            "timeout": urllib3.Timeout(connect=5, read=120),
            "maxsize": 32,
        }
        if backend_ca is not None:
            options |= {"cert_reqs": "CERT_REQUIRED", "ca_certs": str(backend_ca)}
        if backend_client is not None:
            options |= {"cert_file": str(backend_client.cert), "key_file": str(backend_client.key)}
        self._pool = urllib3.PoolManager(**options)
        self._exchange_lock = threading.Lock()
        super().__init__(("", 0))

    @property
    def url(self) -> str:
        """Where clients send what is meant for the backend."""
        return f"{'https' if self._tls_on_accept else 'http'}://{self.address}"

    def route(self, host: str, backend: str) -> None:
        """Send requests for `host` that arrive through CONNECT or in absolute form to the URL `backend`."""
        self._routes[host] = backend

    def inject(
        self,
        fault: Fault | None = None,
        *,
        delay: float = 0.0,
        method: str | None = None,
        host: str | None = None,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> Rule:
        """Add a rule and return it; conditions are regular expressions. The newest rule is asked first."""
        conditions = {"method": method, "host": host, "path": path, "headers": headers or {}, "body": body}
        rule = Rule(fault, delay, skip=skip, times=times, **conditions)  # type: ignore[arg-type]
        with self._exchange_lock:
            self._rules.insert(0, rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take one rule back."""
        with self._exchange_lock:
            self._rules.remove(rule)

    def reset(self) -> None:
        """Forget rules, faults of the connection and recorded requests: as new, for the next test."""
        with self._exchange_lock:
            self._rules.clear()
            self.requests.clear()
        self.tls = Tls.GOOD
        self.latency = 0.0
        self.door = type(self.door).OPEN

    def count(self, **conditions: Any) -> int:
        """Return how many recorded requests meet `conditions` (as in `inject`)."""
        rule = Rule(None, **conditions)
        with self._exchange_lock:
            return sum(rule.matches(request) for request in self.requests)

    def close(self) -> None:
        """Stop listening, end every connection, close those to the backend."""
        super().close()
        self._pool.clear()

    def serve(self, connection: Connection) -> None:
        """Serve one client until it leaves."""
        if self._tls_on_accept and self.tls is not Tls.PLAINTEXT:
            self.start_tls(connection, self._hosts)
        _Exchange(connection, self)

    def start_tls(self, connection: Connection, hosts: tuple[str, ...]) -> None:
        """Begin TLS as the server named `hosts`. Raises OSError if the client does not like the certificate."""
        connection.socket = self._context(hosts).wrap_socket(connection.socket, server_side=True)

    def decide(self, request: RecordedRequest) -> Rule | None:
        """Record `request` and return the rule that hits it, if any."""
        with self._exchange_lock:
            self.requests.append(request)
            for rule in self._rules:
                if rule.matches(request) and rule.take():
                    return rule
        return None

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the proxy lives."""
        self._closing.wait(seconds)

    def ask_backend(self, request: RecordedRequest, host: str | None) -> Answer:
        """Pass `request` on; `host` is set if it came through CONNECT or in absolute form."""
        backend = self._backend if host is None else self._routes.get(host, self._backend)
        if backend is None:
            return Answer(502, f"the fault proxy has no route for {request.host}\n".encode())
        request.forwarded = True
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        try:
            answer = self._pool.request(
                request.method,
                backend.rstrip("/") + request.path,
                body=request.body,
                headers=headers,
                redirect=False,
                decode_content=False,
                assert_same_host=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return Answer(502, f"the fault proxy's backend failed: {type(error).__name__}\n".encode())
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        return Answer(answer.status, answer.data, kept)

    def _context(self, hosts: tuple[str, ...]) -> ssl.SSLContext:
        with self._exchange_lock:
            known = self._contexts.get((self.tls, hosts))
            if known is None:
                known = self._contexts[self.tls, hosts] = self._make_context(self.tls, hosts)
            return known

    def _make_context(self, tls: Tls, hosts: tuple[str, ...]) -> ssl.SSLContext:
        if self._authority is None:
            raise ValueError("a fault proxy needs a CertificateAuthority to speak TLS")
        authority = self._authority
        if tls is Tls.UNTRUSTED:
            authority = CertificateAuthority(authority.folder / "untrusted", "eso-e2e untrusted CA")
        shown = ("elsewhere.example.com",) if tls is Tls.WRONG_HOST else hosts
        name = f"proxy-{self.port}-{tls.name.lower()}-{shown[0]}"
        pair = authority.issue(name, shown, expired=tls is Tls.EXPIRED)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        context.set_alpn_protocols(["http/1.1"])
        return context


class _Exchange(http.server.BaseHTTPRequestHandler):
    """Requests and answers on one connection, one after the other."""

    protocol_version = "HTTP/1.1"

    def __init__(self, connection: Connection, proxy: FaultProxy) -> None:
        self._connection = connection
        self._proxy = proxy
        self._tunnel_host: str | None = None
        super().__init__(connection.socket, ("", 0), None)  # type: ignore[arg-type]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():
            return
        if self.command == "CONNECT":
            self._begin_tunnel()
            return
        host, path = self._target()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = RecordedRequest(self.command, host or headers.get("host", ""), path, headers, self._body())
        self._answer(request, host)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Write nothing: requests are recorded, and may carry credentials."""

    def _begin_tunnel(self) -> None:
        host = self.path.rsplit(":", 1)[0]
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self.finish()
        self._proxy.start_tls(self._connection, (host,))
        self._tunnel_host = host
        self.request = self._connection.socket
        self.setup()
        self.close_connection = False

    def _target(self) -> tuple[str | None, str]:
        if self._tunnel_host is not None or self.path.startswith("/"):
            return self._tunnel_host, self.path
        parts = urlsplit(self.path)
        return parts.netloc, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass

    def _answer(self, request: RecordedRequest, host: str | None) -> None:
        rule = self._proxy.decide(request)
        if rule is not None and rule.delay:
            self._proxy.pause(rule.delay)
        match rule.fault if rule is not None else None:
            case Answer() as made_up:
                self._send(request, made_up)
            case BlackHole():
                self.close_connection = True
                self._connection.wait_for_client()
            case Reset(after_backend):
                if after_backend:
                    self._proxy.ask_backend(request, host)
                self._connection.reset = self.close_connection = True
            case Cut(keep):
                self._send(request, self._proxy.ask_backend(request, host), keep=keep)
            case Rewrite(change):
                self._send(request, change(request, self._proxy.ask_backend(request, host)))
            case Respond(answer):
                self._send(request, answer(request) or self._proxy.ask_backend(request, host))
            case None:
                self._send(request, self._proxy.ask_backend(request, host))

    def _send(self, request: RecordedRequest, answer: Answer, *, keep: int | None = None) -> None:
        request.status = answer.status
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if answer.status >= 200 and answer.status not in {204, 304}:
            length = answer.headers.get("Content-Length") if request.method == "HEAD" else None
            self.send_header("Content-Length", length or str(len(answer.body)))
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(answer.body if keep is None else answer.body[:keep])
        self.wfile.flush()
        if keep is not None:
            self.close_connection = True

    def finish(self) -> None:
        """Close the buffered files; the socket is the proxy's to close."""
        with contextlib.suppress(OSError):
            super().finish()
