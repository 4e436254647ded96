"""What goes over the wire, and what comes of each answer: real gRPC, real mutual TLS."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.api.externalsecret import Find, RemoteRef
from eso_core.reconcile.calls import AbsentError, CallError
from eso_core.reconcile.routing import Settings, way
from grpc import StatusCode
from provider_common.testing import issue_certs
from provider_proto.generator.v1 import generator_pb2 as gen
from provider_proto.provider.v1 import secretstore_pb2 as pb

REF = RemoteRef(key="k")


def test_a_read_carries_the_reference_the_caller_and_the_whole_store(
    peer: Any, connect: Any, world: Any
) -> None:
    """The baseline fields work with every peer; the store beside them is for those who know it."""
    store = world.change(
        "SecretStore",
        metadata__uid="u-1",
        metadata__generation=4,
        spec__retrySettings={"maxRetries": 0, "retryInterval": "10s"},
        spec__refreshInterval="1m",
    )
    peer.answers["GetSecret"] = pb.GetSecretResponse(value=b"v")
    ref = RemoteRef(key="k", version="2", property="a.b", metadata_policy="Fetch", decoding_strategy="Auto")

    assert connect(peer).get_secret(way(store, "team-a", Settings()), ref) == b"v"

    path, raw, metadata = peer.requests[0]
    request = pb.GetSecretRequest.FromString(raw)
    assert path == "/provider.v1.SecretStoreProvider/GetSecret"
    assert metadata["eso-contract-version"] == "1.1"
    assert request.provider_ref == pb.ProviderReference(
        api_version="provider.secretstore.external-secrets.io/v2alpha1",
        kind="Fake",
        name="values",
        namespace="team-a",
        store_ref_kind="SecretStore",
    )
    assert request.source_namespace == "team-a"
    assert request.remote_ref == pb.ExternalSecretDataRemoteRef(
        key="k", version="2", property="a.b", decoding_strategy="Auto", metadata_policy="Fetch"
    )
    assert (request.store.name, request.store.uid, request.store.generation) == ("main", "u-1", 4)
    assert request.store.spec.retry_settings.HasField("max_retries")
    assert request.store.spec.retry_settings.retry_interval == "10s"
    assert request.store.spec.provider_config.address == "provider-contrib.default.svc:8080"
    assert 0 < peer.time_left[0] <= 30


def test_a_cluster_store_carries_scope_and_conditions(peer: Any, connect: Any, world: Any) -> None:
    """A provider decides by the scope where credentials are read."""
    store = world.change(
        "ClusterSecretStore",
        spec__conditions=[
            {
                "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
                "namespaces": ["team-a"],
                "namespaceRegexes": ["^team-"],
            },
            {"namespaceSelector": {}},
        ],
    )
    peer.answers["GetAllSecrets"] = pb.GetAllSecretsResponse(secrets={"a": b"1"})
    find = Find.model_validate({"path": "p", "name": {"regexp": ""}, "tags": {"t": "v"}})

    assert connect(peer).get_all_secrets(way(store, "team-a", Settings()), find) == {"a": b"1"}

    request = pb.GetAllSecretsRequest.FromString(peer.requests[0][1])
    assert request.store.spec.authentication_scope == "ProviderNamespace"
    first, second = request.store.spec.conditions
    assert first.namespace_selector.match_expressions[0].values == ["b"]
    assert (list(first.namespaces), list(first.namespace_regexes)) == (["team-a"], ["^team-"])
    assert second.HasField("namespace_selector")
    assert request.find.HasField("name")
    assert (request.find.path, dict(request.find.tags), request.find.conversion_strategy) == (
        "p",
        {"t": "v"},
        "Default",
    )
    assert request.provider_ref.store_ref_kind == "ClusterSecretStore"


def test_a_find_without_a_name_leaves_it_unset(peer: Any, connect: Any, via: Any) -> None:
    """Present but empty would mean "every name"."""
    peer.answers["GetAllSecrets"] = pb.GetAllSecretsResponse()
    assert connect(peer).get_all_secrets(via, Find.model_validate({"tags": {"a": "b"}})) == {}
    assert not pb.GetAllSecretsRequest.FromString(peer.requests[0][1]).find.HasField("name")


def test_a_generator_is_called_with_the_whole_generator(peer: Any, connect: Any, world: Any) -> None:
    """And its state comes back to it as it was."""
    store = world.change("Generator")
    via = way(store, "team-a", Settings())
    peer.answers["Generate"] = gen.GenerateResponse(secrets={"password": b"p"}, state=b'{"id": 1}')
    peer.answers["Cleanup"] = gen.CleanupResponse()
    calls = connect(peer)

    made = calls.generate(via)
    calls.cleanup(via, made.state)

    assert (made.data, made.state) == ({"password": b"p"}, b'{"id": 1}')
    request = gen.CleanupRequest.FromString(peer.requests[1][1])
    assert request.state == b'{"id": 1}'
    assert (request.generator_ref.kind, request.source_namespace) == ("Password", "team-a")
    assert (request.generator.kind, request.generator.name) == ("Generator", "password")


ABSENT = [
    (
        "ours",
        StatusCode.NOT_FOUND,
        "Secret does not exist: 'k'",
        (pb.Error(code="NO_SECRET", message="m"),),
        True,
    ),
    ("Go, store kinds", StatusCode.NOT_FOUND, "failed to get secret: Secret does not exist", (), True),
    ("Go, provider kinds", StatusCode.UNKNOWN, "failed to get secret: Secret does not exist", (), True),
    (
        "Go, long text",
        StatusCode.UNKNOWN,
        f"failed to get secret: {'k' * 2000}: Secret does not exist",
        (),
        True,
    ),
    ("other text", StatusCode.UNKNOWN, 'failed to get client: secrets "token" not found', (), False),
    ("text not at the end", StatusCode.UNKNOWN, "Secret does not exist, or so it seems", (), False),
    (
        "other code in the detail",
        StatusCode.NOT_FOUND,
        "no mount",
        (pb.Error(code="MISSING_REFERENCE", message="no mount"),),
        False,
    ),
    ("precondition", StatusCode.FAILED_PRECONDITION, "Secret does not exist", (), False),
    ("internal", StatusCode.INTERNAL, "Secret does not exist", (), False),
]


@pytest.mark.parametrize(
    ("code", "text", "details", "absent"), [a[1:] for a in ABSENT], ids=[a[0] for a in ABSENT]
)
@pytest.mark.parametrize("method", ["GetSecret", "GetSecretMap"])
def test_what_counts_as_absent(
    peer: Any,
    connect: Any,
    via: Any,
    failure: Any,
    method: str,
    code: Any,
    text: str,
    details: Any,
    absent: bool,
) -> None:
    """On this a Secret may be deleted, so only what the backend itself said may count; in every dialect."""
    peer.answers[method] = failure(code, text, details)
    calls = connect(peer)
    with pytest.raises(CallError) as raised:
        (calls.get_secret if method == "GetSecret" else calls.get_secret_map)(via, REF)
    assert isinstance(raised.value, AbsentError) is absent


@pytest.mark.parametrize("code", [StatusCode.NOT_FOUND, StatusCode.UNKNOWN])
def test_a_find_is_never_absent(peer: Any, connect: Any, via: Any, failure: Any, code: Any) -> None:
    """One that finds nothing answers an empty map; whoever answers otherwise has a defect."""
    peer.answers["GetAllSecrets"] = failure(code, "Secret does not exist")
    with pytest.raises(CallError) as raised:
        connect(peer).get_all_secrets(via, Find())
    assert not isinstance(raised.value, AbsentError)


def test_a_providers_error_is_told_with_its_code_and_delay(
    peer: Any, connect: Any, via: Any, failure: Any, retry_info: Any
) -> None:
    """The code is stable and the delay is the backend's own."""
    detail = pb.Error(code="RATE_LIMITED", message="slow down", retryable=True)
    peer.answers["GetSecret"] = failure(StatusCode.RESOURCE_EXHAUSTED, "slow down", (detail, retry_info(2.5)))
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    error = raised.value
    assert (error.message, error.code, error.retryable, error.retry_after) == (
        "slow down",
        "RATE_LIMITED",
        True,
        2.5,
    )
    assert len(peer.requests) == 1


