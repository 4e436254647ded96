"""Google's answers and our statuses: NOT_FOUND only for a secret, no retry that was not asked for, no texts of Google's."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from eso_e2e.faultproxy import Tls
from eso_e2e.faults import Answer, BlackHole, too_many_requests
from eso_e2e.tcpproxy import Door
from google.api_core import exceptions
from grpc import StatusCode
from provider_common import (
    Context,
    DeadlineError,
    MissingReferenceError,
    NoSecretError,
    RetrySettings,
    TemporaryError,
)
from provider_common.context import call_deadline
from provider_gcp._client import SecretManager
from provider_gcp._errors import EXCEPTIONS, REASONS, Asked, translate
from provider_gcp._tokens import Identity, Token, TokenManager
from provider_gcp.spec import GCPSecretManagerSpec

from .conftest import with_retries

if TYPE_CHECKING:
    from .conftest import Cloud

CODES = [code for code in grpc.StatusCode if code is not StatusCode.OK]


def test_every_code_of_grpc_has_a_class_and_a_text() -> None:
    """A code that is missing would end as a bug of ours."""
    assert set(EXCEPTIONS) == set(REASONS) == set(CODES)


RETRYABLE = {
    StatusCode.CANCELLED,
    StatusCode.UNKNOWN,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.ABORTED,
    StatusCode.INTERNAL,
    StatusCode.UNAVAILABLE,
}
STATUSES = {
    StatusCode.CANCELLED: StatusCode.UNAVAILABLE,
    StatusCode.UNKNOWN: StatusCode.UNAVAILABLE,
    StatusCode.INVALID_ARGUMENT: StatusCode.INVALID_ARGUMENT,
    StatusCode.DEADLINE_EXCEEDED: StatusCode.UNAVAILABLE,
    StatusCode.NOT_FOUND: StatusCode.FAILED_PRECONDITION,
    StatusCode.ALREADY_EXISTS: StatusCode.FAILED_PRECONDITION,
    StatusCode.PERMISSION_DENIED: StatusCode.PERMISSION_DENIED,
    StatusCode.RESOURCE_EXHAUSTED: StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.FAILED_PRECONDITION: StatusCode.FAILED_PRECONDITION,
    StatusCode.ABORTED: StatusCode.UNAVAILABLE,
    StatusCode.OUT_OF_RANGE: StatusCode.INVALID_ARGUMENT,
    StatusCode.UNIMPLEMENTED: StatusCode.UNIMPLEMENTED,
    StatusCode.INTERNAL: StatusCode.UNAVAILABLE,
    StatusCode.UNAVAILABLE: StatusCode.UNAVAILABLE,
    StatusCode.DATA_LOSS: StatusCode.FAILED_PRECONDITION,
    StatusCode.UNAUTHENTICATED: StatusCode.UNAUTHENTICATED,
}


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_a_code_of_google_is_a_status_of_ours(cloud: Cloud, code: StatusCode) -> None:
    """With a text that stays the same between retries, and has nothing of Google's or of the caller's values."""
    cloud.google.put("db", b"s3cret")
    cloud.google.fail("AccessSecretVersion", code, "google said: request 4711, s3cret")
    store = cloud.store()
    texts = set()

    for _ in range(2):
        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")
        texts.add(failure.message)
        assert failure.code is STATUSES[code]
        assert failure.error.retryable == (code in RETRYABLE)

    assert len(texts) == 1
    assert "4711" not in failure.message
    assert "s3cret" not in failure.message
    assert "'db'" in failure.message


@pytest.mark.parametrize(
    "text",
    [
        "Secret [projects/704529631812/secrets/db] not found or has no versions.",
        "Secret [projects/704529631812/locations/europe-west3/secrets/db] not found.",
        "Secret Version [projects/704529631812/secrets/db/versions/7] not found.",
        "The secret projects/1/secrets/db does not exist",
    ],
)
def test_a_secret_that_google_does_not_know_is_no_secret(text: str) -> None:
    assert isinstance(
        translate(exceptions.NotFound(text), Asked("GetSecret", "acme", key="db")), NoSecretError
    )


@pytest.mark.parametrize(
    "text",
    [
        "Project [acme] not found.",
        "The project for projects/acme/secrets/db was not found.",
        "Requested project not found: it has the secret projects/acme/secrets/db",
        "Resource project 'acme' not found",
        "Location [europe-west3] not found for projects/acme/locations/europe-west3/secrets/db",
        "Key projects/acme/locations/x/keyRings/r/cryptoKeys/k of the secret was not found",
        "Consumer project my-secret-project not found.",
        "The secret store of this account was not found",
        "Secret [projects/704529631812/secrets/db-2] not found.",
        "Requested entity was not found.",
        "Method not found.",
        "",
    ],
)
def test_any_other_not_found_is_a_missing_reference(text: str) -> None:
    """The core deletes on "no secret": what might mean the project must not be read as that."""
    made = translate(exceptions.NotFound(text), Asked("GetSecret", "acme", key="db"))
    assert isinstance(made, MissingReferenceError)
    assert "'acme'" in made.message


def test_a_call_that_asks_for_no_secret_never_says_no_secret() -> None:
    text = "Secret [projects/1/secrets/db] not found."
    assert isinstance(
        translate(exceptions.NotFound(text), Asked("ListSecrets", "acme")), MissingReferenceError
    )


@pytest.mark.parametrize(("key", "version"), [("absent", ""), ("db", "7"), ("empty", "")])
def test_an_absent_secret_or_version_is_not_found(cloud: Cloud, key: str, version: str) -> None:
    cloud.google.put("db", b"s3cret")
    cloud.google.put("empty", None)
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, key, version=version)

    assert failure.code is StatusCode.NOT_FOUND
    assert failure.error.code == "NO_SECRET"


def test_absent_metadata_is_not_found(cloud: Cloud) -> None:
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "absent", metadata_policy="Fetch")

    assert failure.code is StatusCode.NOT_FOUND


def test_an_absent_project_is_not_no_secret(cloud: Cloud) -> None:
    store = cloud.store(projectID="absent")

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert "'absent'" in failure.message


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("SERVICE_DISABLED", "secretmanager.googleapis.com"),
        ("BILLING_DISABLED", "billing"),
        ("IAM_PERMISSION_DENIED", "secretmanager.versions.access"),
    ],
)
def test_a_refusal_says_what_to_do(cloud: Cloud, reason: str, word: str) -> None:
    cloud.google.fail("AccessSecretVersion", StatusCode.PERMISSION_DENIED, "no", reason=reason)
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.PERMISSION_DENIED
    assert word in failure.message


def test_a_secret_that_vanishes_while_it_is_written_is_no_not_found(cloud: Cloud) -> None:
    """A push never answers "no secret"; trying again makes it anew."""
    cloud.google.put("db", b"old", labels={"managed-by": "external-secrets"})
    cloud.google.before("AddSecretVersion", lambda: cloud.google.remove("db"))
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.push(store, "db", {"k": b"v"}, secret_key="k")

    assert failure.code is StatusCode.UNAVAILABLE


class TestRetries:
    @pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED])
    def test_a_read_is_tried_again_where_the_store_says_nothing(self, cloud: Cloud, code: StatusCode) -> None:
        cloud.google.put("db", b"s3cret")
        cloud.google.fail("AccessSecretVersion", code, times=1)

        assert cloud.harness.get_secret(cloud.store(retries=None), "db") == b"s3cret"
        assert cloud.google.count("AccessSecretVersion") == 2

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_the_store_decides_how_often(self, cloud: Cloud, retries: int) -> None:
        """And nobody below multiplies it: Google's client would retry by itself."""
        cloud.google.fail("AccessSecretVersion", StatusCode.UNAVAILABLE)
        store = cloud.store(retries=retries)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert cloud.google.count("AccessSecretVersion") == retries + 1

    def test_a_retry_goes_for_every_page_and_every_write(self, cloud: Cloud) -> None:
        for method in ("GetSecret", "CreateSecret", "AccessSecretVersion", "AddSecretVersion", "ListSecrets"):
            cloud.google.fail(method, StatusCode.UNAVAILABLE, times=1)
        store = cloud.store(retries=1)

        cloud.harness.push(store, "db", {"k": b"v"}, secret_key="k")

        assert cloud.harness.find(store, name="") == {"db": b"v"}

    def test_what_is_permanent_is_not_tried_again(self, cloud: Cloud) -> None:
        cloud.google.fail("AccessSecretVersion", StatusCode.INVALID_ARGUMENT)
        store = cloud.store(retries=3)

        with cloud.harness.fails():
            cloud.harness.get_secret(store, "db")

        assert cloud.google.count("AccessSecretVersion") == 1

    def test_a_quota_says_when_to_come_back(self, cloud: Cloud) -> None:
        cloud.google.fail("AccessSecretVersion", StatusCode.RESOURCE_EXHAUSTED, retry_after=7.5)
        store = cloud.store()

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.RESOURCE_EXHAUSTED
        assert failure.retry_after == 7.5

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_token_service_is_asked_once_per_try(self, cloud: Cloud, status: int) -> None:
        """google-auth would ask three times, whatever the store says."""
        cloud.proxy.inject(Answer(status), host="oauth2")
        # Tries that come closer to each other than this share one request.
        store = with_retries(cloud.store(retries=None), 1, interval="200ms")

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert cloud.proxy.count(host="oauth2") == 2


