"""Faults on request, over the wire: what a core's tests rest on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, get_args

import grpc
import pytest
from provider_common import InvalidSpecError
from provider_common.testing import GeneratorHandle, ProviderHarness, StoreHandle
from provider_contrib.fake.faults import FaultCounts
from provider_contrib.fake.spec import (
    ErrorStatus,
    FakeGeneratorSpec,
    FakeStoreSpec,
    StoreFaultRule,
)
from provider_proto import CONTRACT_VERSION_KEY, GENERATOR_SERVICE
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

DATA = [{"key": "a", "value": '{"x": "1"}'}, {"key": "b", "value": "2"}]


def store_with(harness: ProviderHarness, *faults: dict[str, Any]) -> StoreHandle:
    return harness.add_store("team-a", {"data": DATA, "faults": list(faults)})


def generator_with(harness: ProviderHarness, *faults: dict[str, Any]) -> GeneratorHandle:
    return harness.add_generator("team-a", {"data": {"k": "v"}, "faults": list(faults)})


STATUSES = get_args(ErrorStatus)


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_can_be_asked_for(harness: ProviderHarness, status: str) -> None:
    """With the text the test wants, and the retry delay where one is given."""
    fault = {"status": status, "message": "as ordered", "retryAfterMilliseconds": 1500}
    store = store_with(harness, fault)

    with harness.fails() as failure:
        harness.get_secret(store, "a")

    assert failure.code is grpc.StatusCode[status]
    assert failure.message == "as ordered"
    assert failure.retry_after == 1.5


def test_without_faults_everything_works(harness: ProviderHarness) -> None:
    """The seam does nothing then."""
    assert harness.get_secret(store_with(harness), "a") == b'{"x": "1"}'


CALLS: dict[str, Callable[[ProviderHarness, StoreHandle], object]] = {
    "GetSecret": lambda h, s: h.get_secret(s, "a"),
    "GetSecretMap": lambda h, s: h.get_secret_map(s, "a"),
    "GetAllSecrets": lambda h, s: h.find(s, name="a"),
    "PushSecret": lambda h, s: h.push(s, "new", {"k": b"v"}, secret_key="k"),
    "DeleteSecret": lambda h, s: h.delete(s, "new"),
    "SecretExists": lambda h, s: h.exists(s, "a"),
    "Validate": lambda h, s: h.validate(s),
}


@pytest.mark.parametrize("method", CALLS)
def test_a_fault_is_for_the_methods_it_names(harness: ProviderHarness, method: str) -> None:
    """And for no other."""
    store = store_with(harness, {"methods": [method], "status": "UNAVAILABLE"})

    with harness.fails() as failure:
        CALLS[method](harness, store)

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    for other in CALLS.keys() - {method}:
        CALLS[other](harness, store)


def test_a_fault_without_methods_leaves_validate_alone(harness: ProviderHarness) -> None:
    """So that the store stays ready and the core gets as far as the call that is to fail."""
    store = store_with(harness, {"status": "UNAVAILABLE"})

    assert harness.validate(store).valid
    with harness.fails():
        harness.find(store, name="")


def test_a_fault_by_key_fails_that_key_only(harness: ProviderHarness) -> None:
    """Finds and Validate have no key."""
    store = store_with(harness, {"keys": ["a", "z"], "status": "PERMISSION_DENIED"})

    with harness.fails() as failure:
        harness.get_secret(store, "a")
    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    with harness.fails():
        harness.push(store, "z", {"k": b"v"}, secret_key="k")
    assert harness.get_secret(store, "b") == b"2"
    assert set(harness.find(store, name="^[ab]$")) == {"a", "b"}
    assert harness.validate(store).valid


def test_a_fault_by_rate_takes_every_nth_call(harness: ProviderHarness) -> None:
    """Counted, not drawn: a test knows which call fails."""
    store = store_with(harness, {"rate": 0.25, "status": "UNAVAILABLE"})

    outcomes = [_fails(harness, store) for _ in range(8)]

    assert outcomes == [False, False, False, True] * 2


def test_a_fault_ends_after_its_times(harness: ProviderHarness) -> None:
    """A backend that recovers, for tests of retries."""
    store = store_with(harness, {"times": 2, "status": "UNAVAILABLE"})

    assert [_fails(harness, store) for _ in range(5)] == [True, True, False, False, False]


def test_the_first_rule_that_applies_counts(harness: ProviderHarness) -> None:
    """So exceptions come first."""
    store = store_with(
        harness, {"keys": ["b"], "status": "NOT_FOUND"}, {"status": "UNAVAILABLE", "message": "others"}
    )

    with harness.fails() as failure:
        harness.get_secret(store, "b")
    assert failure.code is grpc.StatusCode.NOT_FOUND
    with harness.fails() as failure:
        harness.get_secret(store, "a")
    assert failure.code is grpc.StatusCode.UNAVAILABLE


def test_a_changed_spec_counts_at_once_and_from_zero(harness: ProviderHarness) -> None:
    """Faults are switched on and off by editing the object, while the provider runs."""
    store = store_with(harness, {"times": 1, "status": "UNAVAILABLE"})
    assert [_fails(harness, store) for _ in range(2)] == [True, False]

    store_with(harness, {"times": 1, "status": "ABORTED"})
    with harness.fails() as failure:
        harness.get_secret(store, "a")
    assert failure.code is grpc.StatusCode.ABORTED

    store_with(harness)
    assert not _fails(harness, store)


def test_latency_delays_the_answer_and_spoils_nothing_else(harness: ProviderHarness) -> None:
    """The value comes, only later; how late is the next test's matter."""
    store = store_with(harness, {"methods": ["GetSecret"], "latencyMilliseconds": 50})

    assert harness.get_secret(store, "b") == b"2"


