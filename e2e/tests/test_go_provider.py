"""The grpc-go provider answers as the Go implementation's servers do: a core of ours is tried against it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from eso_e2e.gopeer import GoPeer
from eso_e2e.pki import CertificateAuthority, KeyPair
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2 as store

pytestmark = pytest.mark.real

SECRETS = {"plain": "value", "json": '{"user": "ann", "port": 5432, "tags": ["a"]}'}
REF = store.ProviderReference(api_version="provider.external-secrets.io/v2alpha1", kind="Fake", name="f")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("go-provider"))


@pytest.fixture(scope="module")
def pair(authority: CertificateAuthority) -> KeyPair:
    return authority.issue("provider")


@pytest.fixture
def channel(go_peer: GoPeer, authority: CertificateAuthority, pair: KeyPair) -> Iterator[grpc.Channel]:
    with (
        go_peer.serve(ca=authority.ca_file, cert=pair.cert, key=pair.key, secrets=SECRETS) as address,
        dial(address, authority, pair) as opened,
    ):
        yield opened


def dial(address: str, authority: CertificateAuthority, pair: KeyPair, **options: int) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        authority.ca_file.read_bytes(), pair.key.read_bytes(), pair.cert.read_bytes()
    )
    return grpc.secure_channel(
        address, credentials, [(f"grpc.{name}", value) for name, value in options.items()]
    )


def call(channel: grpc.Channel, path: str, request: Message, answer: Any) -> Any:
    method: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return method(request, timeout=60)


def ask(channel: grpc.Channel, method: str, **fields: Any) -> Any:
    request = getattr(store, f"{method}Request")(provider_ref=REF, source_namespace="app", **fields)
    return call(
        channel, f"/provider.v1.SecretStoreProvider/{method}", request, getattr(store, f"{method}Response")
    )


def wanted(key: str, member: str = "") -> store.ExternalSecretDataRemoteRef:
    return store.ExternalSecretDataRemoteRef(key=key, property=member)


@pytest.mark.parametrize(
    ("key", "member", "value"), [("plain", "", b"value"), ("json", "user", b"ann"), ("json", "port", b"5432")]
)
def test_a_secret_is_read_whole_or_by_property(
    channel: grpc.Channel, key: str, member: str, value: bytes
) -> None:
    """Strings come without quotes, everything else as its JSON text."""
    assert ask(channel, "GetSecret", remote_ref=wanted(key, member)).value == value


def test_a_secret_is_read_as_a_map(channel: grpc.Channel) -> None:
    """One entry per member."""
    answer = ask(channel, "GetSecretMap", remote_ref=wanted("json"))

    assert dict(answer.secrets) == {"user": b"ann", "port": b"5432", "tags": b'["a"]'}


def test_what_is_pushed_exists_and_is_found_until_it_is_deleted(channel: grpc.Channel) -> None:
    """The store keeps what it is given; deleting twice is no error."""
    data = store.PushSecretData(secret_key="k", remote_key="pushed")
    ref = store.PushSecretRemoteRef(remote_key="pushed")
    find = store.ExternalSecretFind(name=store.FindName(regexp="^pu"))

    ask(channel, "PushSecret", secret_data={"k": b"new"}, push_secret_data=data)
    found = dict(ask(channel, "GetAllSecrets", find=find).secrets)
    existed = ask(channel, "SecretExists", remote_ref=ref).exists
    ask(channel, "DeleteSecret", remote_ref=ref)
    ask(channel, "DeleteSecret", remote_ref=ref)

    assert (found, existed) == ({"pushed": b"new"}, True)
    assert not ask(channel, "SecretExists", remote_ref=ref).exists


@pytest.mark.parametrize(
    ("request_fields", "code", "words"),
    [
        ({"remote_ref": wanted("none")}, grpc.StatusCode.NOT_FOUND, "Secret does not exist"),
        ({}, grpc.StatusCode.UNKNOWN, "request or remote ref is nil"),
        ({"remote_ref": wanted("plain", "x")}, grpc.StatusCode.UNKNOWN, "not a JSON object"),
    ],
    ids=["absent", "no-body", "no-object"],
)
def test_errors_have_the_codes_and_texts_of_go(
    channel: grpc.Channel, request_fields: dict[str, Any], code: grpc.StatusCode, words: str
) -> None:
    """Only absence has a code of its own."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, "GetSecret", **request_fields)

    assert caught.value.code() is code
    assert words in str(caught.value.details())


