"""What AWS answers, what we make of it, and what the core is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import botocore.session
import grpc
import provider_aws
import pytest
from eso_e2e.faults import Answer, BlackHole, Cut, Reset, too_many_requests
from provider_aws._errors import ABSENT, TABLE, Refusal, stable, translate
from provider_common import NoSecretError, PermanentError, RateLimitedError, TemporaryError

from .bench import Bench, target, with_retries

OPERATIONS = {
    "secretsmanager": (
        "GetSecretValue", "DescribeSecret", "CreateSecret", "PutSecretValue", "DeleteSecret", "ListSecrets",
        "BatchGetSecretValue", "TagResource", "UntagResource", "PutResourcePolicy", "GetResourcePolicy",
        "DeleteResourcePolicy", "ReplicateSecretToRegions", "RemoveRegionsFromReplication",
    ),
    "ssm": (
        "GetParameter", "GetParameters", "GetParametersByPath", "PutParameter", "DeleteParameter", "DescribeParameters",
        "ListTagsForResource", "RemoveTagsFromResource", "AddTagsToResource",
    ),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity", "GetSessionToken", "GetCallerIdentity"),
    "ecr": ("GetAuthorizationToken",),
    "ecr-public": ("GetAuthorizationToken",),
}  # fmt: skip


def modelled() -> list[Any]:
    """Every error that botocore's service models list for an operation of ours: operation and code on the wire."""
    session = botocore.session.Session()
    found = []
    for service, operations in OPERATIONS.items():
        model = session.get_service_model(service)
        for operation in operations:
            for shape in model.operation_model(operation).error_shapes:
                code = (shape.metadata.get("error") or {}).get("code") or shape.name
                found.append(pytest.param(operation, code, id=f"{service} {operation} {code}"))
    return found


@pytest.mark.parametrize(("operation", "code"), modelled())
def test_every_error_that_aws_documents_is_in_the_table(operation: str, code: str) -> None:
    """A new botocore with a new error fails here, and somebody decides what it means."""
    assert code in TABLE


def test_the_list_of_operations_is_that_of_the_source() -> None:
    """An operation that is used and not listed above would go unchecked."""
    source = "".join(path.read_text() for path in Path(provider_aws.__file__).parent.glob("*.py"))
    called = set(re.findall(r"""\.(?:call|pages)\(\s*"(\w+)\"""", source)) | set(
        re.findall(r'"(AssumeRole\w*)"', source)
    )

    assert called == {operation for operations in OPERATIONS.values() for operation in operations}


@pytest.mark.parametrize(("operation", "code"), modelled())
def test_only_what_says_that_a_secret_is_absent_is_no_secret(operation: str, code: str) -> None:
    error = translate(Refusal(operation, code), "x", key="x")

    assert isinstance(error, NoSecretError) == ((operation, code) in ABSENT)


@pytest.mark.parametrize(
    "code", ["ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"]
)
@pytest.mark.parametrize(
    "operation",
    ["CreateSecret", "PutSecretValue", "ListSecrets", "AssumeRole", "PutParameter", "GetAuthorizationToken"],
)
def test_not_found_of_other_operations_is_never_no_secret(operation: str, code: str) -> None:
    """A missing KMS key, say, is reported with the same code."""
    assert not isinstance(translate(Refusal(operation, code), "x"), NoSecretError)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, RateLimitedError),
        (500, TemporaryError),
        (503, TemporaryError),
        (408, TemporaryError),
        (418, PermanentError),
    ],
)
def test_an_unknown_code_is_judged_by_its_status(status: int, expected: type[Exception]) -> None:
    assert type(translate(Refusal("GetSecretValue", "Nobody.Knows", status=status), "x")) is expected


def test_a_service_accounts_token_that_ended_is_not_called_aws_credentials() -> None:
    """There are none yet: nothing in the store could be renewed."""
    error = translate(Refusal("AssumeRoleWithWebIdentity", "ExpiredTokenException"), "assuming role 'x'")

    assert "ServiceAccount's token" in error.message


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "not authorized to perform: x (Request ID: 0b1c-2f, Proxy: null)",
            "not authorized to perform: x Proxy: null)",
        ),
        ("denied, request id: 4f9c0c1e-0000-4a0a-9d3a-1e0f2a3b4c5d", "denied"),
        ("signature of Credential=AKIA/20260101/x, SignedHeaders=a", "signature of"),
        ("denied (Status Code: 403; RequestId=0b1c-2f)", "denied (Status Code: 403;"),
        ("plain", "plain"),
    ],
)
def test_texts_do_not_change_from_try_to_try(text: str, kept: str) -> None:
    """Events and conditions would be new ones at every retry."""
    assert stable(text) == kept


