"""The grpc-go client: what it calls arrives, what it is answered is reported, and a broken idle connection shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from eso_e2e.gopeer import GoPeer
from eso_e2e.pki import CertificateAuthority, KeyPair
from eso_e2e.process import ServerError
from grpc_health.v1 import health, health_pb2_grpc
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

pytestmark = pytest.mark.real

STORE = "/provider.v1.SecretStoreProvider"
PINGS_ALLOWED = (
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
)


def get_secret(request: Any, context: grpc.ServicerContext) -> Any:
    """Know one secret, whose value says which reference was asked for."""
    if request.remote_ref.key != "known":
        context.abort(grpc.StatusCode.NOT_FOUND, f"no secret {request.remote_ref.key}")
    ref = request.provider_ref
    value = f"{ref.api_version} {ref.kind} {ref.namespace}/{ref.name} for {request.source_namespace}"
    return secretstore_pb2.GetSecretResponse(value=value.encode())


def generate(request: Any, context: grpc.ServicerContext) -> Any:
    """Generate the same thing every time."""
    return generator_pb2.GenerateResponse(secrets={"pin": b"1234"}, state=b'{"lease": 1}')


def handler(service: str, method: str, answer: Callable[..., Any], request: Any) -> grpc.GenericRpcHandler:
    one: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {method: one})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("go-peer"))


@pytest.fixture(scope="module")
def client(authority: CertificateAuthority) -> KeyPair:
    return authority.issue("core")


@contextmanager
def serving(authority: CertificateAuthority, options: tuple[tuple[str, int], ...] = ()) -> Iterator[str]:
    pair = authority.issue("provider")
    credentials = grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.cert.read_bytes())],
        authority.ca_file.read_bytes(),
        require_client_auth=True,
    )
    server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_generic_rpc_handlers(
        (
            handler(
                "provider.v1.SecretStoreProvider", "GetSecret", get_secret, secretstore_pb2.GetSecretRequest
            ),
            handler("generator.v1.GeneratorProvider", "Generate", generate, generator_pb2.GenerateRequest),
        )
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_calls_of_every_service_are_carried_out_on_one_connection(
    go_peer: GoPeer, authority: CertificateAuthority, client: KeyPair
) -> None:
    """Requests are given and answers come back in protobuf's JSON; one connection serves them all."""
    ref = {"apiVersion": "g/v1", "kind": "Fake", "name": "n", "namespace": "ns"}
    get = {"remoteRef": {"key": "known"}, "providerRef": ref, "sourceNamespace": "app"}
    steps: list[dict[str, Any]] = [
        {"call": f"{STORE}/GetSecret", "request": get},
        {"call": f"{STORE}/GetSecret", "request": {"remoteRef": {"key": "other"}}},
        {"call": f"{STORE}/Capabilities"},
        {"call": "/generator.v1.GeneratorProvider/Generate", "request": {"sourceNamespace": "app"}},
        {"call": "/grpc.health.v1.Health/Check"},
    ]

    with serving(authority) as address:
        report = go_peer.run(address, steps, ca=authority.ca_file, cert=client.cert, key=client.key)

    value, missing, capabilities, generated, healthy = report["steps"]
    assert value["response"] == {"value": "Zy92MSBGYWtlIG5zL24gZm9yIGFwcA=="}  # g/v1 Fake ns/n for app
    assert (missing["code"], missing["message"]) == ("NotFound", "no secret other")
    assert capabilities["code"] == "Unimplemented"
    assert generated["response"] == {"secrets": {"pin": "MTIzNA=="}, "state": "eyJsZWFzZSI6IDF9"}
    assert healthy["response"] == {"status": "SERVING"}
    assert value["states"][-1] == "READY"
    assert (report["dials"], report["state"]) == (1, "READY")


def test_a_certificate_of_another_authority_is_refused(
    go_peer: GoPeer, authority: CertificateAuthority, client: KeyPair, tmp_path: Path
) -> None:
    """The peer checks who answers, as the Go core does."""
    stranger = CertificateAuthority(tmp_path)

    with serving(authority) as address:
        report = go_peer.run(
            address,
            [{"call": "/grpc.health.v1.Health/Check"}],
            ca=stranger.ca_file,
            cert=client.cert,
            key=client.key,
        )

    (step,) = report["steps"]
    assert (step["code"], report["state"]) == ("Unavailable", "TRANSIENT_FAILURE")
    assert "certificate signed by unknown authority" in step["message"]


def test_an_unknown_method_is_a_mistake_of_the_script(
    go_peer: GoPeer, authority: CertificateAuthority, client: KeyPair
) -> None:
    """A misspelt test does not pass as a provider's error."""
    with pytest.raises(ServerError, match="GetSecrets"):
        go_peer.run(
            "127.0.0.1:1",
            [{"call": f"{STORE}/GetSecrets"}],
            ca=authority.ca_file,
            cert=client.cert,
            key=client.key,
        )


@pytest.mark.slow
def test_an_idle_connection_lives_only_where_its_pings_are_allowed(
    go_peer: GoPeer, authority: CertificateAuthority, client: KeyPair
) -> None:
    """The tool sees the difference: grpcio's defaults end the connection for too many pings, two options keep it."""
    check = {"call": "/grpc.health.v1.Health/Check"}
    files: dict[str, Any] = {"ca": authority.ca_file, "cert": client.cert, "key": client.key}
    with (
        serving(authority, PINGS_ALLOWED) as patient,
        serving(authority) as default,
        futures.ThreadPoolExecutor(2) as pool,
    ):
        # grpc-go pings every 10 s at the most, and grpcio forgives two pings too many.
        runs = [
            pool.submit(go_peer.run, at, [check, {"idle": "50s"}, check], **files)
            for at in (patient, default)
        ]
        kept, lost = (run.result() for run in runs)

    assert (kept["dials"], kept["steps"][1]["states"]) == (1, [])
    assert "IDLE" in lost["steps"][1]["states"]
    assert lost["dials"] == 2
    assert [report["steps"][2]["code"] for report in (kept, lost)] == ["OK", "OK"]
