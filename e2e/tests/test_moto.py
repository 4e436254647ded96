"""moto's server as a process: it keeps what it is given, and forgets on demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from eso_e2e.moto import MotoApi, MotoServer


@pytest.fixture
def own_moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


def secrets_manager(server: MotoApi, region: str) -> Any:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)
    return session.client("secretsmanager", endpoint_url=server.url)


def test_a_secret_is_kept_between_clients(moto_server: MotoApi) -> None:
    """The server holds the state, not the client's process."""
    secrets_manager(moto_server, "eu-north-1").create_secret(Name="kept", SecretString="value")

    answer = secrets_manager(moto_server, "eu-north-1").get_secret_value(SecretId="kept")

    assert answer["SecretString"] == "value"


def test_a_reset_server_has_forgotten_everything(own_moto: MotoServer) -> None:
    """A test that needs an empty account gets one without a new process."""
    client = secrets_manager(own_moto, "eu-north-1")
    client.create_secret(Name="gone", SecretString="value")

    own_moto.reset()

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_secret_value(SecretId="gone")
