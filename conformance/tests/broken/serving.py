"""Faults of the network's side: TLS, transport, metrics, drain."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import warnings
from typing import Any, ClassVar

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection
from provider_conformance.tls import Authority
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

from . import front
from .fault import caught_by
from .right import Code, Refusal, Right, Secret, invalid
from .served import Served

BAD_CERTIFICATES = (
    "transport.wrong-ca-refused",
    "transport.lookalike-ca-refused",
    "transport.expired-refused",
    "transport.not-yet-valid-refused",
)


@caught_by("transport.client-certificate-demanded", *BAD_CERTIFICATES)
class AcceptsAnyClient(Served):
    """A client certificate is neither demanded nor looked at."""

    DEMANDS: ClassVar[bool] = False


class Fronted(Served):
    """A provider behind a TLS layer of its own."""

    FRONT: ClassVar[type[front.Front]] = front.Front

    def context(self) -> ssl.SSLContext:
        """The fault; a right context to begin with."""
        return front.context(self.folder)

    def _usable(self) -> ssl.SSLContext:
        with contextlib.suppress(ssl.SSLError, OSError):  # files that can't be used change nothing
            self.used = self.context()
        return self.used

    def listen(self, server: grpc.Server, address: str) -> int:
        behind = server.add_insecure_port("127.0.0.1:0")
        host, _, port = address.partition(":")
        self.front = self.FRONT((host, int(port)), behind, self._usable)
        return self.front.port

    def drain(self, server: grpc.Server) -> None:
        super().drain(server)
        self.front.close()


@caught_by("transport.client-certificate-demanded")
class DemandsNoCertificate(Fronted):
    """A client certificate is verified if there is one, and not demanded."""

    def context(self) -> ssl.SSLContext:
        made = super().context()
        made.verify_mode = ssl.CERT_OPTIONAL
        return made


@caught_by("transport.expired-refused", "transport.not-yet-valid-refused")
class IgnoresDates(Fronted):
    """The validity period of a client certificate is not looked at."""

    def context(self) -> ssl.SSLContext:
        made = super().context()
        made.verify_flags |= 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name
        return made


@caught_by("transport.old-tls-refused")
class SpeaksOldTls(Fronted):
    """TLS 1.0 and 1.1 are served for an old peer."""

    def context(self) -> ssl.SSLContext:
        made = super().context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            made.minimum_version = ssl.TLSVersion.TLSv1
        made.set_ciphers("ALL:@SECLEVEL=0")
        return made


@caught_by("transport.tls12-and-13")
class SpeaksTls12Only(Fronted):
    """TLS 1.3 is not served."""

    def context(self) -> ssl.SSLContext:
        made = super().context()
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        return made


@caught_by("transport.alpn-h2", only=("transport.alpn-h2", "transport.tls12-and-13", "transport.server-name"))
class SelectsNoProtocol(Fronted):
    """No ALPN protocol is selected. No gRPC client goes on from there, so only handshakes are judged."""

    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        made.load_verify_locations(self.folder / "ca.crt")
        made.verify_mode = ssl.CERT_REQUIRED
        return made


@caught_by("transport.server-name", only=("transport.server-name",))
class HasAStrangersCertificate(Served):
    """The server's certificate is of another CA. No client goes on from there, so only the handshake is judged."""

    def read_files(self) -> tuple[bytes, bytes, bytes] | None:
        stranger = Authority.make().issue("provider", names=("localhost", "127.0.0.1"), server=True)
        return (self.folder / "ca.crt").read_bytes(), stranger.cert, stranger.key


class Peeking(front.Front):
    """A front that also lets plaintext pass: it looks whether the first byte begins a TLS handshake."""

    def wrap(self, raw: socket.socket) -> socket.socket:
        first = raw.recv(1, socket.MSG_PEEK)
        return super().wrap(raw) if first == b"\x16" else raw


@caught_by("transport.plaintext-refused")
class ServesPlaintext(Fronted):
    """A development flag is on: plaintext is served beside TLS."""

    FRONT = Peeking


class Full(front.Front):
    """A front with room for a few connections."""

    def admits(self, raw: socket.socket) -> bool:
        return self.open_connections < 10


@caught_by("transport.many-connections")
class ServesTenConnections(Fronted):
    """The eleventh connection is hung up on."""

    FRONT = Full