def test_a_delay_in_the_error_itself_counts_too(peer: Any, connect: Any, via: Any, failure: Any) -> None:
    """A peer may know one of the two forms only."""
    detail = pb.Error(code="TEMPORARY", message="later", retryable=True)
    detail.retry_delay.FromSeconds(7)
    peer.answers["GetSecret"] = failure(StatusCode.UNAVAILABLE, "later", (detail,))
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(("asked", "kept"), [(-5.0, 0.0), (200e9, 86400.0)], ids=["negative", "6000 years"])
def test_a_delay_that_makes_no_sense_is_cut(
    peer: Any, connect: Any, via: Any, failure: Any, retry_info: Any, asked: float, kept: float
) -> None:
    """A provider's defect must not stop a core for ever, nor its arithmetic with dates."""
    detail = pb.Error(code="RATE_LIMITED", message="slow down", retryable=True)
    peer.answers["GetSecret"] = failure(
        StatusCode.RESOURCE_EXHAUSTED, "slow down", (detail, retry_info(asked))
    )
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert raised.value.retry_after == kept


@pytest.mark.parametrize(
    "trailing", [b"garbage \xff", b"", b"\x08\x05\x1a\x04\x0a\x02zz"], ids=["garbage", "empty", "foreign"]
)
def test_details_that_are_not_understood_are_ignored(
    peer: Any, connect: Any, via: Any, failure: Any, trailing: bytes
) -> None:
    """The status is enough to go on with."""
    peer.answers["GetSecret"] = failure(
        StatusCode.PERMISSION_DENIED, "no", trailing=(("grpc-status-details-bin", trailing),)
    )
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert (raised.value.message, raised.value.code) == ("no", "PERMISSION_DENIED")