@pytest.mark.real
@pytest.mark.parametrize(
    "fault", [Answer(404, b"<html>"), Answer(404, b"{}"), Answer(301)], ids=["404", "404 of an API", "301"]
)
def test_an_answer_of_a_proxy_is_never_a_missing_secret(bench: Bench, fault: Answer) -> None:
    """And the message says where to look."""
    bench.proxy.inject(fault)
    for kind in ("AWSSecretManager", "AWSParameterStore"):
        with bench.harness.fails() as failure:
            bench.harness.get_secret(bench.store(kind, name=kind.lower()), "db")
        assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
        assert f"not AWS answers {fault.status}" in failure.message


STATUSES = [
    ("AccessDeniedException", "PERMISSION_DENIED", False),
    ("UnrecognizedClientException", "UNAUTHENTICATED", False),
    ("ExpiredTokenException", "UNAUTHENTICATED", False),
    ("SignatureDoesNotMatch", "UNAUTHENTICATED", False),
    ("DecryptionFailure", "PERMISSION_DENIED", False),
    ("InternalServiceError", "UNAVAILABLE", True),
    ("ThrottlingException", "RESOURCE_EXHAUSTED", True),
    ("InvalidParameterException", "INVALID_ARGUMENT", False),
    ("InvalidRequestException", "INVALID_ARGUMENT", False),
    ("NobodyKnowsException", "FAILED_PRECONDITION", False),
]


@pytest.mark.real
@pytest.mark.parametrize(("code", "status", "retryable"), STATUSES, ids=[row[0] for row in STATUSES])
def test_a_code_becomes_a_status(bench: Bench, code: str, status: str, retryable: bool) -> None:
    """And never NOT_FOUND, which would delete the user's copy. What AWS says beside the code may repeat values."""
    answer = Answer.json(400, {"__type": code, "Message": "s3cret-value (request id: 1-2-3)"})
    bench.proxy.inject(answer, headers=target("GetSecretValue"))
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(), "db")

    assert (failure.code.name, failure.error.retryable) == (status, retryable)
    assert "db" in failure.message
    assert "1-2-3" not in failure.message
    assert ("s3cret-value" in failure.message) == (code == "AccessDeniedException")


FAULTS = [
    pytest.param(too_many_requests(retry_after=60), "RESOURCE_EXHAUSTED", id="429"),
    pytest.param(Answer(500), "UNAVAILABLE", id="500"),
    pytest.param(Answer(503, b"<html>"), "UNAVAILABLE", id="503 of a proxy"),
    pytest.param(Answer(200, b"<html>"), "UNAVAILABLE", id="200 that is not AWS's"),
    pytest.param(Reset(), "UNAVAILABLE", id="reset"),
    pytest.param(Cut(3), "UNAVAILABLE", id="cut"),
]


@pytest.mark.real
@pytest.mark.parametrize(("fault", "status"), FAULTS)
@pytest.mark.parametrize("kind", ["AWSSecretManager", "AWSParameterStore"])
def test_a_broken_connection_is_temporary_and_tried_as_often_as_told(
    bench: Bench, kind: str, fault: Any, status: str
) -> None:
    """maxRetries counts the tries after the first."""
    bench.proxy.inject(fault)
    store = bench.store(kind)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(with_retries(store, 2), "/db")

    assert failure.code.name == status
    assert failure.error.retryable
    # A pause that would outlast the caller is not begun.
    assert len(bench.proxy.requests) == (1 if isinstance(fault, Answer) and fault.status == 429 else 3)