def test_an_older_server_says_unknown_for_absent(
    go_peer: GoPeer, authority: CertificateAuthority, pair: KeyPair
) -> None:
    """Only the ending of the text tells that the secret is absent."""
    files: dict[str, Any] = {"ca": authority.ca_file, "cert": pair.cert, "key": pair.key}
    with (
        go_peer.serve(**files, dialect="p") as address,
        dial(address, authority, pair) as opened,
        pytest.raises(grpc.RpcError) as caught,
    ):
        ask(opened, "GetSecret", remote_ref=wanted("none"))

    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert str(caught.value.details()).endswith("Secret does not exist")


@pytest.mark.parametrize(
    ("api_version", "code"),
    [("generators.external-secrets.io/v1alpha1", None), ("other.example.com/v1", grpc.StatusCode.UNKNOWN)],
    ids=["go-group", "other-group"],
)
def test_generators_of_the_go_group_are_served(
    channel: grpc.Channel, api_version: str, code: grpc.StatusCode | None
) -> None:
    """The group is checked, the state is JSON, and Cleanup takes it back."""
    ref = generator_pb2.GeneratorRef(api_version=api_version, kind="Fake", name="g")
    generate = generator_pb2.GenerateRequest(generator_ref=ref, source_namespace="app")
    got: grpc.StatusCode | None = None
    try:
        answer = call(
            channel, "/generator.v1.GeneratorProvider/Generate", generate, generator_pb2.GenerateResponse
        )
        cleanup = generator_pb2.CleanupRequest(generator_ref=ref, state=answer.state, source_namespace="app")
        call(channel, "/generator.v1.GeneratorProvider/Cleanup", cleanup, generator_pb2.CleanupResponse)
    except grpc.RpcError as error:
        got = error.code()

    assert got is code


def test_a_client_without_a_certificate_is_refused(
    go_peer: GoPeer, authority: CertificateAuthority, pair: KeyPair
) -> None:
    """TLS is mutual."""
    with go_peer.serve(ca=authority.ca_file, cert=pair.cert, key=pair.key) as address:
        credentials = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
        with grpc.secure_channel(address, credentials) as opened, pytest.raises(grpc.RpcError) as caught:
            ask(opened, "GetSecret", remote_ref=wanted("plain"))

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ping_ms", "stays"), [(1000, False), (6000, True)], ids=["every-second", "every-6-s"]
)
def test_a_client_that_pings_too_often_loses_its_connection(
    go_peer: GoPeer, authority: CertificateAuthority, pair: KeyPair, ping_ms: int, stays: bool
) -> None:
    """The Go servers' rule: not more often than every 5 s."""
    options = {
        "keepalive_time_ms": ping_ms,
        "keepalive_permit_without_calls": 1,
        "http2.max_pings_without_data": 0,
        "http2.min_time_between_pings_ms": ping_ms,
    }
    health = "/grpc.health.v1.Health/Check"
    lost = threading.Event()

    def watch(state: grpc.ChannelConnectivity) -> None:
        if state is not grpc.ChannelConnectivity.READY:
            lost.set()

    with (
        go_peer.serve(ca=authority.ca_file, cert=pair.cert, key=pair.key) as address,
        dial(address, authority, pair, **options) as opened,
    ):
        call(opened, health, health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse)
        opened.subscribe(watch)

        assert lost.wait(20) is not stays
        opened.unsubscribe(watch)