def test_a_long_error_text_arrives_and_is_cut(peer: Any, connect: Any, via: Any, failure: Any) -> None:
    """Go servers put whole texts of their backends into trailers, beyond what gRPC accepts by default."""
    peer.answers["GetSecret"] = failure(StatusCode.UNKNOWN, "x" * 20_000 + "\x00\n")
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert raised.value.code == "UNKNOWN"
    assert raised.value.message == "x" * 1024 + "..."


def test_the_hop_is_tried_again_and_the_provider_is_not(
    peer: Any, connect: Any, via: Any, failure: Any
) -> None:
    """A connection that broke says nothing about the backend; an answer does."""
    broken = failure(StatusCode.UNAVAILABLE, "connection reset")
    peer.answers["GetSecret"] = [broken, broken, pb.GetSecretResponse(value=b"v")]
    assert connect(peer).get_secret(via, REF) == b"v"

    told = failure(
        StatusCode.UNAVAILABLE,
        "backend away",
        (pb.Error(code="TEMPORARY", message="backend away", retryable=True),),
    )
    peer.answers["GetSecret"] = [told, pb.GetSecretResponse(value=b"v")]
    with pytest.raises(CallError, match="backend away"):
        connect(peer).get_secret(via, REF)


def test_generating_is_never_tried_again(peer: Any, connect: Any, world: Any, failure: Any) -> None:
    """The first try may have made something that nobody could clean up."""
    peer.answers["Generate"] = [failure(StatusCode.UNAVAILABLE, "reset"), gen.GenerateResponse()]
    with pytest.raises(CallError):
        connect(peer).generate(way(world.change("Generator"), "team-a", Settings()))
    assert len(peer.requests) == 1


def test_a_deadline_is_told(peer: Any, connect: Any, via: Any) -> None:
    """And the call ends, whatever the provider does."""
    import threading

    release = threading.Event()

    class Hangs:
        def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
            release.wait(10)
            return b""

    peer.answers["GetSecret"] = Hangs()
    with pytest.raises(CallError, match="did not answer GetSecret in time") as raised:
        connect(peer, deadline=0.2).get_secret(via, REF)
    release.set()
    assert raised.value.retryable is True


@pytest.mark.parametrize(
    ("version", "said"),
    [("1.0", ""), ("1.9", ""), ("", ""), ("2.0", "upgrade the core"), ("0.9", "upgrade the provider")],
)
def test_another_major_version_is_refused(peer: Any, connect: Any, via: Any, version: str, said: str) -> None:
    """It may mean something else by the same answer; minors only add. None is a Go peer."""
    peer.version = version
    peer.answers["GetSecret"] = pb.GetSecretResponse(value=b"v")
    if not said:
        assert connect(peer).get_secret(via, REF) == b"v"
        return
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert raised.value.code == "CONTRACT_VERSION"
    assert version in raised.value.message
    assert said in raised.value.message


@pytest.mark.parametrize("number", [0, 1, 2, 9])
def test_validate_asks_for_capabilities_too(peer: Any, connect: Any, via: Any, number: int) -> None:
    """Shown to users; a number that is not known is shown as nothing."""
    peer.answers["Validate"] = pb.ValidateResponse(valid=True, warnings=["w"])
    peer.answers["Capabilities"] = pb.CapabilitiesResponse(capabilities=number)  # type: ignore[arg-type]
    verdict = connect(peer).validate(via)
    assert verdict.valid is True
    assert verdict.warnings == ("w",)
    assert verdict.capabilities == {0: "ReadOnly", 1: "WriteOnly", 2: "ReadWrite"}.get(number, "")


