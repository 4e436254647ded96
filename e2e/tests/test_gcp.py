"""The Secret Manager that runs here, asked by Google's own client: what it does that Google does."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from eso_e2e.gcp import NUMBER, SecretManagerServer
from eso_e2e.pki import CertificateAuthority
from google.api_core import exceptions
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

PARENT = "projects/acme"
TOKEN = [("authorization", "Bearer good")]


@pytest.fixture(scope="module")
def server(e2e_authority: CertificateAuthority) -> Iterator[SecretManagerServer]:
    pair = e2e_authority.issue("secretmanager-itself")
    with SecretManagerServer(pair, accepts=lambda token: token == "good", page=3) as running:
        yield running


@pytest.fixture(scope="module")
def client(
    server: SecretManagerServer, e2e_authority: CertificateAuthority
) -> Iterator[sm.SecretManagerServiceClient]:
    credentials = grpc.ssl_channel_credentials(e2e_authority.ca_file.read_bytes())
    with grpc.secure_channel(server.address, credentials) as channel:
        transport = SecretManagerServiceGrpcTransport(channel=channel)
        yield sm.SecretManagerServiceClient(transport=transport)


@pytest.fixture(autouse=True)
def empty(server: SecretManagerServer) -> None:
    server.reset()


def test_a_secret_lives_and_ends(client: sm.SecretManagerServiceClient) -> None:
    """And answers have the project's number, as Google's do."""
    secret = sm.Secret(replication=sm.Replication(automatic=sm.Replication.Automatic()))
    request = sm.CreateSecretRequest(parent=PARENT, secret_id="db", secret=secret)
    made = client.create_secret(request, metadata=TOKEN)
    assert made.name == f"projects/{NUMBER}/secrets/db"

    client.add_secret_version(
        sm.AddSecretVersionRequest(parent=f"{PARENT}/secrets/db", payload=sm.SecretPayload(data=b"v")),
        metadata=TOKEN,
    )
    latest = f"{PARENT}/secrets/db/versions/latest"
    assert client.access_secret_version(name=latest, metadata=TOKEN).payload.data == b"v"

    client.delete_secret(name=f"{PARENT}/secrets/db", metadata=TOKEN)
    with pytest.raises(exceptions.NotFound, match=r"not found or has no versions"):
        client.access_secret_version(name=latest, metadata=TOKEN)


def test_lists_have_pages_and_filters(
    server: SecretManagerServer, client: sm.SecretManagerServiceClient
) -> None:
    for number in range(8):
        server.put(f"s{number}", b"v", labels={"odd": str(number % 2)})

    every = [secret.name[-2:] for secret in client.list_secrets(request={"parent": PARENT}, metadata=TOKEN)]
    odd = client.list_secrets(request={"parent": PARENT, "filter": 'labels.odd="1" name:s'}, metadata=TOKEN)

    assert every == [f"s{number}" for number in range(8)]
    assert [secret.name[-2:] for secret in odd] == ["s1", "s3", "s5", "s7"]
    assert server.count("ListSecrets") == 3 + 2


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_checksum_has_to_be_that_of_the_value(
    server: SecretManagerServer, client: sm.SecretManagerServiceClient, right: bool
) -> None:
    """And comes back with it."""
    server.put("db", None)
    payload = sm.SecretPayload(data=b"123456789", data_crc32c=0xE3069283 if right else 1)
    request = sm.AddSecretVersionRequest(parent=f"{PARENT}/secrets/db", payload=payload)

    if right:
        client.add_secret_version(request, metadata=TOKEN)
        latest = f"{PARENT}/secrets/db/versions/latest"
        assert client.access_secret_version(name=latest, metadata=TOKEN).payload == payload
    else:
        with pytest.raises(exceptions.InvalidArgument):
            client.add_secret_version(request, metadata=TOKEN)


@pytest.mark.parametrize(
    ("etag", "raised"), [('"0"', None), ('"7"', exceptions.FailedPrecondition)], ids=["right", "wrong"]
)
def test_an_etag_has_to_be_that_of_the_secret(
    server: SecretManagerServer,
    client: sm.SecretManagerServiceClient,
    etag: str,
    raised: type[Exception] | None,
) -> None:
    server.put("db", b"v")
    secret = sm.Secret(name=f"{PARENT}/secrets/db", etag=etag, labels={"a": "b"})
    request = sm.UpdateSecretRequest(secret=secret, update_mask={"paths": ["labels"]})

    if raised is None:
        client.update_secret(request, metadata=TOKEN)
    else:
        with pytest.raises(raised):
            client.update_secret(request, metadata=TOKEN)

    found = server.secret("db")
    assert found is not None
    assert dict(found.labels) == ({"a": "b"} if raised is None else {})


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("projects/absent/secrets/db", exceptions.PermissionDenied),
        ("projects/acme/locations/europe-west3/secrets/db", exceptions.InvalidArgument),
        ("projects/acme/secrets/absent", exceptions.NotFound),
    ],
)
def test_other_places_are_refused(
    client: sm.SecretManagerServiceClient, name: str, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        client.get_secret(name=name, metadata=TOKEN)


def test_calls_without_a_good_token_are_refused(
    server: SecretManagerServer, client: sm.SecretManagerServiceClient
) -> None:
    server.put("db", b"v")
    for metadata in ([], [("authorization", "Bearer bad")]):
        with pytest.raises(exceptions.Unauthenticated):
            client.get_secret(name=f"{PARENT}/secrets/db", metadata=metadata)
