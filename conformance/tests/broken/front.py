"""A TLS layer in front of a server that speaks plaintext, as a mesh or a hand-made listener puts there.

grpcio makes its own TLS, and lets nobody make it wrong; Python's `ssl` does what it is told.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import traceback
from collections.abc import Callable
from pathlib import Path


class Front:
    """Accepts on `address`, wraps each connection with the context, and relays it to the port behind."""

    def __init__(self, address: tuple[str, int], behind: int, context: Callable[[], ssl.SSLContext]) -> None:
        self._behind = behind
        self._context = context
        self._listener = socket.create_server(address)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and hang up everywhere."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def admits(self, raw: socket.socket) -> bool:
        """Whether a new connection is served at all."""
        return True

    def wrap(self, raw: socket.socket) -> socket.socket:
        """The connection with TLS."""
        return self._context().wrap_socket(raw, server_side=True)

    def _wrapped(self, raw: socket.socket) -> socket.socket:
        """`wrap`, which Python's ssl leaves with an open socket when the peer has gone meanwhile: it is closed here."""
        try:
            return self.wrap(raw)
        except OSError as problem:
            for frame, _ in traceback.walk_tb(problem.__traceback__):
                if isinstance(half := frame.f_locals.get("self"), ssl.SSLSocket):
                    half.close()
            raise

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        with self._lock:
            return len(self._open)

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError), raw:
            if not self.admits(raw):
                return
            with self._lock:
                self._open.add(raw)
            try:
                with self._wrapped(raw) as near, socket.create_connection(("127.0.0.1", self._behind)) as far:
                    self._relay(near, far)
            finally:
                with self._lock:
                    self._open.discard(raw)

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        """Both directions in one thread: an SSL socket may not be used by two at once."""
        near.settimeout(None)
        near.setblocking(False)
        far.setblocking(False)
        pair = _Pair(near, far)
        while pair.step():
            pass


class _Pair:
    """Bytes under way between two sockets that do not block."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._ways = [(near, far, bytearray()), (far, near, bytearray())]
        self._near = near

    def step(self) -> bool:
        """Move what can be moved, then wait; False when one side has hung up."""
        import select

        for source, target, kept in self._ways:
            if len(kept) < 1 << 20 and not self._read(source, kept):
                return False
            self._write(target, kept)
        readers = [source for source, _, kept in self._ways if len(kept) < 1 << 20]
        writers = [target for _, target, kept in self._ways if kept]
        if isinstance(self._near, ssl.SSLSocket) and self._near.pending():
            return True
        select.select(readers, writers, [], 5)
        return True

    @staticmethod
    def _read(source: socket.socket, kept: bytearray) -> bool:
        try:
            data = source.recv(1 << 16)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        kept += data
        return bool(data)

    @staticmethod
    def _write(target: socket.socket, kept: bytearray) -> None:
        while kept:
            try:
                del kept[: target.send(bytes(kept[: 1 << 16]))]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return


def context(folder: Path) -> ssl.SSLContext:
    """Mutual TLS as it should be, from the files in the folder."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    made.load_verify_locations(folder / "ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    made.set_alpn_protocols(["h2"])
    return made