class ReadsOnce(Served):
    """A provider that keeps something of what it read first."""

    kept: tuple[bytes, bytes, bytes] | None = None

    def keep(
        self, first: tuple[bytes, bytes, bytes], now: tuple[bytes, bytes, bytes]
    ) -> tuple[bytes, bytes, bytes]:
        """The fault."""
        raise NotImplementedError

    def read_files(self) -> tuple[bytes, bytes, bytes] | None:
        now = super().read_files()
        if now is None:
            return None
        self.kept = self.kept or now
        return self.keep(self.kept, now)


@caught_by("transport.leaf-reload", "transport.ca-reload")
class NeverReloads(ReadsOnce):
    """Certificates are read at the start, and never again."""

    def keep(
        self, first: tuple[bytes, bytes, bytes], now: tuple[bytes, bytes, bytes]
    ) -> tuple[bytes, bytes, bytes]:
        return first


@caught_by("transport.half-written-files")
class UsesWhateverIsThere(Served):
    """New files are put to use without being tried."""

    def read_files(self) -> tuple[bytes, bytes, bytes] | None:
        ca, cert, key = ((self.folder / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key"))
        return ca, cert, key


# Transport


@caught_by("transport.idle-connection")
class ToleratesNoPings(Served):
    """The gRPC library's own ping policy: GOAWAY too_many_pings."""

    OPTIONS: ClassVar[dict[str, int]] = {
        name: value
        for name, value in Served.OPTIONS.items()
        if name not in {"grpc.keepalive_permit_without_calls", "grpc.http2.min_ping_interval_without_data_ms"}
    }


class WellLater(health.HealthServicer):
    """Health that is bad the first time it is asked for as a whole."""

    asked = False

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        first = not request.service and not self.asked
        self.asked = self.asked or first
        if first:
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)
        return super().Check(request, context)


@caught_by("transport.health-serving")
class BecomesWellLater(Served):
    """The server listens before its health says so."""

    def new_health(self) -> health.HealthServicer:
        return WellLater()


@caught_by("transport.health-per-service")
class HasOverallHealthOnly(Served):
    """Health of the services is not set."""

    def set_health(self) -> None:
        self.health.set("", health_pb2.HealthCheckResponse.SERVING)


class AlwaysWell(health.HealthServicer):
    """Health that asks nobody."""

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@caught_by("transport.health-unknown-service")
class IsAlwaysWell(Served):
    """Everything is SERVING, whatever it is called."""

    def new_health(self) -> health.HealthServicer:
        return AlwaysWell()


@caught_by("transport.reflection-lists", "transport.field-numbers")
class HasNoReflection(Served):
    """Reflection is not served."""

    def reflect(self, server: grpc.Server) -> None:
        pass


@caught_by("transport.field-numbers")
class NumbersFieldsAnew(Served):
    """The provider was made from a .proto file in which key and version have changed places."""

    def reflect(self, server: grpc.Server) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in (*_files(secretstore_pb2.DESCRIPTOR), *_files(generator_pb2.DESCRIPTOR)):
            proto = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)
            for message in proto.message_type:
                if message.name == "ExternalSecretDataRemoteRef":
                    message.field[0].number, message.field[1].number = 2, 1
            pool.Add(proto)
        reflection.enable_server_reflection(self.reflected(), server, pool)


def _files(file: Any) -> list[Any]:
    return [*(found for needed in file.dependencies for found in _files(needed)), file]


class CatchAll(grpc.GenericRpcHandler):
    """A handler for every method there may be."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if "ServerReflectionInfo" in handler_call_details.method:
            return None

        def refuse(payload: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(Code.INVALID_ARGUMENT, "no such method")
            return b""

        return grpc.unary_unary_rpc_method_handler(refuse)


@caught_by("transport.unknown-method")
class CatchesEveryMethod(Served):
    """A method that does not exist is INVALID_ARGUMENT."""

    def reflect(self, server: grpc.Server) -> None:
        super().reflect(server)
        server.add_generic_rpc_handlers((CatchAll(),))


@caught_by("transport.large-request", "write.large", "hostile.huge-key")
class TakesOneMebibyte(Served):
    """Requests over 1 MiB are refused."""

    OPTIONS: ClassVar[dict[str, int]] = Served.OPTIONS | {"grpc.max_receive_message_length": 1 << 20}


@caught_by("transport.oversize-request")
class TakesAnySize(Served):
    """The limit of requests is switched off."""

    OPTIONS: ClassVar[dict[str, int]] = Served.OPTIONS | {"grpc.max_receive_message_length": -1}


@caught_by("transport.request-metadata")
class RefusesUnknownMetadata(Right):
    """Metadata that the provider does not know is refused."""

    def check_version(self, context: grpc.ServicerContext) -> None:
        super().check_version(context)
        for name, _ in context.invocation_metadata():
            if name.startswith("x-"):
                raise invalid(f"metadata {name!r}")


@caught_by("transport.too-large-answer", "find.over-four-mib")
class AnswersAnySize(Right):
    """Answers over 4 MiB are sent, and the caller's library refuses them."""

    def check_size(self, response: bytes) -> None:
        pass


