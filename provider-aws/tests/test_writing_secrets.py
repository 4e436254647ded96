"""Pushing, deleting and asking for secrets of Secrets Manager."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from eso_e2e.faults import Answer, RecordedRequest, Reset, Respond
from provider_aws._secret_writing import SecretOptions, SecretPush

from .bench import NAMESPACE, Bench, target

pytestmark = pytest.mark.real

WRITES = (
    "CreateSecret",
    "PutSecretValue",
    "TagResource",
    "UntagResource",
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "ReplicateSecretToRegions",
    "RemoveRegionsFromReplication",
    "DeleteSecret",
    "UpdateSecret",
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})


def metadata(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata",
        "spec": spec,
    }


def content(bench: Bench, name: str) -> bytes:
    answer = bench.aws("secretsmanager").get_secret_value(SecretId=name)
    return answer["SecretBinary"] if "SecretBinary" in answer else answer["SecretString"].encode()


def tags(bench: Bench, name: str) -> dict[str, str]:
    described = bench.aws("secretsmanager").describe_secret(SecretId=name)
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def written(bench: Bench) -> dict[str, int]:
    return {operation: count for operation in WRITES if (count := bench.sent(operation))}


def test_a_new_secret_carries_the_mark_and_holds_bytes(bench: Bench) -> None:
    """Bytes are the default format, as in Go; two calls in all."""
    bench.harness.push(bench.store(prefix="app/"), "db", {"password": b"\x00\xff"}, secret_key="password")

    assert content(bench, "app/db") == b"\x00\xff"
    assert tags(bench, "app/db") == {"managed-by": "external-secrets"}
    described = bench.aws("secretsmanager").describe_secret(SecretId="app/db")
    assert described["Description"] == "secret 'managed-by:external-secrets'"
    assert bench.calls() == {"DescribeSecret": 1, "CreateSecret": 1}


def test_a_whole_secret_is_pushed_as_json_of_texts(bench: Bench) -> None:
    bench.harness.push(
        bench.store(), "all", {"b": b"<2>", "a": b"1"}, metadata=metadata(secretPushFormat="string")
    )

    assert (
        bench.aws("secretsmanager").get_secret_value(SecretId="all")["SecretString"] == '{"a":"1","b":"<2>"}'
    )


def test_an_equal_push_writes_nothing(bench: Bench) -> None:
    store = bench.store()
    for _ in range(3):
        bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"team": "a"}))

    assert written(bench) == {"CreateSecret": 1}


def test_a_changed_value_is_one_new_version(bench: Bench) -> None:
    store = bench.store()
    for value in (b"1", b"2"):
        bench.harness.push(store, "db", {"p": value}, secret_key="p")

    assert content(bench, "db") == b"2"
    assert written(bench) == {"CreateSecret": 1, "PutSecretValue": 1}


def test_another_format_alone_rewrites_nothing(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=metadata(secretPushFormat="string"))

    assert written(bench) == {"CreateSecret": 1}


@pytest.mark.parametrize("owner", [{}, {"managed-by": "somebody"}], ids=["no mark", "another's mark"])
def test_what_is_not_ours_is_neither_overwritten_nor_deleted(bench: Bench, owner: dict[str, str]) -> None:
    listed = [{"Key": key, "Value": value} for key, value in owner.items()]
    bench.aws("secretsmanager").create_secret(Name="theirs", SecretString='{"a":"1"}', Tags=listed)
    store = bench.store()
    for prop in ("", "a"):
        with bench.harness.fails() as failure:
            bench.harness.push(store, "theirs", {"p": b"2"}, secret_key="p", property=prop)
        assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "CONFLICT")
        bench.harness.delete(store, "theirs", property=prop)

    assert content(bench, "theirs") == b'{"a":"1"}'
    assert written(bench) == {}


def test_a_property_is_merged_and_the_rest_stays_byte_for_byte(bench: Bench) -> None:
    store = bench.store()
    bench.aws("secretsmanager").create_secret(
        Name="doc",
        SecretString='{ "a":  1.50, "b": "x" }',
        Tags=[{"Key": "managed-by", "Value": "external-secrets"}],
    )
    bench.harness.push(store, "doc", {"p": b"new"}, secret_key="p", property="b")
    bench.harness.push(store, "doc", {"p": b"y"}, secret_key="p", property="c.d")

    assert content(bench, "doc") == b'{ "a":  1.50, "b": "new" ,"c":{"d":"y"}}'


def test_a_property_makes_a_new_document(bench: Bench) -> None:
    bench.harness.push(bench.store(), "doc", {"p": b"v"}, secret_key="p", property="a.b")

    assert content(bench, "doc") == b'{"a":{"b":"v"}}'


def test_an_equal_property_writes_nothing(bench: Bench) -> None:
    store = bench.store()
    for _ in range(2):
        bench.harness.push(store, "doc", {"p": b"v"}, secret_key="p", property="a")

    assert written(bench) == {"CreateSecret": 1}


@pytest.mark.parametrize("value", [b"plain", b"12345", b'"text"', b"null", b"{"], ids=bytes.decode)
def test_a_property_does_not_go_into_what_is_no_json_object(bench: Bench, value: bytes) -> None:
    """Writing there would destroy the value, a PIN say; nothing is touched, tags neither."""
    store = bench.store()
    bench.harness.push(store, "text", {"p": value}, secret_key="p")
    with bench.harness.fails() as failure:
        bench.harness.push(
            store, "text", {"p": b"v"}, secret_key="p", property="a", metadata=metadata(tags={"x": "y"})
        )

    assert failure.error.code == "CONFLICT"
    assert content(bench, "text") == value
    assert written(bench) == {"CreateSecret": 1}


def test_a_property_that_is_not_text_is_refused_and_not_spoiled(bench: Bench) -> None:
    """A JSON string can't hold it: it would be stored as something else."""
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(), "doc", {"p": b"\xff\xfe"}, secret_key="p", property="a")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "'a'" in failure.message
    assert written(bench) == {}


