"""The grpc-go provider answers as the Go implementation's servers do: a core of ours is tried against it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
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
        (
            {"remote_ref": wanted("plain", "x")},
            grpc.StatusCode.UNKNOWN,
            "failed to get secret: the secret is not a JSON object",
        ),
    ],
    ids=["absent", "no-body", "no-object"],
)
def test_errors_have_the_codes_and_texts_of_go(
    channel: grpc.Channel, request_fields: dict[str, Any], code: grpc.StatusCode, words: str
) -> None:
    """Only absence has a code of its own, and no words before its text."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, "GetSecret", **request_fields)

    assert (caught.value.code(), caught.value.details()) == (code, words)


GET, VALIDATE, CAPABILITIES, GENERATE = "GetSecret", "Validate", "Capabilities", "Generate"
_NOT_SERVED = "failed to resolve provider: resource mapping not found for "
_NO_OBJECT = "failed to get client: failed to map provider reference to spec: "
GENERATORS = "generators.external-secrets.io/v1alpha1"


@pytest.mark.parametrize(
    ("method", "reference", "words"),
    [
        (GET, None, "provider reference is required"),
        (VALIDATE, None, "failed to get client: provider reference is required"),
        (CAPABILITIES, None, "failed to resolve provider: provider reference is nil"),
        (GENERATE, None, "request or generator ref is nil"),
        (GET, {"name": "gone"}, _NO_OBJECT),
        (GET, {"name": "gone", "api_version": "v2alpha1"}, _NO_OBJECT),
        (GET, {"kind": "Other"}, f"failed to get client: {_NOT_SERVED}"),
        (VALIDATE, {"kind": "Other"}, f"failed to get client: {_NOT_SERVED}"),
        (
            GET,
            {"api_version": "v2alpha1"},
            "failed to get client: failed to resolve provider: invalid api version: v2",
        ),
        (CAPABILITIES, {"kind": "Other", "name": "gone"}, _NOT_SERVED),
        (
            CAPABILITIES,
            {"api_version": "v2alpha1"},
            "failed to resolve provider: invalid api version: v2alpha1",
        ),
        (GENERATE, {"name": "gone"}, "failed to get generator: failed to get generator resource: "),
        (
            GENERATE,
            {"kind": "Other", "name": "gone"},
            "failed to get generator: generator mapping not found for ",
        ),
        (
            GENERATE,
            {"api_version": "a.example/v1"},
            "failed to get generator: generatorRef may only reference the gen",
        ),
        (GENERATE, {"api_version": "v1alpha1"}, "failed to get generator: invalid api version: v1alpha1"),
    ],
    ids=[
        "get-none",
        "validate-none",
        "capabilities-none",
        "generate-none",
        "no-object",
        "no-object-and-bad-version",
        "kind-not-served",
        "validate-kind-not-served",
        "bad-version",
        "capabilities-kind-not-served",
        "capabilities-bad-version",
        "no-generator",
        "generator-not-served",
        "other-group",
        "generate-bad-version",
    ],
)
def test_a_wrong_reference_is_refused_in_the_order_and_words_of_go(
    go_peer: GoPeer,
    authority: CertificateAuthority,
    pair: KeyPair,
    tmp_path: Path,
    method: str,
    reference: dict[str, str] | None,
    words: str,
) -> None:
    """Of a store the object is read before its kind is looked at, of a generator afterwards."""
    (tmp_path / "objects").write_text('{"objects": [{"kind": "Fake", "namespace": "app", "name": "f"}]}')
    files: dict[str, Any] = {"ca": authority.ca_file, "cert": pair.cert, "key": pair.key}
    package: Any = generator_pb2 if method == GENERATE else store
    field, kind = (
        ("generator_ref", package.GeneratorRef)
        if method == GENERATE
        else ("provider_ref", store.ProviderReference)
    )
    right = {
        "api_version": GENERATORS if method == GENERATE else REF.api_version,
        "kind": "Fake",
        "name": "f",
    }
    fields = {} if reference is None else {field: kind(**{**right, **reference})}
    if method == GET:
        fields["remote_ref"] = wanted("plain")
    request = getattr(package, f"{method}Request")(source_namespace="app", **fields)
    service = "generator.v1.GeneratorProvider" if method == GENERATE else "provider.v1.SecretStoreProvider"
    with (
        go_peer.serve(**files, objects=tmp_path / "objects") as address,
        dial(address, authority, pair) as opened,
        pytest.raises(grpc.RpcError) as caught,
    ):
        call(opened, f"/{service}/{method}", request, getattr(package, f"{method}Response"))

    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert str(caught.value.details()).startswith(words)


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
