"""Puts a provider on the network: mutual TLS with certificates that may change, health, reflection, metrics, a drain.

Faults of the transport override the small methods here, as faults of the meaning override those of `right.Right`.
"""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from provider_proto import (
    DESCRIPTION_SERVICE,
    GENERATOR_METHODS,
    GENERATOR_SERVICE,
    SECRET_STORE_METHODS,
    SECRET_STORE_SERVICE,
)

from .right import Right

SERVICES = {
    SECRET_STORE_SERVICE: SECRET_STORE_METHODS,
    GENERATOR_SERVICE: GENERATOR_METHODS,
    DESCRIPTION_SERVICE: ("Describe",),
}


class Served:
    """A provider at an endpoint of its own. `start` and `stop` may be called again and again: the port stays."""

    OPTIONS: ClassVar[dict[str, int]] = {
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": 5000,
        "grpc.max_connection_idle_ms": 900_000,
        "grpc.max_connection_age_ms": 1_800_000,
        "grpc.max_connection_age_grace_ms": 300_000,
        "grpc.max_receive_message_length": 4 * 1024 * 1024,
        "grpc.max_send_message_length": -1,
        "grpc.max_metadata_size": 64 * 1024,
        "grpc.so_reuseport": 0,
    }
    THREADS: ClassVar[int] = 96
    GRACE: ClassVar[float] = 10.0
    DEMANDS: ClassVar[bool] = True
    """Whether a client has to show a certificate."""

    def __init__(self, right: Right, folder: Path) -> None:
        """`folder` has ca.crt, tls.crt and tls.key."""
        self.right = right
        self.folder = folder
        self.port = 0
        self.metrics_port = 0
        self._server: grpc.Server | None = None
        self._http: http.server.ThreadingHTTPServer | None = None
        self._good: tuple[bytes, bytes, bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    def start(self) -> None:
        """Serve."""
        self._server = grpc.server(ThreadPoolExecutor(self.THREADS), options=list(self.OPTIONS.items()))
        self.register(self._server)
        self.health = self.new_health()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self.reflect(self._server)
        self.set_health()
        self.port = self.listen(self._server, f"127.0.0.1:{self.port}")
        self._server.start()
        self._serve_metrics()

    def stop(self) -> int:
        """Drain and end, as SIGTERM does; the exit status."""
        server, page = self._server, self._http
        if server is None or page is None:
            return 0
        self.drain(server)
        page.shutdown()
        page.server_close()
        self._server = self._http = None
        return self.exit_status()

    def exit_status(self) -> int:
        """Status of the process."""
        return 0

    def drain(self, server: grpc.Server) -> None:
        """Say so first, then let calls under way finish."""
        self.health.enter_graceful_shutdown()
        server.stop(self.GRACE).wait()

    def register(self, server: grpc.Server) -> None:
        """Serve the methods of every service."""
        for service, methods in SERVICES.items():
            handlers = {method: self._handler(f"/{service}/{method}") for method in methods}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))

    def new_health(self) -> health.HealthServicer:
        """The health service."""
        return health.HealthServicer(
            experimental_non_blocking=True, experimental_thread_pool=ThreadPoolExecutor(2)
        )

    def reflect(self, server: grpc.Server) -> None:
        """Serve reflection."""
        reflection.enable_server_reflection(self.reflected(), server)

    def reflected(self) -> tuple[str, ...]:
        """Services that reflection lists."""
        return (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)

    def set_health(self) -> None:
        """Health of the whole and of each service."""
        for name in ("", *SERVICES):
            self.health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def listen(self, server: grpc.Server, address: str) -> int:
        """Open the port."""
        return server.add_secure_port(address, self.credentials())

    def credentials(self) -> grpc.ServerCredentials:
        """Mutual TLS that looks at the files at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(self.read_files()), self._changed, require_client_authentication=self.DEMANDS
        )

    def _changed(self) -> Any:
        """New material; None when there is none, as gRPC crashes when it is replaced while handshakes are under way."""
        files = self.read_files()
        return None if files is None or files == self._good else self._configuration(files)

    def _configuration(self, files: tuple[bytes, bytes, bytes] | None) -> Any:
        assert files is not None
        self._good = files
        ca, cert, key = files
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)

    def read_files(self) -> tuple[bytes, bytes, bytes] | None:
        """The files; None when they can't be used together."""
        ca, cert, key = ((self.folder / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key"))
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
            context.load_verify_locations(cadata=ca.decode())
        except (ssl.SSLError, OSError, ValueError):
            return None
        return ca, cert, key

    def _handler(self, path: str) -> grpc.RpcMethodHandler[bytes, bytes]:
        call: Callable[[bytes, grpc.ServicerContext], bytes] = lambda payload, context: self.right.handle(  # noqa: E731
            path, payload, context
        )
        return grpc.unary_unary_rpc_method_handler(call)

    def page(self, path: str) -> tuple[int, str]:
        """What the HTTP port answers."""
        if path == "/metrics":
            return 200, self.right.metrics()
        return (200, "ok") if path in {"/healthz", "/readyz"} else (404, "")

    def _serve_metrics(self) -> None:
        served = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = served.page(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        class Quiet(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET
            daemon_threads = True

        self._http = Quiet(("127.0.0.1", self.metrics_port), Page)
        self.metrics_port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
