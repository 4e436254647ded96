"""Where a provider is and how to prove who we are: one channel for each address and set of certificates."""

from __future__ import annotations

import hashlib
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc

from eso_core.api.stores import Store
from eso_core.reconcile.calls import CallError

_MIB = 1024 * 1024
FILES = ("ca.crt", "client.crt", "client.key")
"""Names of a client's material, in a folder and in a Secret."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """A client's material, PEM."""

    ca: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Tells materials apart without showing them."""
        parts = b"\0".join((self.ca, self.certificate, self.key))
        return hashlib.sha256(parts).hexdigest()


def read_tls(folder: Path) -> ClientTls:
    """The material in `folder`. Raises CallError naming the file that is missing, empty or no PEM."""
    contents = []
    for name in FILES:
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise CallError(
                f"{folder / name}: {error.strerror}: `--tls-dir` needs {', '.join(FILES)}"
            ) from None
        if not content.strip():
            raise CallError(f"{folder / name} is empty: `--tls-dir` needs {', '.join(FILES)}")
        contents.append(content)
    _check(folder)
    return ClientTls(*contents)


def _check(folder: Path) -> None:
    """What gRPC would only find out when it connects, and would then put down to the network."""
    ca, certificate, key = (folder / name for name in FILES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise CallError(f"{ca} holds no certificate: write the provider's CA there, as PEM") from None
    try:
        # Without a password to give, OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError):
        raise CallError(
            f"{certificate} and {key} are not a certificate and its key: write both as PEM, the key without a password"
        ) from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to. `host` is the name that the certificate has to carry; it may be another one than `target`'s."""

    target: str
    host: str
    tls: ClientTls


class Endpoints(Protocol):
    """Finds the endpoint of a store's provider."""

    def endpoint(self, store: Store) -> Endpoint:
        """Where to connect for `store`. Raises CallError when that can't be told."""


def host_of(address: str) -> str:
    """The host in `host:port`."""
    return address.rpartition(":")[0].strip("[]")


def channel_options(host: str) -> list[tuple[str, str | int]]:
    """What the contract asks of a client: pings that Go servers tolerate, answers of at most 4 MiB, room for the error texts
    that travel in trailers, and the manifest's host as the name to verify.
    """
    return [
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", 4 * _MIB),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", _MIB),
        ("grpc.absolute_max_metadata_size", 2 * _MIB),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.ssl_target_name_override", host),
        ("grpc.default_authority", host),
    ]


class Channels:
    """Channels that are kept open, one for each target, host and material."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[tuple[str, str, str], grpc.Channel] = {}
        self._closed = False

    def get(self, endpoint: Endpoint) -> grpc.Channel:
        """The channel to `endpoint`, made when there is none. It connects with the first call. Raises CallError after `close`."""
        key = (endpoint.target, endpoint.host, endpoint.tls.digest)
        with self._lock:
            if self._closed:
                raise CallError("the core is shutting down", code="CANCELLED", retryable=True)
            channel = self._channels.get(key)
            if channel is None:
                tls = endpoint.tls
                credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
                channel = grpc.secure_channel(endpoint.target, credentials, channel_options(endpoint.host))
                self._channels[key] = channel
            return channel

    def close(self) -> None:
        """Close all channels; calls under way are cut off."""
        with self._lock:
            self._closed = True
            channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            channel.close()