@pytest.mark.parametrize("prop", ["a.#.b", "#(x==1).b", "k*"])
def test_a_property_that_leads_to_nothing_is_not_a_success(bench: Bench, prop: str) -> None:
    """A query changes what it finds, and makes nothing: the value would be nowhere."""
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(), "doc", {"p": b"v"}, secret_key="p", property=prop)

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert written(bench) == {}


def test_tags_are_brought_up_to_date_and_only_when_asked_for(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"a": "1", "b": "2"}))
    bench.aws("secretsmanager").tag_resource(SecretId="db", Tags=[{"Key": "c", "Value": "3"}])
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")
    assert tags(bench, "db") == {"a": "1", "b": "2", "c": "3", "managed-by": "external-secrets"}

    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=metadata(tags={"a": "9"}))
    assert tags(bench, "db") == {"a": "9", "managed-by": "external-secrets"}
    assert written(bench) == {"CreateSecret": 1, "TagResource": 1, "UntagResource": 1}


@pytest.mark.parametrize("source", ["ConfigMap", "Secret"])
def test_a_resource_policy_is_set_kept_and_removed_as_asked(bench: Bench, source: str) -> None:
    """Without it in the metadata, policies are neither read nor removed; Go deletes them at every push."""
    store = bench.store()
    kube = bench.harness.kube

    def policy(text: str) -> None:
        kube.add_config_map(NAMESPACE, "policy", {"json": text})
        kube.add_secret(NAMESPACE, "policy", {"json": text.encode()})

    asked = metadata(resourcePolicy={"policySourceRef": {"kind": source, "name": "policy", "key": "json"}})
    client = bench.aws("secretsmanager")
    policy(POLICY)
    for data in (asked, asked, None):
        bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=data)
    assert json.loads(client.get_resource_policy(SecretId="db")["ResourcePolicy"]) == json.loads(POLICY)
    assert written(bench) == {"CreateSecret": 1, "PutResourcePolicy": 1}
    assert bench.sent("GetResourcePolicy") == 1

    policy(json.dumps(json.loads(POLICY), indent=4))  # the same, written otherwise
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=asked)
    assert written(bench) == {"CreateSecret": 1, "PutResourcePolicy": 1}

    policy("")
    for _ in range(2):
        bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=asked)
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId="db")
    assert bench.sent("DeleteResourcePolicy") == 1


@pytest.mark.parametrize("block", [None, True, False])
def test_a_policy_may_be_kept_from_giving_access_to_everybody(bench: Bench, block: bool | None) -> None:
    """What the metadata does not say is left to AWS."""
    bench.harness.kube.add_config_map(NAMESPACE, "policy", {"json": POLICY})
    source = {"kind": "ConfigMap", "name": "policy", "key": "json"}
    policy = {"policySourceRef": source} | ({} if block is None else {"blockPublicPolicy": block})
    asked = metadata(resourcePolicy=policy)
    bench.harness.push(bench.store(), "db", {"p": b"1"}, secret_key="p", metadata=asked)

    assert bench.proxy.requests[-1].json().get("BlockPublicPolicy") is block


