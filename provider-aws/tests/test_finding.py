"""Finding secrets and parameters."""

from __future__ import annotations

import json

import grpc
import pytest
from eso_e2e.faults import Answer, RecordedRequest, Respond, Rewrite

from .bench import Bench, target, with_retries

pytestmark = pytest.mark.real


def seed(bench: Bench) -> None:
    secrets, parameters = bench.aws("secretsmanager"), bench.aws("ssm")
    for name, tags in {
        "/app/db": {"env": "dev", "team": "a"},
        "/app/api": {"env": "development"},
        "/app/x": {"env": "x", "other": "dev"},
        "/web/db": {"env": "dev"},
    }.items():
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        secrets.create_secret(Name=name, SecretString=f"value of {name}", Tags=listed)
        parameters.put_parameter(Name=name, Value=f"value of {name}", Type="SecureString", Tags=listed)


KINDS = pytest.mark.parametrize("kind", ["AWSSecretManager", "AWSParameterStore"])


@KINDS
@pytest.mark.parametrize(
    ("find", "names"),
    [
        ({"name": "db$"}, ["/app/db", "/web/db"]),
        ({"name": "db$", "path": "/app"}, ["/app/db"]),
        ({"path": "/web"}, ["/web/db"]),
        ({"name": ""}, ["/app/db", "/app/api", "/app/x", "/web/db"]),
        ({"tags": {"env": "dev"}}, ["/app/db", "/web/db"]),
        ({"tags": {"env": "dev", "team": "a"}}, ["/app/db"]),
        ({"tags": {"env": "dev"}, "path": "/web"}, ["/web/db"]),
        ({"tags": {"env": "dev"}, "name": "^/web"}, ["/web/db"]),
        ({"tags": {"env": "dev"}, "name": "db", "path": "/app"}, ["/app/db"]),
        ({"name": "nothing"}, []),
        ({"tags": {"no": "such"}}, []),
    ],
    ids=str,
)
def test_a_find_selects_exactly(bench: Bench, kind: str, find: dict, names: list[str]) -> None:
    """AWS's filters match beginnings, and do not tie a key to its value: env=dev would bring env=development."""
    seed(bench)

    assert bench.harness.find(bench.store(kind), **find) == {
        name: f"value of {name}".encode() for name in names
    }


@KINDS
def test_the_prefix_plays_no_part_in_a_find(bench: Bench, kind: str) -> None:
    """Names are full, and are read as they are; in Go the prefix is put in front once more."""
    seed(bench)

    found = bench.harness.find(bench.store(kind, prefix="/app/"), name="^/web/")
    assert found == {"/web/db": b"value of /web/db"}


@KINDS
def test_a_find_by_nothing_is_refused(bench: Bench, kind: str) -> None:
    """By a path alone it is not: that is everything below it, where Go has an error."""
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store(kind))

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert bench.proxy.requests == []


@KINDS
def test_a_bad_pattern_never_reaches_aws(bench: Bench, kind: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store(kind), name="(?<=a)b")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert bench.proxy.requests == []


def test_bytes_are_found_as_bytes(bench: Bench) -> None:
    bench.aws("secretsmanager").create_secret(Name="b", SecretBinary=b"\x00\xff")

    assert bench.harness.find(bench.store(), name="b") == {"b": b"\x00\xff"}


def test_secrets_that_vanish_meanwhile_are_skipped(bench: Bench) -> None:
    """One is deleted for good, one is scheduled for deletion, one has no value: the others are found all the same."""
    seed(bench)
    client = bench.aws("secretsmanager")
    client.create_secret(Name="/app/empty")

    def delete(request: RecordedRequest) -> None:
        client.delete_secret(SecretId="/app/x", ForceDeleteWithoutRecovery=True)
        client.delete_secret(SecretId="/app/api", RecoveryWindowInDays=7)

    bench.proxy.inject(Respond(delete), headers=target("BatchGetSecretValue"), times=1)

    assert set(bench.harness.find(bench.store(), name="^/app")) == {"/app/db"}