class TestDeadlines:
    def test_a_call_that_hangs_ends_with_the_callers_time(self, cloud: Cloud) -> None:
        cloud.google.hang("AccessSecretVersion")
        store = cloud.store()

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db", timeout=1)

        assert failure.code is StatusCode.DEADLINE_EXCEEDED

    def test_whose_time_is_over_is_told_apart(self) -> None:
        """Others wait for the same answer: the time of one caller says nothing about Google."""

        class Stuck:
            def access_secret_version(self, *, timeout: float, **_: object) -> None:
                threading.Event().wait(timeout)
                raise exceptions.DeadlineExceeded("Deadline Exceeded")

        spec = GCPSecretManagerSpec.parse({"projectID": "acme"}, where="x")
        ctx: Any = Context(
            spec,
            None,  # type: ignore[arg-type]
            "g/v1",
            "GCPSecretManager",
            "main",
            "team-a",
            retry=RetrySettings(0),
        )
        identity = Identity(("x",), lambda: Token("t", time.time(), time.time() + 3600))
        secrets = SecretManager(ctx, Stuck(), identity, TokenManager(), project="acme")

        with call_deadline(0.3), pytest.raises(DeadlineError):
            secrets.access("db")

    def test_a_token_service_that_hangs_ends_with_the_callers_time(self, cloud: Cloud) -> None:
        cloud.proxy.inject(BlackHole(), host="oauth2")
        store = cloud.store()

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db", timeout=1)

        assert failure.code is StatusCode.DEADLINE_EXCEEDED

    def test_no_retry_is_begun_that_cannot_end_in_time(self, cloud: Cloud) -> None:
        cloud.google.fail("AccessSecretVersion", StatusCode.RESOURCE_EXHAUSTED, retry_after=60)
        store = cloud.store(retries=5)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.RESOURCE_EXHAUSTED
        assert cloud.google.count("AccessSecretVersion") == 1


