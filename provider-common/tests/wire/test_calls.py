"""One call: versions, broken requests, sizes, deadlines, errors."""

import random
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from provider_common import (
    AccessDeniedError,
    ConflictError,
    CredentialsError,
    InvalidSpecError,
    NoSecretError,
    RateLimitedError,
    TemporaryError,
    TooLargeError,
    UnsupportedError,
)
from provider_common.testing import ProviderHarness, StoreHandle
from provider_proto import CONTRACT_VERSION_KEY, DESCRIPTION_SERVICE, GENERATOR_SERVICE, SECRET_STORE_METHODS
from provider_proto.provider.v1 import description_pb2
from provider_proto.provider.v1 import secretstore_pb2 as pb


@pytest.fixture
def store(harness: ProviderHarness, acme_spec) -> StoreHandle:
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    return harness.add_store("team-a", acme_spec())


def get_request(harness: ProviderHarness, store: StoreHandle, key: str = "db") -> pb.GetSecretRequest:
    return pb.GetSecretRequest(remote_ref=pb.ExternalSecretDataRemoteRef(key=key), **harness._common(store))


@pytest.mark.parametrize("version", [None, "1.0", "1.1", "1.2", "1.99"])
def test_minors_of_our_major_and_the_silent_baseline_are_served(harness, store, version) -> None:
    answer = harness.call("GetSecret", get_request(harness, store), pb.GetSecretResponse, version=version)
    assert b"admin" in answer.value


@pytest.mark.parametrize(("version", "upgrade"), [("2.0", "this provider"), ("0.9", "the core")])
def test_another_major_is_refused_naming_both_versions_and_what_to_upgrade(
    harness, store, version, upgrade
) -> None:
    with harness.fails() as failure:
        harness.call("GetSecret", get_request(harness, store), pb.GetSecretResponse, version=version)
    assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "CONTRACT_VERSION")
    assert version in failure.message
    assert "1.1" in failure.message
    assert f"upgrade {upgrade}" in failure.message


@pytest.mark.parametrize("version", ["", "one", "1", "1.x", "-1.0", "1.0.0"])
def test_a_version_that_is_none_is_a_clear_error(harness, store, version) -> None:
    with harness.fails() as failure:
        harness.call("GetSecret", get_request(harness, store), pb.GetSecretResponse, version=version)
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert CONTRACT_VERSION_KEY in failure.message


def test_every_answer_and_every_error_carries_our_version(harness, store) -> None:
    rpc = harness.channel.unary_unary(
        "/provider.v1.SecretStoreProvider/GetSecret",
        request_serializer=pb.GetSecretRequest.SerializeToString,
        response_deserializer=pb.GetSecretResponse.FromString,
    )
    _, call = rpc.with_call(get_request(harness, store), timeout=10)
    assert (CONTRACT_VERSION_KEY, "1.1") in [tuple(item) for item in call.trailing_metadata()]
    with harness.fails() as failure:
        harness.get_secret(store, "gone")
    assert failure.trailers[CONTRACT_VERSION_KEY] == "1.1"


def test_garbage_and_truncated_requests_are_invalid_and_never_internal(harness, store) -> None:
    """And the server goes on."""
    good = get_request(harness, store).SerializeToString()
    chance = random.Random(7)
    payloads = [good[:cut] for cut in range(1, len(good))]
    payloads += [chance.randbytes(chance.randrange(1, 200)) for _ in range(300)]
    mutated = bytearray(good)
    for _ in range(300):
        mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        payloads.append(bytes(mutated))
    codes = set()
    for payload in payloads:
        for method in ("GetSecret", "PushSecret", "Validate"):
            try:
                harness.call(method, payload, pb.GetSecretResponse)
            except grpc.RpcError as error:
                codes.add(error.code())
    assert grpc.StatusCode.INVALID_ARGUMENT in codes
    assert not codes & {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.NOT_FOUND}
    assert b"admin" in harness.get_secret(store, "db")


@pytest.mark.parametrize("method", list(SECRET_STORE_METHODS))
def test_an_empty_request_is_invalid(harness, store, method) -> None:
    with harness.fails() as failure:
        harness.call(method, b"", pb.GetSecretResponse)
    assert (failure.code, failure.error.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "required" in failure.message


@pytest.mark.parametrize("method", ["Generate", "Cleanup"])
def test_an_empty_generator_request_is_invalid(harness, method) -> None:
    with harness.fails() as failure:
        harness.call(method, b"", pb.GetSecretResponse, service=GENERATOR_SERVICE)
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("nonsense", "AcmeKeyValue"), ("a/b/c", "AcmeKeyValue"), ("x/v1", "AcmeKeyValue"), ("", "")],
)
def test_an_unknown_kind_is_named_with_what_is_served(harness, api_version, kind) -> None:
    with harness.fails() as failure:
        harness.capabilities(StoreHandle(api_version, kind, "main", "team-a", "SecretStore", "team-a"))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "GROUP/VERSION" in failure.message or "AcmeKeyValue" in failure.message


