"""Random messages: whatever is well-formed gets an answer that a caller can act on, and unknown fields are ignored."""

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from provider_common.testing import ProviderHarness
from provider_proto import GENERATOR_SERVICE, SECRET_STORE_METHODS, SECRET_STORE_SERVICE
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

from ..conftest import ACME, AcmeStore, PinGenerator

pytestmark = pytest.mark.slow

STORES = "provider.secretstore.external-secrets.io/v2alpha1"
GENERATORS = "provider.generator.external-secrets.io/v2alpha1"
METHODS = [(SECRET_STORE_SERVICE, m, secretstore_pb2) for m in SECRET_STORE_METHODS] + [
    (GENERATOR_SERVICE, m, generator_pb2) for m in ("Generate", "Cleanup")
]

# Words that lead somewhere, beside those that lead nowhere: else every request would end at its first field.
WORDS: dict[str, list[Any]] = {
    "api_version": [STORES, GENERATORS, "a/b", "/", ""],
    "kind": ["AcmeKeyValue", "Pin", "SecretStore", "ClusterSecretStore", "ClusterGenerator", ""],
    "name": ["main", "other", ""],
    "namespace": ["team-a", "infra", ""],
    "source_namespace": ["team-a", "infra", ""],
    "store_ref_kind": ["SecretStore", "ClusterSecretStore", "ClusterProvider", ""],
    "key": ["db", "text", "gone"],
    "remote_key": ["db", "new"],
    "property": ["", "user", "a.#(b==1)#.c", "..", "@pretty:{"],
    "metadata_policy": ["None", "Fetch", ""],
    "authentication_scope": ["ProviderNamespace", "ManifestNamespace", ""],
    "regexp": ["^d", "(", "(?=x)", "a{1000}{1000}", ""],
    "retry_interval": ["1s", "x", "-1s", ""],
    "metadata": [b"", b"{}", b"[" * 5000, b"\xff", b"a: &a [*a]"],
    "state": [b"", b"{}", b'{"digits":4}', b"[" * 5000],
}


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    odd: st.SearchStrategy[Any]
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            odd = st.binary(max_size=40)
        case FieldDescriptor.CPPTYPE_STRING:
            odd = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just("x" * 3000)
        case FieldDescriptor.CPPTYPE_BOOL:
            odd = st.booleans()
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_ENUM:
            odd = st.integers(-(2**31), 2**31 - 1)
        case FieldDescriptor.CPPTYPE_INT64:
            odd = st.integers(-(2**63), 2**63 - 1)
        case _:
            raise AssertionError(f"no strategy for {field.full_name}")
    words = WORDS.get(field.name)
    if words is None:
        return odd
    if field.file.package == "generator.v1":
        words = {"api_version": [GENERATORS], "kind": ["Pin"]}.get(field.name, []) + words
    return st.integers(0, 11).flatmap(
        lambda n: odd if n == 11 else st.sampled_from(words) if n > 8 else st.just(words[0])
    )


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], likely: bool = True) -> Message:
    """A message with each field set or not; those of the request itself nearly always."""
    made: Any = kind()
    for field in kind.DESCRIPTOR.fields:
        if draw(st.integers(0, 19)) >= (19 if likely else 12):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            key = field.message_type.fields_by_name["key"]
            getattr(made, field.name).update(draw(st.dictionaries(scalar(key), scalar(value), max_size=3)))
        elif field.message_type is not None and field.is_repeated:
            nested = messages(field.message_type._concrete_class, likely=False)
            getattr(made, field.name).extend(draw(st.lists(nested, max_size=2)))
        elif field.message_type is not None:
            certain = field.name in {
                "provider_ref",
                "generator_ref",
                "remote_ref",
                "find",
                "push_secret_data",
            }
            getattr(made, field.name).CopyFrom(
                draw(messages(field.message_type._concrete_class, likely=certain))
            )
        elif field.is_repeated:
            getattr(made, field.name).extend(draw(st.lists(scalar(field), max_size=3)))
        else:
            setattr(made, field.name, draw(scalar(field)))
    return made


@pytest.fixture(scope="module")
def served():
    ACME.__init__()  # type: ignore[misc]
    ACME.values.update({"db": b'{"user": "admin"}', "text": b"\xff\x00"})
    with ProviderHarness(AcmeStore, PinGenerator) as harness:
        for namespace in ("team-a", "infra"):
            harness.kube.add_secret(namespace, "token", {"value": b"t0ken"})
            harness.add_store(namespace, {"tokenSecretRef": {"name": "token", "key": "value"}})
            harness.add_generator(namespace, {})
        yield harness


def outcome(
    harness: ProviderHarness, service: str, method: str, request: bytes, module: Any
) -> tuple[str, bytes]:
    response = getattr(module, f"{method}Response")
    try:
        answer = harness.call(method, request, response, service=service)
    except grpc.RpcError as error:
        return error.code().name, (error.details() or "").encode()
    return "OK", answer.SerializeToString(deterministic=True)


ALLOWED = {
    "OK", "NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED", "UNIMPLEMENTED",
}  # fmt: skip


@pytest.mark.parametrize(("service", "method", "module"), METHODS, ids=[m for _, m, _ in METHODS])
def test_no_message_is_answered_as_a_defect(
    served: ProviderHarness, service: str, method: str, module: Any
) -> None:
    """INTERNAL and UNKNOWN tell nobody what to do; NOT_FOUND is for reads of a secret alone."""
    seen: set[str] = set()

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(messages(getattr(module, f"{method}Request")))
    def check(request: Message) -> None:
        code, text = outcome(served, service, method, request.SerializeToString(), module)
        seen.add(code)
        assert code in ALLOWED, text
        assert code != "NOT_FOUND" or method in {"GetSecret", "GetSecretMap"}
        assert code == "OK" or text.decode().isprintable()

    check()
    assert len(seen) > 1, "the messages have to lead to more than one place"
    assert "OK" in seen


def unknown(number: int, payload: bytes) -> bytes:
    """A field of ours with a number that nobody knows, as bytes of the wire."""

    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes([*out, value])

    return varint(number << 3 | 2) + varint(len(payload)) + payload


@pytest.mark.parametrize(("service", "method", "module"), METHODS, ids=[m for _, m, _ in METHODS])
def test_unknown_fields_change_nothing(
    served: ProviderHarness, service: str, method: str, module: Any
) -> None:
    """A core of a later minor version sends them."""

    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(messages(getattr(module, f"{method}Request")), st.integers(1000, 2**28), st.binary(max_size=50))
    def check(request: Message, number: int, payload: bytes) -> None:
        plain = request.SerializeToString(deterministic=True)
        without = outcome(served, service, method, plain, module)
        assert outcome(served, service, method, plain + unknown(number, payload), module) == without

    check()
