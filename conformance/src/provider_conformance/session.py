"""One run against one target: its connections, what it has seen, and the tidying up at the end."""

from __future__ import annotations

import base64
import contextlib
import secrets
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from provider_conformance.client import Answer, Client
from provider_conformance.target import Target, Tls
from provider_conformance.tls import Authority, Pair
from provider_conformance.verdict import Failed, NotRun

IDLE_SECONDS = 26.0
"""How long the idle connection has to survive: time for more pings than an intolerant server lets pass."""

PING_SECONDS = 5.5
"""The contract allows pings 5 s apart; a little more, so that a late timer does not make them come too fast."""


class IdleConnection:
    """Opened at the start of a run and left alone, but for pings; judged at the end, so that the wait costs nothing."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._states: list[grpc.ChannelConnectivity] = []
        self._ready = threading.Event()
        self.opened = time.monotonic()
        client.channel.subscribe(self._changed, try_to_connect=True)

    def _changed(self, state: grpc.ChannelConnectivity) -> None:
        self._states.append(state)
        if state is grpc.ChannelConnectivity.READY:
            self._ready.set()

    def judge(self) -> None:
        """Wait until the connection is old enough. Fails when it has left READY meanwhile, or can't be used now."""
        if not self._ready.wait(10):
            raise Failed("the connection could not be opened at the start of the run")
        wait = threading.Event()
        while (left := self.opened + IDLE_SECONDS - time.monotonic()) > 0 and not self._lost():
            wait.wait(min(left, 0.5))
        if self._lost():
            names = " -> ".join(state.name for state in self._states)
            raise Failed(
                f"an idle connection with a ping every {PING_SECONDS} s was closed within {IDLE_SECONDS:.0f} s: {names}"
            )
        self._client.call(health_request(), path=HEALTH).refused(
            grpc.StatusCode.OK, why="a call after idling"
        )
        if self._lost():
            raise Failed("the connection was replaced for the call after idling")

    def _lost(self) -> bool:
        after = (
            self._states[self._states.index(grpc.ChannelConnectivity.READY) :] if self._ready.is_set() else []
        )
        return len(after) > 1

    def close(self) -> None:
        """Hang up."""
        self._client.close()


HEALTH = "/grpc.health.v1.Health/Check"


def health_request(service: str = "") -> bytes:
    """A health request as bytes."""
    payload: bytes = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    return payload


class Session:
    """Holds one good connection, makes others on demand, and watches every error that passes for leaked values."""

    def __init__(self, target: Target, *, seed: int | None = None, idle: bool = True) -> None:
        """`seed` makes fuzzing repeatable. `idle` opens the connection that has to survive idling."""
        self.target = target
        self.seed = secrets.randbits(32) if seed is None else seed
        self.canary = secrets.token_hex(12)
        self.errors: list[Answer[Message]] = []
        self.secret_values: set[bytes] = {self.canary.encode()}
        self.version = f"{target.contract[0]}.{target.contract[1]}" if target.contract > (1, 0) else None
        self.client = self.connect()
        self.idle: IdleConnection | None = None
        if idle:
            self.idle = IdleConnection(self.connect(options=_PINGS))

    @property
    def tls(self) -> Tls:
        """The caller's certificates. Raises NotRun when the target is plaintext."""
        if self.target.tls is None:
            raise NotRun("the target is reached without TLS: give tls.dir")
        return self.target.tls

    @property
    def server_name(self) -> str:
        """The name that the server's certificate has to carry."""
        return self.tls.server_name or self.target.host

    def authority(self) -> Authority:
        """The target's own CA, to sign with. Raises NotRun when its key is not given."""
        if self.tls.ca_key is None:
            raise NotRun("not reachable: needs the CA's key (tls.ca_key)")
        return Authority(self.tls.ca, self.tls.ca_key)

    def credentials(
        self, pair: Pair | None = None, *, anonymous: bool = False
    ) -> grpc.ChannelCredentials | None:
        """Channel credentials with the target's client certificate, another one, or none."""
        if self.target.tls is None:
            return None
        tls = self.target.tls
        if anonymous:
            return grpc.ssl_channel_credentials(tls.ca)
        pair = pair or Pair(tls.cert, tls.key)
        return grpc.ssl_channel_credentials(tls.ca, pair.key, pair.cert)

    def connect(
        self,
        *,
        options: Sequence[tuple[str, int | str]] = (),
        credentials: grpc.ChannelCredentials | None = None,
        plaintext: bool = False,
    ) -> Client:
        """Another connection, with the usual credentials unless others are given."""
        chosen = None if plaintext else credentials or self.credentials()
        name = self.target.tls.server_name if self.target.tls else ""
        return Client(
            self.target.endpoint,
            chosen,
            server_name=name,
            options=options,
            timeout=self.target.call_timeout,
            version=self.version,
            watch=self._watch,
        )

    @contextlib.contextmanager
    def connection(self, **kwargs: Any) -> Iterator[Client]:
        """Another connection for a while."""
        client = self.connect(**kwargs)
        try:
            yield client
        finally:
            client.close()

    def serving(self, client: Client | None = None, *, timeout: float = 10.0) -> bool:
        """Whether health answers SERVING."""
        answer = (client or self.client).call(health_request(), path=HEALTH, timeout=timeout)
        return (
            answer.code is grpc.StatusCode.OK
            and health_pb2.HealthCheckResponse.FromString(answer.payload or b"").status
            == health_pb2.HealthCheckResponse.SERVING
        )

    def reconnect(self) -> None:
        """Replace the good connection, after the server was away."""
        self.client.close()
        self.client = self.connect()

    def leaks(self, text: str) -> bool:
        """Whether a secret value of this run stands in the text, in any of the usual encodings."""
        return any(form in text for value in self.secret_values for form in _forms(value))

    def close(self) -> None:
        """Hang up everywhere."""
        if self.idle is not None:
            self.idle.close()
        self.client.close()

    def _watch(self, answer: Answer[Message]) -> None:
        if answer.code is not grpc.StatusCode.OK:
            self.errors.append(answer)


_PINGS = (
    ("grpc.keepalive_time_ms", int(PING_SECONDS * 1000)),
    # The Go core wants the acknowledgement within 5 s; on a slow machine that says nothing about the server.
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)


def _forms(value: bytes) -> tuple[str, ...]:
    text = value.decode("latin-1")
    # base64 depends on the position within three bytes; the middle of each alignment is stable.
    encoded = (base64.b64encode(b"\0" * shift + value).decode()[4:-4] for shift in range(3))
    return (text, value.hex(), urllib.parse.quote(text), text[::-1], *encoded)