class TestUnreachable:
    @pytest.mark.parametrize("door", [Door.REFUSE, Door.RESET], ids=lambda door: door.name)
    def test_a_token_service_that_is_away_is_temporary(self, cloud: Cloud, door: Door) -> None:
        cloud.google.put("db", b"s3cret")
        store = cloud.store()
        cloud.proxy.door = door

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert "oauth2.googleapis.com" in failure.message

    @pytest.mark.parametrize("tls", [Tls.EXPIRED, Tls.WRONG_HOST, Tls.UNTRUSTED], ids=lambda tls: tls.name)
    def test_a_token_service_with_a_bad_certificate_gets_no_key(self, cloud: Cloud, tls: Tls) -> None:
        cloud.google.put("db", b"s3cret")
        store = cloud.store()
        cloud.proxy.tls = tls

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert "certificate" in failure.message
        assert cloud.proxy.requests == []

    def test_a_secret_manager_that_is_away_is_temporary(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", "localhost:1")
        store = cloud.store()

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE

    def test_a_limit_of_the_token_service_is_passed_on(self, cloud: Cloud) -> None:
        cloud.proxy.inject(too_many_requests(retry_after=3), host="oauth2")
        store = cloud.store()

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert failure.retry_after == 3


def test_nothing_of_a_secret_or_a_token_is_in_a_repr() -> None:
    token = Token("ya29.secret", 0, 1)
    assert "ya29" not in repr(token)
    assert "ya29" not in repr(Identity(("ya29",), lambda: token))


def test_errors_are_translated_without_their_cause() -> None:
    """A cause would carry Google's text into a traceback."""
    made = translate(exceptions.ServiceUnavailable("request 4711"), Asked("GetSecret", "acme", key="db"))
    assert isinstance(made, TemporaryError)
    assert made.__cause__ is None