# Metrics


@caught_by(
    "metrics.endpoint",
    "metrics.counts-successes",
    "metrics.counts-errors",
    "metrics.duration",
    "metrics.bounded",
    "metrics.no-values",
    "metrics.backend-calls",
)
class HasNoMetrics(Served):
    """There is no /metrics."""

    def page(self, path: str) -> tuple[int, str]:
        return (404, "") if path == "/metrics" else super().page(path)


@caught_by("metrics.healthz")
class HasNoHealthz(Served):
    """There is no /healthz."""

    def page(self, path: str) -> tuple[int, str]:
        return (404, "") if path == "/healthz" else super().page(path)


class Metrics(Right):
    """A provider with another metrics page."""

    def change(self, page: str) -> str:
        """The fault."""
        raise NotImplementedError

    def metrics(self) -> str:
        return self.change(super().metrics())


@caught_by("metrics.counts-successes", "metrics.counts-errors", "metrics.duration")
class CountsBareMethods(Metrics):
    """Methods are counted without their service's name."""

    def change(self, page: str) -> str:
        return page.replace('method="/provider.v1.SecretStoreProvider/', 'method="')


@caught_by("metrics.endpoint", "metrics.counts-successes", "metrics.counts-errors")
class NamesMetricsDifferently(Metrics):
    """The counter has the gRPC library's usual name."""

    def change(self, page: str) -> str:
        return page.replace("grpc_server_requests_total", "grpc_server_handled_total")


@caught_by("metrics.counts-errors")
class CountsSuccessesOnly(Right):
    """Calls that fail are not counted."""

    def count(self, path: str, seconds: float, *, ok: bool) -> None:
        if ok:
            super().count(path, seconds, ok=ok)


@caught_by("metrics.duration")
class HasOtherBuckets(Right):
    """The histogram has its library's default buckets."""

    BUCKETS: ClassVar[tuple[float, ...]] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@caught_by("metrics.bounded")
class CountsEachKey(Right):
    """The metrics have a series for every key."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[int] = set()

    def absent(self, key: str) -> Refusal:
        self.keys.add(hash(key))
        return super().absent(key)

    def metrics(self) -> str:
        return super().metrics() + "".join(f'reads_total{{key="{key}"}} 1\n' for key in self.keys)


@caught_by("metrics.no-values")
class MetricsTellValues(Right):
    """The value that could not be made a map of stands in a label."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[str] = []

    def not_an_object(self, key: str, value: bytes) -> Refusal:
        if value.isascii() and value.replace(b" ", b"").replace(b",", b"").isalnum():
            self.failed = [value.decode()]
        return super().not_an_object(key, value)

    def metrics(self) -> str:
        return super().metrics() + "".join(f'failed_total{{reason="{text}"}} 1\n' for text in self.failed)


# Drain


@caught_by("drain.exits-zero")
class ExitsWithAnError(Served):
    """SIGTERM ends the process like a crash."""

    def exit_status(self) -> int:
        return 143


@caught_by("drain.finishes-calls")
class CutsCallsOff(Served):
    """The server is stopped without a grace period."""

    def drain(self, server: grpc.Server) -> None:
        self.health.enter_graceful_shutdown()
        server.stop(0).wait()


@caught_by("drain.refuses-new-calls")
class ServesUntilTheEnd(Served):
    """Health is SERVING, and connections are served, until the calls under way are done."""

    def drain(self, server: grpc.Server) -> None:
        deadline = time.monotonic() + self.GRACE
        while any(self.right.busy.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        server.stop(0.5).wait()


@caught_by("drain.loses-nothing")
class FailsWhileItEnds(Served):
    """Calls that come while the provider ends are defects."""

    def drain(self, server: grpc.Server) -> None:
        before, self.right = self.right, _Ending()
        time.sleep(0.2)
        super().drain(server)
        self.right = before


class _Ending(Right):
    def answer(self, method: str, payload: bytes, context: grpc.ServicerContext) -> bytes:
        raise RuntimeError("closed")


@caught_by("drain.same-after-restart")
class ForgetsAtRestart(Served):
    """What is needed after a restart lives in the memory of the process."""

    def drain(self, server: grpc.Server) -> None:
        super().drain(server)
        self.right.backends["team-a", "main"].secrets["fixture"] = Secret([b"a default"])
