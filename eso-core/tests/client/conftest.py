"""A peer on loopback with mutual TLS that answers what a test tells it to, in any dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from eso_core.api.stores import Store
from eso_core.client.endpoints import ClientTls, Endpoint, host_of, read_tls
from eso_core.client.provider import GrpcCalls
from eso_core.reconcile.calls import Via
from eso_core.reconcile.routing import Settings, way
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from provider_common.testing import issue_certs

HOSTS = ("provider-contrib.default.svc", "provider-password.default.svc")


@dataclass(frozen=True)
class Failure:
    """A status to answer with."""

    code: grpc.StatusCode
    text: str = ""
    details: tuple[Message, ...] = ()
    trailing: tuple[tuple[str, str | bytes], ...] = ()


@dataclass
class Peer(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers by method name; remembers requests as bytes, and their metadata."""

    answers: dict[str, Message | Failure | list[Message | Failure]] = field(default_factory=dict)
    requests: list[tuple[str, bytes, dict[str, Any]]] = field(default_factory=list)
    time_left: list[float] = field(default_factory=list)
    version: str = ""
    port: int = 0

    def service(self, handler_call_details: Any) -> Any:
        path = handler_call_details.method
        metadata = dict(handler_call_details.invocation_metadata)

        def answer(request: bytes, context: Any) -> bytes:
            self.requests.append((path, request, metadata))
            self.time_left.append(context.time_remaining())
            found = self.answers[path.rpartition("/")[2]]
            if isinstance(found, list):
                found = found.pop(0)
            if self.version:
                context.set_trailing_metadata((("eso-contract-version", self.version),))
            if isinstance(found, Failure):
                trailing = list(found.trailing)
                if found.details:
                    status = status_pb2.Status(code=found.code.value[0], message=found.text)
                    for detail in found.details:
                        packed = AnyMessage()
                        packed.Pack(detail)
                        status.details.append(packed)
                    trailing.append(("grpc-status-details-bin", status.SerializeToString()))
                context.set_trailing_metadata(tuple(trailing))
                context.abort(found.code, found.text)
            return found.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@dataclass(frozen=True)
class At:
    """Every store's provider is at one port."""

    port: int
    tls: ClientTls

    def endpoint(self, store: Store) -> Endpoint:
        address = store.spec.provider_config.address
        return Endpoint(f"127.0.0.1:{self.port}", host_of(address), self.tls)


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Certificates for the host that the manifests name; not for the loopback address that is dialed."""
    return issue_certs(tmp_path_factory.mktemp("certs"), hosts=HOSTS)


@pytest.fixture
def serve(certs: Any) -> Iterator[Callable[..., Peer]]:
    """Starts peers, with the given certificates or the usual ones."""
    servers = []

    def start(material: Any = certs) -> Peer:
        peer = Peer()
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((peer,))
        credentials = grpc.ssl_server_credentials(
            [(material.server_key.read_bytes(), material.server_cert.read_bytes())],
            material.ca_file.read_bytes(),
            require_client_auth=True,
        )
        peer.port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        servers.append(server)
        return peer

    yield start
    for server in servers:
        server.stop(None).wait()


@pytest.fixture
def peer(serve: Callable[..., Peer]) -> Peer:
    """A peer with the usual certificates."""
    return serve()


@pytest.fixture
def connect(certs: Any) -> Iterator[Callable[..., GrpcCalls]]:
    """Makes the core's client of a peer."""
    made = []

    def client(peer: Peer, tls: Path = certs.path, **options: Any) -> GrpcCalls:
        calls = GrpcCalls(At(peer.port, read_tls(tls)), **options)
        made.append(calls)
        return calls

    yield client
    for calls in made:
        calls.close()


@pytest.fixture
def via(world: Any) -> Via:
    """The way of the usual store."""
    return way(world.change("SecretStore"), "team-a", Settings())


@pytest.fixture
def failure() -> type[Failure]:
    """Makes a status to answer with."""
    return Failure


@pytest.fixture
def retry_info() -> Callable[[float], Message]:
    """Makes the standard detail for a delay."""

    def made(seconds: float) -> Message:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromMilliseconds(int(seconds * 1000))
        return info

    return made