def test_parameters_that_vanish_meanwhile_are_skipped(bench: Bench) -> None:
    seed(bench)

    def delete(request: RecordedRequest) -> None:
        bench.aws("ssm").delete_parameter(Name="/web/db")

    bench.proxy.inject(Respond(delete), headers=target("GetParameters"), times=1)

    assert set(bench.harness.find(bench.store("AWSParameterStore"), tags={"env": "dev"})) == {"/app/db"}


@pytest.mark.parametrize(
    ("find", "filters"),
    [
        ({"path": "rds!db"}, [{"Key": "name", "Values": ["rds!db"]}]),
        ({"tags": {"k": "!x"}}, [{"Key": "tag-key", "Values": ["k"]}]),
        ({"tags": {"k": "grün"}}, [{"Key": "tag-key", "Values": ["k"]}]),
        ({"tags": {"k": ""}}, [{"Key": "tag-key", "Values": ["k"]}]),
        ({"tags": {"k": "x", "l": "x"}}, [{"Key": "tag-key", "Values": ["k", "l"]}, {"Key": "tag-value", "Values": ["x"]}]),
        ({"tags": dict.fromkeys("abcdefghijk", "x")}, [{"Key": "tag-value", "Values": ["x"]}]),
    ],
    ids=["path", "not", "letters", "empty", "pairs", "eleven"],
)  # fmt: skip
def test_only_what_aws_can_filter_by_is_a_filter(bench: Bench, find: dict, filters: list) -> None:
    """AWS takes a `!` in front for "not", refuses most letters, and takes ten values. What is exact is decided here."""
    for name, tags in (("rds!db", find.get("tags", {})), ("other", {"k": "other"})):
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        bench.aws("secretsmanager").create_secret(Name=name, SecretString="1", Tags=listed)

    assert bench.harness.find(bench.store(), **find) == {"rds!db": b"1"}
    assert bench.proxy.requests[0].json()["Filters"] == filters


def test_a_path_may_end_in_a_slash(bench: Bench) -> None:
    """AWS's two ways to ask for a path differ in whether they take one."""
    seed(bench)
    store = bench.store("AWSParameterStore")

    assert set(bench.harness.find(store, path="/web/")) == {"/web/db"}
    assert set(bench.harness.find(store, path="/web/", tags={"env": "dev"})) == {"/web/db"}
    described = next(r for r in bench.proxy.requests if "Describe" in r.headers["x-amz-target"])
    assert {"Key": "Path", "Option": "Recursive", "Values": ["/web"]} in described.json()["ParameterFilters"]


THROTTLED = Answer.json(400, {"__type": "ThrottlingException", "Message": "Rate exceeded"})


@pytest.mark.parametrize(
    ("kind", "find", "operations"),
    [
        ("AWSSecretManager", {"name": "many"}, ("ListSecrets", "BatchGetSecretValue")),
        ("AWSParameterStore", {"name": "many"}, ("GetParametersByPath",)),
        ("AWSParameterStore", {"tags": {"a": "b"}}, ("DescribeParameters", "GetParameters")),
    ],
    ids=["secrets", "parameters by path", "parameters by tags"],
)
def test_throttles_in_the_middle_of_a_find_leave_nothing_out(
    bench: Bench, kind: str, find: dict, operations: tuple[str, ...]
) -> None:
    """Each page is tried again by itself; where that is not wished for, the find fails and is not half an answer."""
    secrets, parameters = bench.aws("secretsmanager"), bench.aws("ssm")
    tags = [{"Key": "a", "Value": "b"}]
    names = [f"/many/{number:03}" for number in range(102 if kind == "AWSSecretManager" else 12)]
    for name in names:
        if kind == "AWSSecretManager":
            secrets.create_secret(Name=name, SecretString="x", Tags=tags)
        else:
            parameters.put_parameter(Name=name, Value="x", Type="String", Tags=tags)
    store = bench.store(kind)
    for operation in operations:
        bench.proxy.inject(THROTTLED, headers=target(operation), skip=1, times=2)
    found = bench.harness.find(with_retries(store, 2), **find)
    assert sorted(found) == names

    for operation in operations:
        bench.proxy.reset()
        bench.proxy.inject(THROTTLED, headers=target(operation), skip=1)
        with bench.harness.fails() as failure:
            bench.harness.find(store, **find)
        assert (failure.code, failure.error.retryable) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)


