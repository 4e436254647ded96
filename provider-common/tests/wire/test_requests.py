"""Requests that nobody sends by mistake: whatever is in them, the answer is one that a caller can act on."""

import json
from dataclasses import replace
from typing import Any, ClassVar, Self

import grpc
import pytest
from provider_common import (
    AccessDeniedError,
    Context,
    Generated,
    GeneratorV2,
    NoSecretError,
    ProviderV2,
    PushData,
    RemoteRef,
    SecretKeySelector,
    Spec,
)
from provider_common import _logging as logs
from provider_common._wire.calls import _KEPT, _LARGEST_KEPT, once
from provider_common.errors import InvalidRequestError, UnknownNamespaceError
from provider_common.testing import ProviderHarness, StoreHandle
from provider_proto import CONTRACT_VERSION_KEY
from provider_proto.provider.v1 import secretstore_pb2 as pb


@pytest.fixture
def store(harness: ProviderHarness, acme_spec) -> StoreHandle:
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    return harness.add_store("team-a", acme_spec())


@pytest.mark.parametrize("version", ["9" * 5000 + ".0", "1." + "9" * 5000, "1." + "9" * 40000], ids=len)
def test_a_version_of_absurd_length_is_a_clear_error(harness, store, version) -> None:
    """Python refuses to turn 5 000 digits into a number."""
    with harness.fails() as failure:
        metadata = ((CONTRACT_VERSION_KEY, version),)
        rpc = harness.channel.unary_unary("/provider.v1.SecretStoreProvider/GetSecret")
        rpc(b"", timeout=10, metadata=metadata)
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert CONTRACT_VERSION_KEY in failure.message


@pytest.mark.parametrize(
    ("versions", "served"), [(("1.1", "1.0"), True), (("1.1", "2.0"), False), (("2.0", "1.1"), False)]
)
def test_a_version_sent_twice_has_to_be_served_twice(harness, store, versions, served) -> None:
    rpc = harness.channel.unary_unary("/provider.v1.SecretStoreProvider/Capabilities")
    request = pb.CapabilitiesRequest(**harness._common(store)).SerializeToString()
    metadata = tuple((CONTRACT_VERSION_KEY, version) for version in versions)
    if served:
        assert rpc(request, timeout=10, metadata=metadata)
        return
    with harness.fails() as failure:
        rpc(request, timeout=10, metadata=metadata)
    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x" * 254},
        {"namespace": ".."},
        {"namespace": "a/b", "source_namespace": "a/b"},
        {"source_namespace": "x" * 64, "namespace": ""},
        {"source_namespace": "a\0b", "namespace": ""},
        {"source_namespace": "team-a\n", "namespace": ""},
        {"source_namespace": "Team-A", "namespace": ""},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("store_kind", ["SecretStore", "ClusterSecretStore"])
def test_a_name_that_no_object_can_have_is_refused(harness, store, change, store_kind) -> None:
    """It must not become a part of an API path, nor a key that a cache keeps."""
    with harness.fails() as failure:
        harness.get_secret(replace(store, store_ref_kind=store_kind, **change), "db")
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert harness.kube.secrets_read == []


def test_names_at_their_longest_are_names(harness, acme_spec) -> None:
    """253 characters for an object, 63 for a namespace."""
    namespace = "n" * 63
    harness.kube.add_secret(namespace, "token", {"value": b"t0ken"})
    store = harness.add_store(namespace, acme_spec(), name="x" * 253)
    assert harness.get_secret(store, "whoami") == b"t0ken"


def test_a_huge_store_is_sent_along_and_served(harness, store) -> None:
    """What is too large to be remembered is understood each time."""
    spec = pb.SecretStoreSpec(controller="x" * _LARGEST_KEPT)
    fields = {**harness._common(store), "store": pb.StoreContext(kind="SecretStore", spec=spec)}
    remote_ref = pb.ExternalSecretDataRemoteRef(key="db")
    request = pb.GetSecretRequest(remote_ref=remote_ref, **fields).SerializeToString()
    rpc = harness.channel.unary_unary("/provider.v1.SecretStoreProvider/GetSecret")

    answers = {rpc(request, timeout=10) for _ in range(2)}

    assert answers == {pb.GetSecretResponse(value=harness.get_secret(store, "db")).SerializeToString()}


def test_what_requests_mean_is_worked_out_once_within_bounds() -> None:
    """What a caller may make the server remember is bounded in number and in size; errors are not remembered."""
    parsed: list[bytes] = []

    def parse(data: bytes) -> bytes:
        parsed.append(data)
        if not data:
            raise InvalidRequestError("empty")
        return data

    remembered = once(parse)
    huge = b"x" * (_LARGEST_KEPT + 1)
    for data in (b"small", b"small", huge, huge):
        assert remembered(data) == data
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            remembered(b"")
    assert parsed == [b"small", huge, huge, b"", b""]

    for number in range(_KEPT):
        remembered(b"%d" % number)
    parsed.clear()
    remembered(b"small")
    assert parsed == [b"small"]


