"""The plain HTTP port for probes and scrapes: /healthz, /readyz, /metrics.

It serves GET and HEAD, one request per connection, and nothing that needs a body. It is reachable by everybody in the
cluster, so it trusts nobody: a connection has five seconds to say what it wants, a head has 8 KiB, and of too many waiting
connections the oldest is dropped, so that a probe gets through while somebody holds sockets open. All sockets share one
thread; answers are made by two more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from provider_common._metrics import Metrics

Check = Callable[[], tuple[bool, dict[str, object]]]
"""Tells whether all is well, and details for people."""

PATIENCE = 5.0
"""Seconds that a connection has for its request, and again for taking the answer."""
MAX_HEAD = 8 * 1024
MAX_CONNECTIONS = 128

_log = logging.getLogger(__name__)
_TEXT = "text/plain; charset=utf-8"
_Answer = tuple[HTTPStatus, bytes, str]


class HttpEndpoint:
    """Serves probes and metrics from `start` to `stop`."""

    def __init__(self, *, host: str, port: int, metrics: Metrics, health: Check, ready: Check) -> None:
        """`port` 0 takes a free one. `health` and `ready` are asked by at most two threads at a time."""
        self._host = host
        self._asked_port = port
        self._metrics = metrics
        self._checks = {"/healthz": health, "/readyz": ready}
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="http")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], None] = {}

    @property
    def port(self) -> int:
        """The port in use. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the HTTP endpoint is not started")
        return int(self._server.sockets[0].getsockname()[1])

    def start(self) -> None:
        """Bind and serve. Raises OSError, naming address and port, when that can't be had."""
        listening = _listen(self._host, self._asked_port)
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="http", daemon=True)
        self._thread.start()
        self._loop = loop
        serving = asyncio.start_server(self._connected, sock=listening, limit=MAX_HEAD)
        self._server = asyncio.run_coroutine_threadsafe(serving, loop).result()

    def stop(self) -> None:
        """Let go of the port and of all connections. Safe to call twice."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        asyncio.run_coroutine_threadsafe(self._close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._workers.shutdown()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        while len(self._open) >= MAX_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cancel()
        self._open[task] = None
        try:
            await self._serve(reader, writer)
        except (asyncio.CancelledError, TimeoutError, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._open.pop(task, None)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                head = b""
        method, answer = "GET", (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b"request too large\n", _TEXT)
        if head:
            method, target, accept = _parse(head)
            answer = await asyncio.get_running_loop().run_in_executor(
                self._workers, self._answer, method, target, accept
            )
        # With no room to buffer, `drain` waits until all is sent: a client that does not read is not kept, either.
        writer.transport.set_write_buffer_limits(high=0)
        async with asyncio.timeout(PATIENCE):
            writer.write(_encode(answer, with_body=method != "HEAD"))
            await writer.drain()
            with contextlib.suppress(OSError):
                writer.write_eof()

    def _answer(self, method: str, target: str, accept: str) -> _Answer:
        path, _, query = target.partition("?")
        if not method:
            return HTTPStatus.BAD_REQUEST, b"bad request\n", _TEXT
        if path != "/metrics" and path not in self._checks:
            return HTTPStatus.NOT_FOUND, b"not found; try /healthz, /readyz or /metrics\n", _TEXT
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", _TEXT
        try:
            if path == "/metrics":
                body, content_type = self._metrics.render()
                return HTTPStatus.OK, body, content_type
            wants_json = "application/json" in accept or "verbose" in query.split("&")
            return _check_answer(*self._checks[path](), wants_json=wants_json)
        except Exception as error:  # noqa: BLE001 - whatever breaks, the probe gets an answer
            _log.warning("%s failed: %s", path, type(error).__name__)
            return HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}\n".encode(), _TEXT


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. `::` and the empty host take IPv4 and IPv6 alike, where the machine has both."""
    bare = host.removeprefix("[").removesuffix("]")
    try:
        if bare in ("", "::") and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128
            )
        family, _, _, _, address = socket.getaddrinfo(bare or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError):
        raise OSError(
            f"Can't listen on {host}:{port} for HTTP ({why_not(host, port)}): choose another with --http-port, or --http-host"
        ) from None


def why_not(host: str, port: int) -> str:
    """Why nothing can listen there, in the system's words: what gRPC does not tell."""
    try:
        found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        with socket.socket(family) as probe:
            probe.bind(address)
    except UnicodeError:
        return "that can't be the name of a host"
    except OSError as error:
        return str(error.strerror)
    return "it was in use a moment ago"


def _check_answer(well: bool, details: dict[str, object], *, wants_json: bool) -> _Answer:
    """The body is exactly `ok` for a plain probe, as in the Go servers; `?verbose` or an Accept of JSON tells more."""
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    word = "ok" if well else "not ok"
    if wants_json:
        return (
            status,
            json.dumps({"status": word, **details}, default=str).encode() + b"\n",
            "application/json",
        )
    return status, word.encode(), _TEXT


def _parse(head: bytes) -> tuple[str, str, str]:
    """Method, target and the Accept header; an empty method when it is no HTTP/1 request."""
    request, *headers = head.decode("latin-1").split("\r\n")
    parts = request.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        return "", "", ""
    accept = [
        value.strip().lower()
        for name, _, value in (line.partition(":") for line in headers)
        if name.strip().lower() == "accept"
    ]
    return parts[0], parts[1], ",".join(accept)


def _encode(answer: _Answer, *, with_body: bool) -> bytes:
    status, body, content_type = answer
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    return head + body if with_body else head