def test_a_policy_is_read_in_the_namespace_of_the_push_secret(bench: Bench) -> None:
    """Also when the store's own credentials are elsewhere."""
    spec = bench.spec()
    store = bench.harness.cluster_store(NAMESPACE, spec, caller="team-b", kind="AWSSecretManager")
    bench.harness.kube.add_config_map("team-b", "policy", {"json": POLICY})
    asked = metadata(
        resourcePolicy={"policySourceRef": {"kind": "ConfigMap", "name": "policy", "key": "json"}}
    )
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=asked)

    assert bench.sent("PutResourcePolicy") == 1
    assert bench.harness.kube.config_maps_read == [("team-b", "policy")]


@pytest.mark.parametrize("text", ["no json", "[1]"])
def test_a_policy_that_is_no_policy_stops_the_push_before_anything_is_written(
    bench: Bench, text: str
) -> None:
    bench.harness.kube.add_config_map(NAMESPACE, "policy", {"json": text})
    asked = metadata(
        resourcePolicy={"policySourceRef": {"kind": "ConfigMap", "name": "policy", "key": "json"}}
    )
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(), "db", {"p": b"1"}, secret_key="p", metadata=asked)

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert bench.proxy.requests == []


def test_replicas_are_added_and_removed_as_asked(bench: Bench) -> None:
    store = bench.store()

    def push(*regions: str) -> list[str]:
        asked = metadata(replicationLocations=list(regions)) if regions else None
        bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=asked)
        described = bench.aws("secretsmanager").describe_secret(SecretId="db")
        return sorted(replica["Region"] for replica in described.get("ReplicationStatus", []))

    assert push("us-east-1", "us-west-2") == ["us-east-1", "us-west-2"]
    assert push("us-west-2", "eu-west-1") == ["eu-west-1", "us-west-2"]
    assert push() == ["eu-west-1", "us-west-2"]
    assert written(bench) == {
        "CreateSecret": 1,
        "ReplicateSecretToRegions": 1,
        "RemoveRegionsFromReplication": 1,
    }

    bench.harness.delete(store, "db")
    assert not bench.harness.exists(store, "db")


def test_replicas_have_the_key_of_the_secret(bench: Bench) -> None:
    store = bench.store()
    for regions in (["us-east-1"], ["us-east-1", "us-west-2"]):
        asked = metadata(replicationLocations=regions, kmsKeyId="alias/mine")
        bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=asked)

    (created,) = [r for r in bench.proxy.requests if "CreateSecret" in r.headers["x-amz-target"]]
    (added,) = [r for r in bench.proxy.requests if "Replicate" in r.headers["x-amz-target"]]
    assert created.json()["AddReplicaRegions"] == [{"Region": "us-east-1", "KmsKeyId": "alias/mine"}]
    assert added.json()["AddReplicaRegions"] == [{"Region": "us-west-2", "KmsKeyId": "alias/mine"}]


def test_a_secret_whose_replicas_can_not_be_removed_is_not_deleted(bench: Bench) -> None:
    """They would be left over as secrets of their own."""
    store = bench.store()
    asked = metadata(replicationLocations=["us-east-1"])
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p", metadata=asked)
    denied = Answer.json(400, {"__type": "AccessDeniedException", "Message": "no"})
    bench.proxy.inject(denied, headers=target("RemoveRegionsFromReplication"))
    with bench.harness.fails() as failure:
        bench.harness.delete(store, "db")

    assert failure.code == grpc.StatusCode.PERMISSION_DENIED
    assert bench.sent("DeleteSecret") == 0


def test_a_secret_without_a_version_gets_its_first(bench: Bench) -> None:
    bench.aws("secretsmanager").create_secret(
        Name="empty", Tags=[{"Key": "managed-by", "Value": "external-secrets"}]
    )
    bench.harness.push(bench.store(), "empty", {"p": b"1"}, secret_key="p", property="a")

    answer = bench.aws("secretsmanager").get_secret_value(SecretId="empty")
    assert answer["SecretBinary"] == b'{"a":"1"}'
    assert answer["VersionId"] == "00000000-0000-0000-0000-000000000001"


def current_taken_away(bench: Bench, name: str) -> None:
    """Somebody took the stage AWSCURRENT off its version."""
    client = bench.aws("secretsmanager")
    (version,) = client.describe_secret(SecretId=name)["VersionIdsToStages"]
    client.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", RemoveFromVersionId=version)


def test_a_secret_whose_versions_are_all_old_gets_a_new_one(bench: Bench) -> None:
    """Not with the token of the first version: AWS refuses it for another value."""
    store = bench.store()
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")
    current_taken_away(bench, "db")
    bench.harness.push(store, "db", {"p": b"2"}, secret_key="p")

    assert content(bench, "db") == b"2"