@pytest.mark.parametrize(
    "state",
    [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"{", b'"x"', b'{"n": ' + b"9" * 5000 + b"}"],
    ids=lambda s: s[:6],
)
def test_a_state_that_is_not_ours_is_invalid(harness, acme, state) -> None:
    """However deep it is."""
    with harness.fails() as failure:
        harness.cleanup(harness.add_generator("team-a", {}), state)
    assert (failure.code, failure.error.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


# What a provider may do wrong


class RefusedSpec(Spec):
    """Which way to fail."""

    kind: ClassVar = "Refused"
    token: SecretKeySelector | None = None


class Refused(ProviderV2[RefusedSpec]):
    """Raises what the test says."""

    error: ClassVar[BaseException | None] = None
    seen: ClassVar[list[str]] = []
    closed: ClassVar[list[object]] = []

    def __init__(self, token: bytes) -> None:
        self._token = token

    @classmethod
    def open(cls, ctx: Context[RefusedSpec]) -> Self:
        return cls(bytes(ctx.auth.secret_key(ctx.spec.token)) if ctx.spec.token else b"")

    def get_secret(self, ref: RemoteRef) -> bytes:
        Refused.seen.append(logs.request_id.get())
        if self.error is not None:
            raise self.error
        return json.dumps({"a": "1"}).encode()

    def select(self, ref: RemoteRef, value: bytes) -> bytes:
        assert self not in Refused.closed, "a store that is closed is not used any more"
        return super().select(ref, value)

    def push_secret(self, data: PushData) -> None:
        raise NoSecretError(data.remote_key)

    def validate(self) -> tuple[str, ...]:
        if self._token == b"old":
            raise AccessDeniedError("The backend refuses this token")
        if self.error is not None:
            raise self.error
        return ()

    def close(self) -> None:
        Refused.closed.append(self)


class Nothing(GeneratorV2[RefusedSpec]):
    """Generates what is no JSON, or fails."""

    state: ClassVar[Any] = None

    def generate(self, ctx: Context[RefusedSpec]) -> Generated:
        if self.state is None:
            raise NoSecretError("a role")
        return Generated({"a": b"1"}, state=self.state)

    def cleanup(self, ctx: Context[RefusedSpec], state: Any) -> None:
        raise NoSecretError("a role")


@pytest.fixture
def refused():
    Refused.error, Nothing.state = None, None
    Refused.seen, Refused.closed = [], []
    with ProviderHarness(Refused, Nothing) as harness:
        yield harness


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit("c4nary")], ids=lambda e: type(e).__name__
)
def test_a_provider_that_wants_to_end_the_process_ends_its_call(refused, error) -> None:
    """grpc would leave the caller without an answer until its deadline."""
    Refused.error = error
    with refused.fails() as failure:
        refused.get_secret(refused.add_store("team-a", {}), "k")
    assert (failure.code, failure.error.code) == (grpc.StatusCode.INTERNAL, "BUG")
    assert "c4nary" not in failure.message


def test_every_call_has_an_id_of_its_own_for_the_log(refused) -> None:
    store = refused.add_store("team-a", {})
    for i in range(3):
        refused.get_secret(store, f"k{i}")
    assert len(set(Refused.seen)) == 3
    assert "" not in Refused.seen


def test_only_a_read_may_say_that_there_is_no_such_secret(refused) -> None:
    """A core acts on NOT_FOUND; a push, or a generator, has nothing to say by it."""
    generator = refused.add_generator("team-a", {})
    for call in (
        lambda: refused.push(refused.add_store("team-a", {}), "k", {"a": b"b"}),
        lambda: refused.generate(generator),
    ):
        with refused.fails() as failure:
            call()
        assert (failure.code, failure.error.code) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "MISSING_REFERENCE",
        )
    refused.cleanup(generator, b"{}")


def test_a_state_that_is_no_json_is_a_bug_of_the_generator(refused) -> None:
    """Go's JSON knows no NaN, and a core could not store it."""
    Nothing.state = {"x": float("nan")}
    with refused.fails() as failure:
        refused.generate(refused.add_generator("team-a", {}))
    assert (failure.code, failure.error.code) == (grpc.StatusCode.INTERNAL, "BUG")


def test_validate_that_can_not_know_the_namespace_is_valid_and_says_so(refused) -> None:
    """Also when it is the check itself that finds out, and not the opening."""
    Refused.error = UnknownNamespaceError("no caller is known yet")
    verdict = refused.validate(refused.add_store("team-a", {}))
    assert (verdict.valid, list(verdict.warnings)) == (True, ["not checked: no caller is known yet"])


@pytest.mark.parametrize(
    "error", [AccessDeniedError("no"), NoSecretError("k")], ids=lambda e: type(e).__name__
)
def test_validate_that_fails_is_an_answer_with_a_text(refused, error) -> None:
    Refused.error = error
    verdict = refused.validate(refused.add_store("team-a", {}))
    assert (verdict.valid, verdict.error) == (False, error.message)


def test_validate_looks_at_a_credential_that_was_replaced(refused, monkeypatch) -> None:
    """A store is not to stay unready until the next refresh because its token was rotated a moment ago."""
    monkeypatch.setattr("provider_common._stores._RECHECK_SOON", 0.0)
    refused.kube.add_secret("team-a", "token", {"value": b"old"})
    store = refused.add_store("team-a", {"token": {"name": "token", "key": "value"}})
    assert not refused.validate(store).valid

    refused.kube.add_secret("team-a", "token", {"value": b"new"})

    assert refused.validate(store).valid


def test_a_property_is_selected_while_the_store_is_open(refused) -> None:
    """Pushed out at once by a limit of none: the store is closed after the answer, not before."""
    refused.server._stores._max_stores = 0
    assert refused.get_secret(refused.add_store("team-a", {}), "k", property="a") == b"1"
    assert len(Refused.closed) == 1
