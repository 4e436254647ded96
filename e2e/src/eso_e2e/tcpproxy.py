"""A TCP proxy whose door can be shut in the ways networks shut doors; also the ground the HTTP fault proxy stands on.

It passes bytes and understands none of them, so it serves for gRPC as it does for LDAP.
"""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from eso_e2e.process import free_port

_CHUNK = 64 * 1024


class Door(enum.Enum):
    """What becomes of those who connect."""

    OPEN = "open"
    REFUSE = "refuse"
    """Nobody listens: connection refused."""
    RESET = "reset"
    """Accepted, then reset at once."""
    BLACK_HOLE = "black hole"
    """Accepted, and never a byte comes back."""


class Connection:
    """A client's connection; `socket` is replaced when TLS begins on it."""

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.upstream: socket.socket | None = None
        self.reset = False
        """Whether it ends with a reset instead of an orderly close."""

    def wake(self) -> None:
        """Make the thread that reads from this connection see its end. Closing is that thread's own business."""
        for end in (self.socket, self.upstream):
            if end is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(end, socket.SHUT_RD)

    def close(self) -> None:
        """Close both sides."""
        if self.reset:
            with contextlib.suppress(OSError):
                # With a linger time of zero, close() sends RST.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.socket, self.upstream):
            if end is not None:
                with contextlib.suppress(OSError):
                    socket.socket.close(end)

    def wait_for_client(self) -> None:
        """Block until the client sends something or leaves, or until `wake`."""
        with contextlib.suppress(OSError, ValueError):
            select.select([self.socket], [], [])


class TcpFaultProxy:
    """Listens on 127.0.0.1 and passes every connection on to `upstream`, until told otherwise."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        """Start listening on a free port."""
        self.upstream = upstream
        self.port = free_port()
        self.latency = 0.0
        """Seconds by which every chunk of the backend's bytes is late."""
        self._door = Door.OPEN
        self._lock = threading.RLock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._wake_read, self._wake_write = socket.socketpair()
        self.accepted = 0
        self._listen()

    @property
    def address(self) -> str:
        """Host and port to connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._connections)

    @property
    def door(self) -> Door:
        """What becomes of those who connect. Setting anything but OPEN also resets everyone who is connected."""
        return self._door

    @door.setter
    def door(self, door: Door) -> None:
        self._door = door
        if door is Door.REFUSE:
            self._stop_listening()
        elif self._listener is None:
            self._listen()
        if door is not Door.OPEN:
            self.drop_connections()

    def drop_connections(self) -> None:
        """Reset every connection there is, and wait until that is done."""
        with self._lock:
            current = dict(self._connections)
        for connection in current:
            connection.reset = True
            connection.wake()
        for thread in current.values():
            if thread is not threading.current_thread():
                thread.join()

    def close(self) -> None:
        """Stop listening and end every connection. Does nothing the second time."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._stop_listening()
        self.drop_connections()
        self._wake_read.close()
        self._wake_write.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def serve(self, connection: Connection) -> None:
        """Serve one connection until it ends; called in a thread of its own."""
        connection.upstream = socket.create_connection(self.upstream, timeout=10)
        connection.upstream.settimeout(None)
        ends = {connection.socket: connection.upstream, connection.upstream: connection.socket}
        while ends:
            readable, _, _ = select.select(list(ends), [], [])
            for source in readable:
                data = source.recv(_CHUNK)
                if source is connection.upstream and self.latency:
                    self._closing.wait(self.latency)
                if connection.reset:
                    return
                target = ends[source]
                if data:
                    target.sendall(data)
                else:
                    del ends[source]
                    with contextlib.suppress(OSError):
                        target.shutdown(socket.SHUT_WR)

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self._listener = listener
        self._accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._accepting.start()

    def _stop_listening(self) -> None:
        if self._listener is None or self._accepting is None:
            return
        self._wake_write.send(b"x")
        self._accepting.join()
        self._wake_read.recv(1)
        self._listener.close()
        self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            readable, _, _ = select.select([listener, self._wake_read], [], [])
            if self._wake_read in readable:
                return
            client, _ = listener.accept()
            connection = Connection(client)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            with self._lock:
                self.accepted += 1
                self._connections[connection] = thread
            thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            match self._door:
                case Door.OPEN:
                    # The peers' ways of hanging up are what this proxy is for; none of them is an error of its own.
                    with contextlib.suppress(OSError):
                        self.serve(connection)
                case Door.BLACK_HOLE:
                    self._hold(connection)
                case _:
                    connection.reset = True
        finally:
            connection.close()
            with self._lock:
                del self._connections[connection]

    @staticmethod
    def _hold(connection: Connection) -> None:
        with contextlib.suppress(OSError):
            while connection.socket.recv(_CHUNK):
                pass