def test_deleting_a_property_where_there_is_no_value_deletes_nothing(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "doc", {"p": b"1"}, secret_key="p", property="a")
    current_taken_away(bench, "doc")
    bench.harness.delete(store, "doc", property="a")

    assert "DeleteSecret" not in written(bench)


def test_a_secret_that_another_replica_made_meanwhile_is_brought_up_to_date(bench: Bench) -> None:
    """Two replicas push two properties of a new secret: both are there afterwards."""

    def first(request: RecordedRequest) -> None:
        bench.aws("secretsmanager").create_secret(
            Name="doc", SecretString='{"b":"2"}', Tags=[{"Key": "managed-by", "Value": "external-secrets"}]
        )

    bench.proxy.inject(Respond(first), headers=target("CreateSecret"), times=1)
    bench.harness.push(bench.store(), "doc", {"p": b"1"}, secret_key="p", property="a")

    assert content(bench, "doc") == b'{"b":"2","a":"1"}'


def test_a_replica_of_another_region_is_left_to_its_primary(bench: Bench) -> None:
    """AWS refuses to write it; the message says where to."""
    asked = metadata(replicationLocations=["us-east-1"])
    bench.harness.push(bench.store(), "db", {"p": b"1"}, secret_key="p", metadata=asked)
    spec = {**bench.spec(), "region": "us-east-1"}
    far = bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager", name="far")
    for write in (
        lambda: bench.harness.push(far, "db", {"p": b"2"}, secret_key="p"),
        lambda: bench.harness.delete(far, "db"),
    ):
        with bench.harness.fails() as failure:
            write()
        assert failure.error.code == "CONFLICT"
        assert "'eu-central-1'" in failure.message

    assert bench.harness.get_secret(far, "db") == b"1"


def test_a_push_to_what_is_scheduled_for_deletion_is_a_conflict(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")
    bench.harness.delete(store, "db")
    with bench.harness.fails() as failure:
        bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")

    assert failure.error.code == "CONFLICT"
    assert "restore" in failure.message


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"tags": {"managed-by": "me"}}, "managed-by"),
        ({"secretPushFormat": "hex"}, "secretPushFormat"),
        ({"resourcePolicy": {"blockPublicPolicy": True}}, "policySourceRef"),
        ({"resourcePolicy": {"policySourceRef": {"kind": "Pod", "name": "a", "key": "b"}}}, "kind"),
        ({"resourcePolicy": {"policySourceRef": {"kind": "Secret", "name": "A_B", "key": "b"}}}, "name"),
        ({"resourcePolicy": {"policySourceRef": {"kind": "Secret", "name": "a", "key": ""}}}, "key"),
        ({"colour": "red"}, "colour"),
        ({"replicationLocations": ["a", "a"]}, "replicationLocations"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_metadata_that_can_not_be_meant_is_refused(bench: Bench, spec: dict[str, Any], word: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(), "db", {"p": b"1"}, secret_key="p", metadata=metadata(**spec))

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert word in failure.message
    assert bench.proxy.requests == []


def test_metadata_is_read_in_any_case(bench: Bench) -> None:
    asked = metadata(KMSKEYID="alias/mine", Secretpushformat="string", Description="mine")
    bench.harness.push(bench.store(), "db", {"p": b"1"}, secret_key="p", metadata=asked)

    described = bench.aws("secretsmanager").describe_secret(SecretId="db")
    assert (described["KmsKeyId"], described["Description"]) == ("alias/mine", "mine")


@pytest.mark.parametrize(
    ("value", "form"), [(b"\xff\xfe", "string"), (b"", "string"), (b"", "binary")], ids=["not text", "no text", "no bytes"]
)  # fmt: skip
def test_what_a_secret_can_not_hold_is_refused(bench: Bench, value: bytes, form: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(
            bench.store(), "db", {"p": value}, secret_key="p", metadata=metadata(secretPushFormat=form)
        )

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "'db' is" in failure.message
    assert written(bench) == {}


def test_a_key_that_the_secret_does_not_have_is_an_error(bench: Bench) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(), "db", {"p": b"1"}, secret_key="q")

    assert "'q'" in failure.message
    assert bench.proxy.requests == []


def test_deleting_a_property_leaves_the_others(bench: Bench) -> None:
    """In Go the whole secret goes. The last property takes the secret along."""
    store = bench.store()
    for prop in ("a", "b"):
        bench.harness.push(store, "doc", {"p": b"1"}, secret_key="p", property=prop)

    bench.harness.delete(store, "doc", property="a")
    assert content(bench, "doc") == b'{"b":"1"}'
    bench.harness.delete(store, "doc", property="a")
    assert written(bench)["PutSecretValue"] == 2
    bench.harness.delete(store, "doc", property="b")
    assert not bench.harness.exists(store, "doc")


def test_deleting_the_last_nested_property_takes_the_secret_along(bench: Bench) -> None:
    """Empty objects that are left of it are nobody's value."""
    store = bench.store()
    for prop in ("a.b", "a.c.d"):
        bench.harness.push(store, "doc", {"p": b"{}"}, secret_key="p", property=prop)

    bench.harness.delete(store, "doc", property="a.b")
    assert content(bench, "doc") == b'{"a":{"c":{"d":"{}"}}}'
    bench.harness.delete(store, "doc", property="a.c.d")
    assert not bench.harness.exists(store, "doc")


def test_deleting_a_property_keeps_text_as_text(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "doc", {"a": b"1", "b": b"2"}, metadata=metadata(secretPushFormat="string"))
    bench.harness.delete(store, "doc", property="a")

    assert bench.aws("secretsmanager").get_secret_value(SecretId="doc")["SecretString"] == '{"b":"2"}'


def test_deleting_a_property_of_what_is_not_json_changes_nothing(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "text", {"p": b"plain"}, secret_key="p")
    bench.harness.delete(store, "text", property="a")

    assert content(bench, "text") == b"plain"


def test_deleting_reads_no_value_and_what_is_absent_is_a_success(bench: Bench) -> None:
    store = bench.store()
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")
    for _ in range(2):
        bench.harness.delete(store, "db")
    bench.harness.delete(store, "never/was")

    assert bench.sent("GetSecretValue") == 0
    assert bench.sent("DeleteSecret") == 1


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        ({}, {}),
        ({"forceDeleteWithoutRecovery": True}, {"ForceDeleteWithoutRecovery": True}),
        ({"recoveryWindowInDays": 7}, {"RecoveryWindowInDays": 7}),
    ],
    ids=["default", "force", "window"],
)
def test_the_spec_says_how_to_delete(bench: Bench, how: dict[str, Any], sent: dict[str, Any]) -> None:
    store = bench.store(secretsManager=how)
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")
    bench.harness.delete(store, "db")

    assert bench.proxy.requests[-1].json() == {"SecretId": "db", **sent}