def test_latency_beyond_the_deadline_is_the_deadline(harness: ProviderHarness) -> None:
    """The server gives up when the caller does."""
    store = store_with(harness, {"latencyMilliseconds": 60_000})

    with harness.fails() as failure:
        harness.get_secret(store, "a", timeout=0.3)

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_hanging_ends_with_the_callers_deadline(harness: ProviderHarness) -> None:
    """And other stores answer meanwhile."""
    store = store_with(harness, {"hang": True})
    other = harness.add_store("team-b", {"data": DATA})

    with harness.fails() as failure:
        harness.get_secret(store, "a", timeout=0.3)

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert harness.get_secret(other, "b") == b"2"


def test_a_caller_who_goes_away_frees_what_hangs(harness: ProviderHarness) -> None:
    """Twice as many cancelled calls as the server has threads, and it still serves the same store."""
    store = store_with(harness, {"keys": ["a"], "hang": True})
    request = secretstore_pb2.GetSecretRequest(
        remote_ref=secretstore_pb2.ExternalSecretDataRemoteRef(key="a"), **harness._common(store)
    )
    rpc = harness.channel.unary_unary(
        "/provider.v1.SecretStoreProvider/GetSecret",
        request_serializer=secretstore_pb2.GetSecretRequest.SerializeToString,
        response_deserializer=secretstore_pb2.GetSecretResponse.FromString,
    )
    for _ in range(8):
        pending = [rpc.future(request, timeout=600) for _ in range(32)]
        for call in pending:
            call.cancel()

    assert _eventually(lambda: harness.get_secret(store, "b")) == b"2"


def test_a_wrong_contract_version_can_be_claimed(harness: ProviderHarness) -> None:
    """The answer is right, its metadata lies: a core has to notice."""
    store = store_with(harness, {"contractVersion": "9.0"})
    request = secretstore_pb2.GetSecretRequest(
        remote_ref=secretstore_pb2.ExternalSecretDataRemoteRef(key="b"), **harness._common(store)
    )
    rpc = harness.channel.unary_unary(
        "/provider.v1.SecretStoreProvider/GetSecret",
        request_serializer=secretstore_pb2.GetSecretRequest.SerializeToString,
        response_deserializer=secretstore_pb2.GetSecretResponse.FromString,
    )

    answer, call = rpc.with_call(request, timeout=10)

    assert answer.value == b"2"
    assert dict(call.trailing_metadata())[CONTRACT_VERSION_KEY] == "9.0"


@pytest.mark.parametrize("method", ["GetSecret", "GetSecretMap", "GetAllSecrets"])
def test_an_answer_can_be_made_too_large(harness: ProviderHarness, method: str) -> None:
    """Over 4 MiB it is refused with its size, which a core has to show."""
    store = store_with(harness, {"methods": [method], "answerBytes": 4 * 1024 * 1024})

    with harness.fails() as failure:
        CALLS[method](harness, store)

    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "TOO_LARGE"


def test_an_answer_can_be_made_large(harness: ProviderHarness) -> None:
    """Below the limit it is sent, padded to the size asked for."""
    store = store_with(harness, {"answerBytes": 1_000_000})

    assert len(harness.get_secret(store, "b")) == 1_000_000


def test_a_generator_misbehaves_by_the_same_rules(harness: ProviderHarness) -> None:
    """Error, times, and taken up at run time."""
    generator = generator_with(harness, {"methods": ["Generate"], "times": 1, "status": "RESOURCE_EXHAUSTED"})

    with harness.fails() as failure:
        harness.generate(generator)
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert harness.generate(generator) == ({"k": b"v"}, b"")

    generator_with(harness, {"status": "INTERNAL", "message": "as ordered"})
    with harness.fails() as failure:
        harness.generate(generator)
    assert (failure.code, failure.message) == (grpc.StatusCode.INTERNAL, "as ordered")