def partly(*names: str, code: str = "AccessDeniedException") -> Rewrite:
    """A batch in whose answer some are errors, as AWS answers where a policy forbids some."""

    def change(request: RecordedRequest, answer: Answer) -> Answer:
        body = json.loads(answer.body)
        body["SecretValues"] = [value for value in body["SecretValues"] if value["Name"] not in names]
        body["Errors"] = [{"SecretId": name, "ErrorCode": code, "Message": "m"} for name in names]
        return Answer(answer.status, json.dumps(body).encode(), answer.headers)

    return Rewrite(change)


def test_a_secret_that_can_not_be_read_fails_the_find(bench: Bench) -> None:
    """In Go it would be missing from the result without a word, and the user's copy would lose it."""
    seed(bench)
    bench.proxy.inject(partly("/app/db"), headers=target("BatchGetSecretValue"))
    denied = Answer.json(
        400, {"__type": "AccessDeniedException", "Message": "no identity-based policy allows"}
    )
    bench.proxy.inject(denied, headers=target("GetSecretValue"), body="/app/db")
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store(), name="^/app")

    assert failure.code == grpc.StatusCode.PERMISSION_DENIED
    assert "/app/db" in failure.message


def test_an_error_in_a_batch_that_passes_is_mended_one_by_one(bench: Bench) -> None:
    seed(bench)
    bench.proxy.inject(partly("/app/db", code="InternalServiceError"), headers=target("BatchGetSecretValue"))

    assert len(bench.harness.find(bench.store(), name="^/app")) == 3
    assert bench.sent("GetSecretValue") == 1


def test_a_vanished_secret_in_a_batch_is_not_asked_for_again(bench: Bench) -> None:
    seed(bench)
    bench.proxy.inject(
        partly("/app/db", code="ResourceNotFoundException"), headers=target("BatchGetSecretValue")
    )

    assert set(bench.harness.find(bench.store(), name="^/app")) == {"/app/api", "/app/x"}
    assert bench.sent("GetSecretValue") == 0


DENIED = Answer.json(400, {"__type": "AccessDeniedException", "Message": "not authorized"})


def test_without_the_permission_for_batches_secrets_are_read_one_by_one(bench: Bench) -> None:
    """Policies written for the in-tree provider allow ListSecrets and GetSecretValue only."""
    seed(bench)
    bench.proxy.inject(DENIED, headers=target("BatchGetSecretValue"))

    assert len(bench.harness.find(bench.store(), name="^/app")) == 3
    assert bench.sent("GetSecretValue") == 3


def test_without_the_permission_for_paths_parameters_are_described(bench: Bench) -> None:
    seed(bench)
    bench.proxy.inject(DENIED, headers=target("GetParametersByPath"))

    found = bench.harness.find(bench.store("AWSParameterStore"), name="db$", path="/app")
    assert found == {"/app/db": b"value of /app/db"}
    assert bench.sent("DescribeParameters") == 1


def test_without_the_permission_for_batches_parameters_are_read_one_by_one(bench: Bench) -> None:
    seed(bench)
    bench.proxy.inject(DENIED, headers=target("GetParameters"))

    assert len(bench.harness.find(bench.store("AWSParameterStore"), tags={"env": "dev"})) == 2
    assert bench.sent("GetParameter") == 2


def test_without_any_permission_a_find_is_denied(bench: Bench) -> None:
    bench.proxy.inject(DENIED)
    for kind in ("AWSSecretManager", "AWSParameterStore"):
        with bench.harness.fails() as failure:
            bench.harness.find(bench.store(kind, name=kind.lower()), name="db")
        assert failure.code == grpc.StatusCode.PERMISSION_DENIED


def test_a_path_of_parameters_begins_with_a_slash(bench: Bench) -> None:
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store("AWSParameterStore"), name="db", path="app")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