@pytest.mark.real
@pytest.mark.parametrize("operation", ["ListSecrets", "BatchGetSecretValue"])
def test_a_list_that_breaks_off_is_not_an_empty_one(bench: Bench, operation: str) -> None:
    """botocore reads it as an empty success, and the core would empty the user's Secret."""
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="x")
    bench.proxy.inject(Cut(5), headers=target(operation))
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store(), name="db")

    assert failure.code == grpc.StatusCode.UNAVAILABLE


@pytest.mark.real
@pytest.mark.parametrize("answer", [{}, {"message": "welcome"}], ids=["nothing", "something else"])
@pytest.mark.parametrize(
    ("kind", "find"),
    [("AWSSecretManager", {"name": "db"}), ("AWSParameterStore", {"name": "db"}), ("AWSParameterStore", {"tags": {"a": "b"}})],
    ids=["secrets", "parameters by path", "parameters by tags"],
)  # fmt: skip
def test_an_answer_without_a_list_is_not_an_empty_list(
    bench: Bench, kind: str, find: dict[str, Any], answer: dict[str, str]
) -> None:
    """A proxy on the way, or a wrong endpoint, answers 200 with JSON of its own."""
    bench.proxy.inject(Answer.json(200, answer))
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store(kind), **find)

    assert failure.code == grpc.StatusCode.UNAVAILABLE


@pytest.mark.real
@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize(
    "body", [b"<html/>", b"<AssumeRoleResponse/>", b"<p>Log in<br></p>", b"welcome", b""]
)
def test_a_page_in_place_of_sts_is_no_defect_of_ours(bench: Bench, status: int, body: bytes) -> None:
    """A proxy that wants a log-in, say. Not XML, and not even well formed."""
    bench.proxy.inject(Answer(status, body, {"Content-Type": "text/html"}), body="Action=AssumeRole")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(role="arn:aws:iam::123456789012:role/reader"), "db")

    assert failure.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION}
    assert "proxy" in failure.message


@pytest.mark.real
@pytest.mark.parametrize("kind", ["AWSSecretManager", "AWSParameterStore"])
def test_no_retries_are_one_try(bench: Bench, kind: str) -> None:
    """In Go, 0 is no limit."""
    bench.proxy.inject(Answer(503))
    with bench.harness.fails():
        bench.harness.get_secret(bench.store(kind, retries=0), "/db")

    assert len(bench.proxy.requests) == 1


@pytest.mark.real
def test_without_retry_settings_a_throttle_is_waited_for(bench: Bench) -> None:
    """Twice, as AWS's own clients do."""
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="x")
    throttled = Answer.json(400, {"__type": "ThrottlingException", "Message": "Rate exceeded"})
    bench.proxy.inject(throttled, headers=target("GetSecretValue"), times=2)

    assert bench.harness.get_secret(bench.store(retries=None), "db", timeout=20) == b"x"
    assert bench.sent("GetSecretValue") == 3


@pytest.mark.real
def test_a_hanging_aws_ends_with_the_callers_time(bench: Bench) -> None:
    """Either our own wait ends first, and leaves no time for another try, or the caller's. No store is kept busy by it."""
    bench.aws("secretsmanager").create_secret(Name="other", SecretString="x")
    bench.proxy.inject(BlackHole(), body='"db"')
    store = bench.store(retries=None)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "db", timeout=2)

    assert failure.code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    assert bench.harness.get_secret(store, "other") == b"x"


@pytest.mark.real
def test_a_place_where_nobody_listens_is_unavailable(bench: Bench) -> None:
    bench.proxy.door = type(bench.proxy.door).REFUSE
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(), "db")

    assert failure.code == grpc.StatusCode.UNAVAILABLE
    assert "EndpointConnectionError" in failure.message


@pytest.mark.real
@pytest.mark.parametrize("kind", ["AWSSecretManager", "AWSParameterStore"])
def test_nothing_of_a_value_is_ever_told(bench: Bench, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """AWS's own text for a value that it can't take repeats it."""
    text = "1 validation error detected: Value 's3cret' at 'value' failed to satisfy constraint"
    bench.proxy.inject(
        Answer.json(400, {"__type": "ValidationException", "Message": text}),
        headers={"X-Amz-Target": "Create|Put"},
    )
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(kind), "/db", {"p": b"s3cret"}, secret_key="p")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "s3cret" not in failure.message + caplog.text