def test_a_generator_hangs_until_the_deadline(harness: ProviderHarness) -> None:
    """As a store does."""
    with harness.fails() as failure:
        harness.generate(generator_with(harness, {"hang": True}), timeout=0.3)

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_generator_is_slow_or_answers_too_much(harness: ProviderHarness) -> None:
    """The other two effects."""
    with harness.fails() as failure:
        harness.generate(generator_with(harness, {"latencyMilliseconds": 60_000}), timeout=0.3)
    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert harness.generate(generator_with(harness, {"latencyMilliseconds": 50}))[0] == {"k": b"v"}
    with harness.fails() as failure:
        harness.generate(generator_with(harness, {"answerBytes": 5_000_000}))
    assert failure.error.code == "TOO_LARGE"


def test_a_generator_claims_a_wrong_contract_version(harness: ProviderHarness) -> None:
    """In an error's metadata too."""
    generator = generator_with(harness, {"contractVersion": "2.0", "status": "UNAVAILABLE"})
    request = generator_pb2.GenerateRequest(**harness._generator_fields(generator))

    with harness.fails() as failure:
        harness.call("Generate", request, generator_pb2.GenerateResponse, service=GENERATOR_SERVICE)

    assert failure.trailers[CONTRACT_VERSION_KEY] == "2.0"


@pytest.mark.parametrize(
    ("rate", "calls", "expected"),
    [
        pytest.param(1.0, 4, [1, 2, 3, 4], id="all"),
        pytest.param(0.5, 6, [2, 4, 6], id="every second"),
        pytest.param(0.1, 20, [10, 20], id="one in ten"),
        pytest.param(0.75, 8, [2, 3, 4, 6, 7, 8], id="three of four"),
        pytest.param(
            0.29, 100, [n for n in range(1, 101) if n * 29 // 100 > (n - 1) * 29 // 100], id="29 of a hundred"
        ),
    ],
)
def test_a_rate_is_exact(rate: float, calls: int, expected: list[int]) -> None:
    """Floating point must not lose the hundredth: there 0.29 times 100 is less than 29."""
    rules = (StoreFaultRule(rate=rate, status="UNAVAILABLE"),)
    counts = FaultCounts()

    failing = [n for n in range(1, calls + 1) if counts.fault(rules, lambda _rule: True) is not None]

    assert failing == expected


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        pytest.param({}, "a fault has to do something", id="no effect"),
        pytest.param({"hang": False}, "a fault has to do something", id="hang: false is no effect"),
        pytest.param({"rate": 0.5}, "a fault has to do something", id="a rate of nothing"),
        pytest.param({"hang": True, "message": "x"}, "go with status", id="a message without status"),
        pytest.param(
            {"hang": True, "retryAfterMilliseconds": 0}, "go with status", id="retry without status"
        ),
        pytest.param({"status": "OK"}, "spec.faults[0].status", id="OK is no error"),
        pytest.param({"status": "Unavailable"}, "spec.faults[0].status", id="another spelling"),
        pytest.param({"status": "UNKNOWN", "rate": 0}, "spec.faults[0].rate", id="rate 0"),
        pytest.param({"status": "UNKNOWN", "rate": 1.5}, "spec.faults[0].rate", id="rate above 1"),
        pytest.param({"status": "UNKNOWN", "times": 0}, "spec.faults[0].times", id="never"),
        pytest.param(
            {"status": "UNKNOWN", "methods": ["Get"]}, "spec.faults[0].methods[0]", id="unknown method"
        ),
        pytest.param(
            {"status": "UNKNOWN", "methods": ["Capabilities"]}, "spec.faults[0].methods[0]", id="Capabilities"
        ),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, Any], part: str) -> None:
    """A typo in a test's fault would make the test pass for nothing."""
    with pytest.raises(InvalidSpecError) as caught:
        FakeStoreSpec.parse({"data": [], "faults": [fault]}, where="Fake a/b")

    assert part in caught.value.message


def test_a_generators_fault_has_no_keys() -> None:
    """Generate asks for nothing by name."""
    with pytest.raises(InvalidSpecError, match=r"spec\.faults\[0\]\.keys: is not a field"):
        FakeGeneratorSpec.parse({"faults": [{"status": "UNKNOWN", "keys": ["a"]}]}, where="Fake a/b")


def _eventually(call: Callable[[], bytes]) -> bytes:
    """The answer, as soon as the server has noticed who is gone: long before the 30 s that a call may last."""
    deadline = time.monotonic() + 15
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or time.monotonic() > deadline:
                raise
            threading.Event().wait(0.05)


def _fails(harness: ProviderHarness, store: StoreHandle) -> bool:
    try:
        harness.get_secret(store, "a")
    except grpc.RpcError:
        return True
    return False