def test_an_answer_over_the_limit_is_an_error(peer: Any, connect: Any, via: Any) -> None:
    """4 MiB, as every peer has it."""
    peer.answers["GetSecret"] = pb.GetSecretResponse(value=bytes(4 * 1024 * 1024 + 1))
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert raised.value.code == "RESOURCE_EXHAUSTED"


def test_the_observer_sees_every_call(peer: Any, connect: Any, via: Any, failure: Any) -> None:
    """What metrics are made of."""
    seen: list[tuple[str, str, str | None]] = []
    peer.answers["GetSecret"] = [
        pb.GetSecretResponse(value=b"v"),
        failure(StatusCode.PERMISSION_DENIED, "no"),
    ]
    calls = connect(
        peer,
        observer=lambda method, address, _seconds, problem: seen.append(
            (method, address, problem and problem.code)
        ),
    )
    calls.get_secret(via, REF)
    with pytest.raises(CallError):
        calls.get_secret(via, REF)
    address = "provider-contrib.default.svc:8080"
    assert seen == [("GetSecret", address, None), ("GetSecret", address, "PERMISSION_DENIED")]


@pytest.mark.parametrize("fault", ["stranger", "expired", "misnamed"])
def test_a_server_that_cannot_prove_its_name_is_not_talked_to(
    serve: Any, connect: Any, via: Any, certs: Any, fault: str
) -> None:
    """The manifest's host name is what counts, not the address that was dialed."""
    peer = serve(getattr(certs, fault)())
    with pytest.raises(CallError) as raised:
        connect(peer).get_secret(via, REF)
    assert "no secure connection to the provider at provider-contrib.default.svc:8080" in raised.value.message
    assert peer.requests == []


def test_a_core_without_the_right_certificate_is_not_served(
    peer: Any, connect: Any, via: Any, certs: Any
) -> None:
    """Mutual TLS: the provider answers cores of its CA only."""
    stranger = certs.stranger()
    with pytest.raises(CallError) as raised:
        connect(peer, tls=stranger.path).get_secret(via, REF)
    assert raised.value.retryable is True
    assert peer.requests == []


def test_nobody_at_the_address_is_told_with_a_next_step(connect: Any, via: Any, peer: Any) -> None:
    """Most often the first thing that goes wrong."""
    peer.port = 1
    with pytest.raises(CallError, match="can't be reached: check that it runs"):
        connect(peer).get_secret(via, REF)


@pytest.mark.parametrize("name", ["ca.crt", "client.crt", "client.key"])
@pytest.mark.parametrize("how", ["missing", "empty", "text"])
def test_unusable_material_is_named(certs: Any, tmp_path: Any, name: str, how: str) -> None:
    """Before any call is made."""
    from eso_core.client.endpoints import read_tls

    for file in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / file).write_bytes((certs.path / file).read_bytes())
    (tmp_path / name).unlink()
    if how != "missing":
        (tmp_path / name).write_bytes(b"\n" if how == "empty" else b"canary\n")
    with pytest.raises(CallError, match=name) as raised:
        read_tls(tmp_path)
    assert "canary" not in str(raised.value)


def test_a_key_that_is_not_the_certificates_is_named(certs: Any, tmp_path: Any) -> None:
    """As after copying the files of two runs; the handshake would only say that it failed."""
    from eso_core.client.endpoints import read_tls

    other = issue_certs(tmp_path / "other")
    for file in ("ca.crt", "client.crt"):
        (tmp_path / file).write_bytes((certs.path / file).read_bytes())
    (tmp_path / "client.key").write_bytes((other.path / "client.key").read_bytes())
    with pytest.raises(CallError, match="are not a certificate and its key"):
        read_tls(tmp_path)


def test_calls_after_the_end_say_so(peer: Any, connect: Any, via: Any) -> None:
    """An interrupted run must not end in a traceback."""
    peer.answers["GetSecret"] = pb.GetSecretResponse(value=b"v")
    calls = connect(peer)
    calls.get_secret(via, REF)
    calls.close()
    peer.port = 1
    with pytest.raises(CallError):
        calls.get_secret(via, REF)


def test_material_is_never_shown(certs: Any) -> None:
    """A repr ends up in a log sooner or later."""
    from eso_core.client.endpoints import Endpoint, read_tls

    shown = repr(Endpoint("a:1", "a", read_tls(certs.path)))
    assert "PRIVATE KEY" not in shown
    assert "CERTIFICATE" not in shown
