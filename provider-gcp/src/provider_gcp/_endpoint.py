"""Where Secret Manager listens, and the connection to it: one channel per endpoint, whoever asks.

The channel carries no credentials; each call brings its own token, so stores of different identities share it.
"""

from __future__ import annotations

import os
from typing import Any

import grpc
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from provider_common import Context

ENDPOINT = "GCP_SECRET_MANAGER_ENDPOINT"
"""host:port instead of Google's global endpoint: Private Service Connect, or a test server."""
REGIONAL_ENDPOINT = "GCP_SECRET_MANAGER_REGIONAL_ENDPOINT"
"""The same for regional secrets; `{location}` in it becomes the location."""


def endpoint(location: str) -> str:
    """host:port for the secrets of a location; empty means global."""
    if location:
        pattern = os.environ.get(REGIONAL_ENDPOINT) or "secretmanager.{location}.rep.googleapis.com:443"
        return pattern.replace("{location}", location)
    return os.environ.get(ENDPOINT) or "secretmanager.googleapis.com:443"


class Connection:
    """A channel and Google's client on it."""

    def __init__(self, target: str) -> None:
        # TLS always; roots are grpc's own or those of GRPC_DEFAULT_SSL_ROOTS_FILE_PATH.
        self._channel = grpc.secure_channel(
            target,
            grpc.ssl_channel_credentials(),
            (
                (
                    "grpc.max_receive_message_length",
                    -1,
                ),  # pages of a list; the wire to the core has its own limit
                ("grpc.max_reconnect_backoff_ms", 5000),
                ("grpc.keepalive_time_ms", 60_000),
            ),
        )
        self.client = SecretManagerServiceClient(
            transport=SecretManagerServiceGrpcTransport(channel=self._channel)
        )

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def connect(ctx: Context[Any], location: str) -> Any:
    """Google's client for `location`."""
    target = endpoint(location)
    return ctx.shared(("gcp-channel", target), lambda: Connection(target)).client
