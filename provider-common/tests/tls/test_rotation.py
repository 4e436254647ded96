"""Certificates and the CA are replaced while clients call, and no call notices."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from provider_common._tls import ServerTls, TlsFiles, client_credentials
from provider_common.certificates import CertificateManager, FolderStore

Serve = Callable[[ServerTls], Any]
Until = Callable[[Callable[[], bool]], None]

CLIENTS = 3
CALLS_PER_CONNECTION = 3


class Client:
    """Calls without end, opens a new connection every few calls, and reads its files anew for each."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.connections = 0
        self.answers = 0
        self.failures: list[str] = []
        self.servers: list[int] = []
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._connect()
            except (grpc.RpcError, OSError) as error:
                self.failures.append(repr(error))
            self.connections += 1

    def _connect(self) -> None:
        credentials = client_credentials(self._folder)
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        with grpc.secure_channel(f"localhost:{self._port}", credentials, options) as channel:
            method: Any = channel.unary_unary("/any/Method")
            for _ in range(CALLS_PER_CONNECTION):
                assert method(b"hello", timeout=30) == b"hello"
                self.answers += 1
        # gRPC for Python does not tell a client whom it talks to, so it is asked in plain TLS.
        context = ssl.create_default_context(cafile=self._folder / "ca.crt")
        with (
            socket.create_connection(("localhost", self._port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        self.servers.append(x509.load_der_x509_certificate(shown).serial_number)


def serial_of(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_no_call_fails_while_leaves_and_ca_are_replaced(tmp_path: Path, serve: Serve, until: Until) -> None:
    """A rotation that fails one call in a thousand is an alert every night. New files reach the server and the clients at
    different moments, each of them first every other time, as it is with volumes of a cluster. Old and new serial numbers
    are seen on both sides, so the new material was really used."""
    now = datetime.now(UTC) - timedelta(days=1)
    issued, of_server, of_clients = (FolderStore(tmp_path / name) for name in ("issued", "server", "clients"))
    manager = CertificateManager(
        issued,
        hosts=("localhost",),
        validity=timedelta(days=10),
        renew_before=timedelta(days=9, hours=22),
        ca_validity=timedelta(days=10, hours=6),
        overlap=timedelta(hours=1),
        clock=lambda: now,
    )
    manager.ensure()
    of_server.write(issued.read())
    of_clients.write(issued.read())
    server = serve(ServerTls(TlsFiles(tmp_path / "server"), settle=60))
    clients = [Client(tmp_path / "clients", server.port) for _ in range(CLIENTS)]
    done: list[str] = []
    server_serials, client_serials = set(), set()

    def everybody_reconnects() -> None:
        counts = [client.connections for client in clients]
        until(
            lambda: all(
                client.connections >= count + 3 for client, count in zip(clients, counts, strict=True)
            )
        )

    first, second = of_server, of_clients
    try:
        while done.count("retired the old CA") < 2:
            now += timedelta(hours=1)
            done += manager.ensure().changes
            for readers in (first, second):
                readers.write(issued.read())
                everybody_reconnects()
            server_serials.add(serial_of(tmp_path / "server" / "tls.crt"))
            client_serials.add(serial_of(tmp_path / "clients" / "client.crt"))
            first, second = second, first
    finally:
        for client in clients:
            client.stop()

    assert [failure for client in clients for failure in client.failures] == []
    assert server.tls.failed_reloads == 0
    assert done.count("announced a new CA") == 2
    assert len(server_serials) > 4
    assert server_serials <= {serial for client in clients for serial in client.servers}
    assert client_serials <= set(server.echo.callers)
    assert len(server.echo.callers) == sum(client.answers for client in clients)