@pytest.mark.parametrize(
    ("error", "code", "name", "retryable"),
    [
        (NoSecretError("k"), "NOT_FOUND", "NO_SECRET", False),
        (InvalidSpecError("m"), "INVALID_ARGUMENT", "INVALID_SPEC", False),
        (CredentialsError("m"), "UNAUTHENTICATED", "CREDENTIALS", False),
        (AccessDeniedError("m"), "PERMISSION_DENIED", "ACCESS_DENIED", False),
        (ConflictError("m"), "FAILED_PRECONDITION", "CONFLICT", False),
        (TooLargeError("m"), "FAILED_PRECONDITION", "TOO_LARGE", False),
        (UnsupportedError("m"), "UNIMPLEMENTED", "UNSUPPORTED", False),
        (TemporaryError("m", retry_after=2.5), "UNAVAILABLE", "TEMPORARY", True),
        (RateLimitedError("m", retry_after=7), "RESOURCE_EXHAUSTED", "RATE_LIMITED", True),
        (ValueError("s3cret-canary"), "INTERNAL", "BUG", False),
        (KeyError("s3cret-canary"), "INTERNAL", "BUG", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_exception_becomes_its_status(harness, store, acme, error, code, name, retryable) -> None:
    acme.errors["k"] = error
    with harness.fails() as failure:
        harness.get_secret(store, "k")
    assert (failure.code.name, failure.error.code, failure.error.retryable) == (code, name, retryable)
    assert failure.error.message == failure.message
    assert failure.retry_after == getattr(error, "retry_after", None)
    assert "canary" not in failure.message
    if name == "BUG":
        assert type(error).__name__ in failure.message


def test_a_missing_property_is_not_a_missing_secret(harness, store) -> None:
    for call in (harness.get_secret, harness.get_secret_map):
        with harness.fails() as failure:
            call(store, "db", property="nope")
        assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_PROPERTY")


def test_a_find_never_ends_as_not_found(harness, store, acme) -> None:
    """A core would take it for "everything is gone". A provider that does it has a bug."""
    acme.errors["^k"] = NoSecretError("k")
    with harness.fails() as failure:
        harness.find(store, name="^k")
    assert (failure.code, failure.error.code) == (grpc.StatusCode.INTERNAL, "BUG")


def test_a_bad_pattern_never_reaches_the_backend(harness, store, acme) -> None:
    with harness.fails() as failure:
        harness.find(store, name="(?=look)")
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "find.name.regexp" in failure.message
    assert acme.calls == []


def test_deleting_what_is_not_there_is_a_success_and_exists_says_no(harness, store) -> None:
    harness.delete(store, "gone")
    assert harness.exists(store, "gone") is False
    assert harness.exists(store, "db") is True


def test_an_answer_over_four_mebibytes_is_refused_with_its_size(harness, store, acme) -> None:
    """RESOURCE_EXHAUSTED would say "try again"."""
    acme.values["fits"] = b"x" * (4 * 1024 * 1024 - 16)
    acme.values["big"] = b"x" * (4 * 1024 * 1024)
    assert len(harness.get_secret(store, "fits")) == 4 * 1024 * 1024 - 16
    for call in (lambda: harness.get_secret(store, "big"), lambda: harness.find(store, name="big")):
        with harness.fails() as failure:
            call()
        assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_LARGE")
        assert "4194" in failure.message


def test_a_deadline_ends_the_call_also_when_the_backend_hangs(harness, store, acme) -> None:
    acme.gated.add("db")
    acme.gate.clear()
    with harness.fails() as failure:
        harness.get_secret(store, "db", timeout=0.3)
    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert b"t0ken" in harness.get_secret(store, "whoami")


def test_hung_threads_are_counted(harness, store, acme) -> None:
    acme.gated.add("db")
    acme.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(harness.get_secret, store, "db", timeout=0.2)
        acme.waiting.acquire(timeout=10)
        assert call.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
        while "eso_provider_calls_overdue 1.0" not in harness.metrics():
            pass
        acme.gate.set()
        while "eso_provider_calls_overdue 0.0" not in harness.metrics():
            pass


def test_a_provider_describes_itself(harness) -> None:
    answer = harness.call(
        "Describe",
        description_pb2.DescribeRequest(),
        description_pb2.DescribeResponse,
        service=DESCRIPTION_SERVICE,
    )
    kinds = {(k.kind, k.capabilities, tuple(k.methods)) for k in answer.kinds}
    assert answer.contract_versions == ["1.1", "1.0"]
    assert ("Pin", "", ("Generate", "Cleanup")) in kinds
    assert any(kind == "AcmeKeyValue" and caps == "ReadWrite" for kind, caps, _ in kinds)


def test_a_generator_gets_its_state_back(harness, acme) -> None:
    generator = harness.add_generator("team-a", {"digits": 4})
    values, state = harness.generate(generator)
    assert values == {"pin": b"7777", "for": b"team-a"}
    assert state == b'{"digits":4}'
    harness.cleanup(generator, state)
    harness.cleanup(generator, b"")
    with harness.fails() as failure:
        harness.cleanup(generator, b"[1]")
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
