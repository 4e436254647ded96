"""Pushing, deleting and asking for parameters of Parameter Store."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from eso_e2e.faults import Answer, RecordedRequest, Reset, Respond
from provider_common.testing import StoreHandle

from .bench import Bench, target

pytestmark = pytest.mark.real

WRITES = ("PutParameter", "DeleteParameter", "AddTagsToResource", "RemoveTagsFromResource")
OURS = [{"Key": "managed-by", "Value": "external-secrets"}]


@pytest.fixture
def store(bench: Bench) -> StoreHandle:
    return bench.store("AWSParameterStore")


def metadata(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata",
        "spec": spec,
    }


def parameter(bench: Bench, name: str) -> dict[str, Any]:
    return bench.aws("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]


def described(bench: Bench, name: str) -> dict[str, Any]:
    only = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    return bench.aws("ssm").describe_parameters(ParameterFilters=only)["Parameters"][0]


def tags(bench: Bench, name: str) -> dict[str, str]:
    answer = bench.aws("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
    return {tag["Key"]: tag["Value"] for tag in answer["TagList"]}


def written(bench: Bench) -> dict[str, int]:
    return {operation: count for operation in WRITES if (count := bench.sent(operation))}


def test_a_new_parameter_carries_the_mark(bench: Bench) -> None:
    store = bench.store("AWSParameterStore", prefix="/app/")
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"team": "a"}))

    assert (parameter(bench, "/app/db")["Value"], parameter(bench, "/app/db")["Type"]) == ("1", "String")
    assert tags(bench, "/app/db") == {"managed-by": "external-secrets", "team": "a"}
    assert bench.calls() == {"GetParameter": 1, "PutParameter": 1}


def test_an_equal_push_writes_nothing(bench: Bench, store: StoreHandle) -> None:
    """Tags neither, as in Go."""
    for team in ("a", "b"):
        bench.harness.push(store, "/db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"team": team}))

    assert written(bench) == {"PutParameter": 1}


def test_a_changed_value_is_one_write_and_brings_the_tags_up_to_date(
    bench: Bench, store: StoreHandle
) -> None:
    bench.harness.push(
        store, "/db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"a": "1", "b": "2"})
    )
    bench.harness.push(store, "/db", {"p": b"2"}, secret_key="p", metadata=metadata(tags={"a": "9"}))

    assert parameter(bench, "/db")["Value"] == "2"
    assert tags(bench, "/db") == {"a": "9", "managed-by": "external-secrets"}
    assert written(bench) == {"PutParameter": 2, "AddTagsToResource": 1, "RemoveTagsFromResource": 1}


def test_tags_that_are_not_mentioned_stay(bench: Bench, store: StoreHandle) -> None:
    bench.harness.push(store, "/db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"a": "1"}))
    bench.harness.push(store, "/db", {"p": b"2"}, secret_key="p")

    assert tags(bench, "/db") == {"a": "1", "managed-by": "external-secrets"}


def test_what_is_not_ours_is_neither_overwritten_nor_deleted(bench: Bench, store: StoreHandle) -> None:
    bench.aws("ssm").put_parameter(Name="/theirs", Value='{"a":"1"}', Type="String")
    for prop in ("", "a"):
        with bench.harness.fails() as failure:
            bench.harness.push(store, "/theirs", {"p": b"2"}, secret_key="p", property=prop)
        assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "CONFLICT")
        bench.harness.delete(store, "/theirs", property=prop)

    assert parameter(bench, "/theirs")["Value"] == '{"a":"1"}'
    assert written(bench) == {}


@pytest.mark.parametrize(
    ("asked", "text"),
    [({}, '{"a":"MQ==","b":"PDI+"}'), ({"encodeAsDecoded": True}, '{"a":"1","b":"<2>"}')],
    ids=["base64", "decoded"],
)
def test_a_whole_secret_is_json_of_base64_unless_told_otherwise(
    bench: Bench, store: StoreHandle, asked: dict[str, Any], text: str
) -> None:
    bench.harness.push(store, "/all", {"b": b"<2>", "a": b"1"}, metadata=metadata(**asked))

    assert parameter(bench, "/all")["Value"] == text


def test_a_property_is_merged_as_secrets_manager_does_it(bench: Bench, store: StoreHandle) -> None:
    """In Go `property` is ignored here, and the whole parameter replaced."""
    for prop, value in (("a", b"1"), ("b.c", b"2"), ("a", b"3"), ("a", b"3")):
        bench.harness.push(store, "/doc", {"p": value}, secret_key="p", property=prop)

    assert parameter(bench, "/doc")["Value"] == '{"a":"3","b":{"c":"2"}}'
    assert written(bench) == {"PutParameter": 3}


def test_a_property_does_not_go_into_what_is_not_json(bench: Bench, store: StoreHandle) -> None:
    bench.harness.push(store, "/text", {"p": b"plain"}, secret_key="p")
    with bench.harness.fails() as failure:
        bench.harness.push(store, "/text", {"p": b"v"}, secret_key="p", property="a")

    assert failure.error.code == "CONFLICT"
    assert parameter(bench, "/text")["Value"] == "plain"


def test_a_property_that_is_not_text_is_refused_and_not_spoiled(bench: Bench, store: StoreHandle) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(store, "/doc", {"p": b"\xff"}, secret_key="p", property="a")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert written(bench) == {}


def test_a_creation_whose_answer_is_lost_is_a_success(bench: Bench) -> None:
    """Parameter Store knows no tokens: it calls the second try a duplicate, and what is there is looked at."""
    bench.proxy.inject(Reset(after_backend=True), headers=target("PutParameter"), times=1)
    store = bench.store("AWSParameterStore", retries=1)
    bench.harness.push(store, "/db", {"p": b"1"}, secret_key="p")

    assert (parameter(bench, "/db")["Value"], parameter(bench, "/db")["Version"]) == ("1", 1)
    assert written(bench) == {"PutParameter": 2}


def test_a_parameter_that_somebody_made_meanwhile_is_theirs(bench: Bench, store: StoreHandle) -> None:
    def first(request: RecordedRequest) -> None:
        bench.aws("ssm").put_parameter(Name="/db", Value="theirs", Type="String")

    bench.proxy.inject(Respond(first), headers=target("PutParameter"), times=1)
    with bench.harness.fails() as failure:
        bench.harness.push(store, "/db", {"p": b"1"}, secret_key="p")

    assert failure.error.code == "CONFLICT"
    assert parameter(bench, "/db")["Value"] == "theirs"


def test_a_value_that_is_hidden_can_not_be_compared(bench: Bench, store: StoreHandle) -> None:
    bench.aws("ssm").put_parameter(Name="/hidden", Value="sensitive", Type="String", Tags=OURS)
    with bench.harness.fails() as failure:
        bench.harness.push(store, "/hidden", {"p": b"v"}, secret_key="p")

    assert failure.error.code == "CONFLICT"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"Type": "String"}),
        ({"secretType": "StringList", "kmsKeyID": "alias/x"}, {"Type": "StringList"}),
        ({"secretType": "SecureString"}, {"Type": "SecureString", "KeyId": "alias/aws/ssm"}),
        ({"secretType": "SecureString", "kmsKeyId": "alias/x"}, {"Type": "SecureString", "KeyId": "alias/x"}),
        ({"tier": {"type": "Intelligent-Tiering"}}, {"Type": "String", "Tier": "Intelligent-Tiering"}),
        (
            {"tier": {"type": "Advanced", "policies": [{"Type": "NoChangeNotification", "Version": "1.0"}]}},
            {"Type": "String", "Tier": "Advanced", "Policies": '[{"Type":"NoChangeNotification","Version":"1.0"}]'},
        ),
    ],
    ids=["default", "list", "secure", "key", "intelligent", "advanced"],
)  # fmt: skip
def test_metadata_decides_type_key_and_tier(
    bench: Bench, store: StoreHandle, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Intelligent-Tiering is sent, too: Go sends the tier for Advanced only."""
    bench.harness.push(store, "/db", {"p": b"a,b"}, secret_key="p", metadata=metadata(**asked))

    body = bench.proxy.requests[-1].json()
    assert {key: body[key] for key in ("Type", "KeyId", "Tier", "Policies") if key in body} == sent
    assert body["Description"] == "secret 'managed-by:external-secrets'"


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"tags": {"managed-by": "me"}}, "managed-by"),
        ({"secretType": "Text"}, "secretType"),
        ({"tier": {"type": "Huge"}}, "tier"),
        ({"tier": {"policies": [{}]}}, "tier.policies"),
        ({"colour": "red"}, "colour"),
    ],
    ids=["mark", "type", "tier", "policies", "unknown"],
)
def test_metadata_that_can_not_be_meant_is_refused(
    bench: Bench, store: StoreHandle, spec: dict[str, Any], word: str
) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(store, "/db", {"p": b"1"}, secret_key="p", metadata=metadata(**spec))

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert word in failure.message
    assert bench.proxy.requests == []