def test_what_is_pushed_exists_whatever_the_property(bench: Bench) -> None:
    store = bench.store(prefix="p/")
    assert not bench.harness.exists(store, "db")
    bench.harness.push(store, "db", {"p": b"1"}, secret_key="p")

    assert bench.harness.exists(store, "db", property="nope")
    bench.harness.delete(store, "db")
    assert not bench.harness.exists(store, "db")


def test_a_pushed_value_is_read_back_at_once(bench: Bench) -> None:
    """The window of recent reads is cleared by a write."""
    store = bench.store()
    for value in (b"1", b"2"):
        bench.harness.push(store, "db", {"p": value}, secret_key="p")
        assert bench.harness.get_secret(store, "db") == value


def test_properties_pushed_at_once_do_not_lose_each_other(bench: Bench) -> None:
    """AWS has no compare-and-set; within one provider, changes of one secret come one after the other, also where they
    come through two stores.
    """
    stores = [bench.store(), bench.store(name="second")]
    bench.harness.push(stores[0], "doc", {"p": b"0"}, secret_key="p", property="k0")
    bench.proxy.inject(delay=0.1, headers=target("GetSecretValue"))
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda i: bench.harness.push(
                    stores[i % 2], "doc", {"p": b"v"}, secret_key="p", property=f"k{i}", timeout=30
                ),
                range(1, 9),
            )
        )

    assert set(json.loads(content(bench, "doc"))) == {f"k{i}" for i in range(9)}


def test_a_creation_whose_answer_is_lost_makes_one_secret(bench: Bench) -> None:
    """The token of the first version is fixed, so the same creation again is the same one."""
    bench.proxy.inject(Reset(after_backend=True), headers=target("CreateSecret"), times=1)
    bench.harness.push(bench.store(retries=1), "db", {"p": b"1"}, secret_key="p")

    assert bench.sent("CreateSecret") == 2
    versions = bench.aws("secretsmanager").list_secret_version_ids(SecretId="db")["Versions"]
    assert len(versions) == 1


def test_a_push_shows_neither_value_nor_policy() -> None:
    """The policy may be a Secret's."""
    assert "s3cret" not in repr(SecretPush("n", "secret 'n'", "", b"s3cret", SecretOptions(), "s3cret"))