@pytest.mark.parametrize("value", [b"\xff\xfe", b""], ids=["bytes", "empty"])
def test_what_a_parameter_can_not_hold_is_refused(bench: Bench, store: StoreHandle, value: bytes) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(store, "/db", {"p": value}, secret_key="p")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert written(bench) == {}


def test_deleting_a_property_leaves_the_others_and_the_key(bench: Bench, store: StoreHandle) -> None:
    """Type and KMS key stay what they are. The last property takes the parameter along."""
    asked = metadata(secretType="SecureString", kmsKeyID="alias/mine")
    for prop in ("a", "b"):
        bench.harness.push(store, "/doc", {"p": b"1"}, secret_key="p", property=prop, metadata=asked)

    bench.harness.delete(store, "/doc", property="a")
    assert (parameter(bench, "/doc")["Value"], parameter(bench, "/doc")["Type"]) == (
        '{"b":"1"}',
        "SecureString",
    )
    assert described(bench, "/doc")["KeyId"] == "alias/mine"
    bench.harness.delete(store, "/doc", property="b")
    assert not bench.harness.exists(store, "/doc")


def test_a_parameter_whose_kms_key_is_gone_can_be_deleted(bench: Bench, store: StoreHandle) -> None:
    """To delete the whole, its value need not be read."""
    bench.harness.push(
        store, "/db", {"p": b"1"}, secret_key="p", metadata=metadata(secretType="SecureString")
    )
    no_key = Answer.json(400, {"__type": "InvalidKeyId", "Message": "m"})
    bench.proxy.inject(no_key, headers=target("GetParameter"), body='"WithDecryption": true')
    bench.harness.delete(store, "/db")

    assert written(bench)["DeleteParameter"] == 1


def test_deleting_what_is_absent_is_a_success(bench: Bench, store: StoreHandle) -> None:
    bench.harness.push(store, "/db", {"p": b"1"}, secret_key="p")
    for _ in range(2):
        bench.harness.delete(store, "/db")
    bench.harness.delete(store, "/never", property="a")

    assert written(bench) == {"PutParameter": 1, "DeleteParameter": 1}


def test_what_is_pushed_exists(bench: Bench) -> None:
    store = bench.store("AWSParameterStore", prefix="/p/")
    assert not bench.harness.exists(store, "db")
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")

    assert bench.harness.exists(store, "db", property="nope")
    bench.harness.delete(store, "db")
    assert not bench.harness.exists(store, "db")


def test_a_resource_that_is_not_found_does_not_exist(bench: Bench, store: StoreHandle) -> None:
    """Go takes this code for an absent parameter, too; a read of it is still not "no such secret"."""
    missing = Answer.json(400, {"__type": "ResourceNotFoundException", "Message": "m"})
    bench.proxy.inject(missing, headers=target("GetParameter"))

    assert not bench.harness.exists(store, "/db")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "/db")
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
