"""Every way to the keys that calls are signed with, and who shares them with whom."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from eso_e2e.faults import Answer
from provider_common.testing import StoreHandle
from provider_proto.provider.v1 import secretstore_pb2

from .bench import NAMESPACE, REGION, Bench, target

pytestmark = pytest.mark.real

ROLE = "arn:aws:iam::123456789012:role/reader"
FIRST = "arn:aws:iam::123456789012:role/first"
SECOND = "arn:aws:iam::123456789012:role/second"


def sts_calls(bench: Bench) -> list[dict[str, str]]:
    """What STS was asked, in order."""
    bodies = [request.body.decode() for request in bench.proxy.requests if b"Action=" in request.body]
    return [dict(urllib.parse.parse_qsl(body)) for body in bodies]


def signed_by(bench: Bench, operation: str) -> str:
    """The access key that the last request of `operation` was signed with."""
    request = next(
        r for r in reversed(bench.proxy.requests) if operation in r.headers.get("x-amz-target", "")
    )
    return request.headers["authorization"].split("Credential=")[1].split("/")[0]


def xml_error(code: str, text: str = "m") -> Answer:
    """A refusal as STS words it."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
    return Answer(403, body.encode(), {"Content-Type": "text/xml"})


def read(bench: Bench, store: StoreHandle, key: str = "db") -> bytes:
    return bench.harness.get_secret(store, key)


@pytest.fixture(autouse=True)
def secret(bench: Bench) -> None:
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="s3cret")


def test_static_keys_ask_nobody_for_a_session(bench: Bench) -> None:
    assert read(bench, bench.store()) == b"s3cret"
    assert sts_calls(bench) == []
    assert signed_by(bench, "GetSecretValue") == "AKIAIOSFODNN7EXAMPLE"


def test_temporary_keys_bring_their_session_token(bench: Bench) -> None:
    spec = bench.spec()
    spec["auth"]["secretRef"]["sessionTokenSecretRef"] = {"name": "session", "key": "token"}
    bench.harness.kube.add_secret(NAMESPACE, "session", {"token": b"a-token"})
    read(bench, bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager"))

    assert bench.proxy.requests[-1].headers["x-amz-security-token"] == "a-token"


def test_a_service_account_becomes_its_role(bench: Bench) -> None:
    """IRSA: the annotations name role and audience; further audiences follow."""
    bench.harness.kube.add_service_account(
        NAMESPACE,
        "app",
        annotations={"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/audience": "mine"},
    )
    ref = {"name": "app", "audiences": ["more"]}
    spec = {"region": REGION, "auth": {"jwt": {"serviceAccountRef": ref}}}
    read(bench, bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager"))

    (call,) = sts_calls(bench)
    assert (call["Action"], call["RoleArn"]) == ("AssumeRoleWithWebIdentity", ROLE)
    assert call["RoleSessionName"] == "external-secrets-provider-aws"
    assert call["WebIdentityToken"].startswith(f"token-{NAMESPACE}-app-")
    assert bench.harness.kube.tokens_issued == [(NAMESPACE, "app", ("mine", "more"))]
    assert "authorization" not in bench.proxy.requests[0].headers
    assert "external-secrets" in bench.proxy.requests[0].headers["user-agent"]


def test_the_audience_of_a_service_account_is_that_of_sts_unless_it_says_otherwise(bench: Bench) -> None:
    bench.harness.kube.add_service_account(NAMESPACE, "app", annotations={"eks.amazonaws.com/role-arn": ROLE})
    spec = {"region": REGION, "auth": {"jwt": {"serviceAccountRef": {"name": "app"}}}}
    read(bench, bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager"))

    assert bench.harness.kube.tokens_issued == [(NAMESPACE, "app", ("sts.amazonaws.com",))]


def test_a_service_account_without_a_role_is_refused_by_name(bench: Bench) -> None:
    """EKS Pod Identity can't be borrowed; the message says what to do."""
    bench.harness.kube.add_service_account(NAMESPACE, "app")
    spec = {"region": REGION, "auth": {"jwt": {"serviceAccountRef": {"name": "app"}}}}
    with bench.harness.fails() as failure:
        read(bench, bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager"))

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "eks.amazonaws.com/role-arn" in failure.message


def test_roles_are_assumed_one_after_the_other_and_role_last(bench: Bench) -> None:
    """External ID and tags go with `role` alone."""
    store = bench.store(
        additionalRoles=[FIRST, SECOND],
        role=ROLE,
        externalID="ours-42",
        sessionTags=[{"key": "team", "value": "a"}],
        transitiveTagKeys=["team"],
    )
    read(bench, store)

    first, second, last = sts_calls(bench)
    assert [call["RoleArn"] for call in (first, second, last)] == [FIRST, SECOND, ROLE]
    for call in (first, second):
        assert not {"ExternalId", "Tags.member.1.Key"} & set(call)
    assert (last["ExternalId"], last["Tags.member.1.Key"], last["Tags.member.1.Value"]) == (
        "ours-42",
        "team",
        "a",
    )
    assert last["TransitiveTagKeys.member.1"] == "team"
    assert signed_by(bench, "GetSecretValue") != "AKIAIOSFODNN7EXAMPLE"


def test_additional_roles_need_no_role(bench: Bench) -> None:
    read(bench, bench.store(additionalRoles=[FIRST]))

    assert [call["RoleArn"] for call in sts_calls(bench)] == [FIRST]


@pytest.mark.parametrize(
    ("spec", "tags"),
    [
        ({"sessionTagsPolicy": "Simple"}, {}),
        ({"sessionTagsPolicy": "Custom", "customSessionTags": {"a": "1", "b": ""}}, {"a": "1"}),
    ],
    ids=["Simple", "Custom"],
)
def test_session_tags_tell_aws_who_asks(
    bench: Bench, spec: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """sessionTags play no part then; entries without a value are dropped."""
    store = bench.store(role=ROLE, sessionTags=[{"key": "x", "value": "y"}], **spec)
    read(bench, store)

    (call,) = sts_calls(bench)
    sent = {
        call[f"Tags.member.{n}.Key"]: call[f"Tags.member.{n}.Value"]
        for n in range(1, 9)
        if f"Tags.member.{n}.Key" in call
    }
    built_in = {"esoNamespace": NAMESPACE, "esoStoreName": "main", "esoStoreKind": "SecretStore"}
    assert sent == built_in | tags


def cluster(bench: Bench, caller: str, **more: Any) -> StoreHandle:
    """A ClusterSecretStore whose credentials are in the provider's namespace."""
    context = secretstore_pb2.StoreContext(
        api_version="secretstore.external-secrets.io/v2alpha1",
        kind="ClusterSecretStore",
        name="shared",
        spec=secretstore_pb2.SecretStoreSpec(authentication_scope="ProviderNamespace"),
    )
    spec = {**bench.spec(), **more}
    handle = bench.harness.cluster_store(NAMESPACE, spec, caller=caller, kind="AWSSecretManager")
    return replace(handle, store=context)


def test_callers_with_tags_of_their_own_never_share_a_session(bench: Bench) -> None:
    """AWS's policies decide by the tag esoNamespace: another caller's session would be another caller's rights."""
    for caller in ("team-b", "team-c", "team-b"):
        read(bench, cluster(bench, caller, role=ROLE, sessionTagsPolicy="Simple"))

    values = [{value for key, value in call.items() if key.endswith("Value")} for call in sts_calls(bench)]
    assert values == [{caller, "shared", "ClusterSecretStore"} for caller in ("team-b", "team-c")]


def test_fifty_callers_of_a_cluster_store_share_one_session(bench: Bench) -> None:
    for number in range(50):
        bench.harness.exists(cluster(bench, f"caller-{number}", role=ROLE), "db")

    assert len(sts_calls(bench)) == 1


def test_tenants_with_keys_of_their_own_never_share_a_session(bench: Bench) -> None:
    """Same names, same role, other keys."""
    for tenant in ("team-x", "team-y"):
        bench.harness.kube.add_secret(
            tenant, "awssm-secret", {"access-key": f"AKIA{tenant}".encode(), "secret-access-key": b"k"}
        )
        spec = bench.spec(role=ROLE)
        read(bench, bench.harness.add_store(tenant, spec, kind="AWSSecretManager"))

    assert len(sts_calls(bench)) == 2


def test_the_pods_own_credentials_serve_where_the_spec_names_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPOD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    read(bench, bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager"))

    assert signed_by(bench, "GetSecretValue") == "AKIAPOD"


def test_the_pods_own_web_identity_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What EKS puts into a pod whose ServiceAccount has a role. AWS_STS_ENDPOINT counts here, too."""
    (tmp_path / "token").write_text("the-pods-own-token")
    for name, value in {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": ROLE,
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    store = bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager")
    read(bench, store)
    bench.harness.exists(store, "db")

    (call,) = sts_calls(bench)
    assert (call["Action"], call["WebIdentityToken"]) == ("AssumeRoleWithWebIdentity", "the-pods-own-token")


def temporary(key: str, *, seconds: float) -> dict[str, str]:
    """Credentials as the endpoints inside a cluster give them."""
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": key,
        "SecretAccessKey": "k",
        "Token": f"token of {key}",
        "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
    }


def test_eks_pod_identity_is_found_and_renewed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The agent's address and a token file are in the pod's environment. Ten minutes before the end is time to renew."""
    (tmp_path / "token").write_text("of-the-pod")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{bench.proxy.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    where = "^/v1/credentials$"
    bench.proxy.inject(Answer.json(200, temporary("ASIASECOND", seconds=3600)), path=where)
    bench.proxy.inject(Answer.json(200, temporary("ASIAFIRST", seconds=600)), path=where, times=1)
    store = bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager")
    for _ in range(3):
        bench.harness.exists(store, "db")

    assert signed_by(bench, "GetSecretValue") == "ASIASECOND"
    assert bench.proxy.requests[-1].headers["x-amz-security-token"] == "token of ASIASECOND"
    asked = [request for request in bench.proxy.requests if request.path == "/v1/credentials"]
    assert [request.headers["authorization"] for request in asked] == ["of-the-pod", "of-the-pod"]


def test_an_instance_role_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMDSv2: a token first, then the role's name, then its keys."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", bench.proxy.url)
    where = "^/latest/meta-data/iam/security-credentials"
    bench.proxy.inject(Answer(200, b"imds-token"), method="PUT", path="^/latest/api/token$")
    bench.proxy.inject(
        Answer.json(200, temporary("ASIAINSTANCE", seconds=3600)), method="GET", path=f"{where}/node$"
    )
    bench.proxy.inject(Answer(200, b"node"), method="GET", path=f"{where}/?$")
    read(bench, bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager"))

    assert signed_by(bench, "GetSecretValue") == "ASIAINSTANCE"
    asked = [request for request in bench.proxy.requests if "meta-data" in request.path]
    assert {request.headers["x-aws-ec2-metadata-token"] for request in asked} == {"imds-token"}


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_ACCESS_KEY_ID": "AKIAHALF"},
        {"AWS_PROFILE": "no-such-profile"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such/file", "AWS_ROLE_ARN": ROLE},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://198.51.100.1/credentials"},
    ],
    ids=["half a pair", "profile", "token file", "foreign address"],
)
def test_an_environment_of_the_pod_that_can_not_work_is_not_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with bench.harness.fails() as failure:
        read(bench, bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager"))

    assert failure.code == grpc.StatusCode.UNAUTHENTICATED
    assert "pod's environment" in failure.message
    assert bench.proxy.requests == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (xml_error("AccessDenied", "not authorized to perform: sts:AssumeRoleWithWebIdentity"), "PERMISSION_DENIED"),
        (xml_error("InvalidIdentityToken"), "UNAUTHENTICATED"),
        (xml_error("Throttling"), "RESOURCE_EXHAUSTED"),
        (Answer(503), "UNAVAILABLE"),
    ],
    ids=["denied", "token", "throttle", "503"],
)  # fmt: skip
def test_what_sts_says_of_the_pods_web_identity_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Answer, status: str
) -> None:
    (tmp_path / "token").write_text("the-pods-own-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_REGION", REGION)
    bench.proxy.inject(answer, body="Action=AssumeRoleWithWebIdentity")
    with bench.harness.fails() as failure:
        read(bench, bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager"))

    assert failure.code.name == status
    assert "pod" in failure.message
    assert "the-pods-own-token" not in failure.message


def test_a_search_for_the_pods_credentials_that_finds_nothing_is_not_made_by_every_caller(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no IMDS, a search takes seconds; those who wait for one would make theirs one after the other."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", bench.proxy.url)
    bench.proxy.inject(Answer(404), path="^/latest/")
    store = bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager")
    for _ in range(3):
        with bench.harness.fails() as failure:
            bench.harness.exists(store, "db")
        assert failure.code == grpc.StatusCode.UNAUTHENTICATED

    assert bench.proxy.count(method="PUT", path="^/latest/api/token$") == 1


def test_without_any_credentials_the_message_says_where_to_put_them(bench: Bench) -> None:
    with bench.harness.fails() as failure:
        read(bench, bench.harness.add_store(NAMESPACE, {"region": REGION}, kind="AWSSecretManager"))

    assert failure.code == grpc.StatusCode.UNAUTHENTICATED
    assert "spec.auth" in failure.message


def test_static_keys_are_not_mixed_with_the_pods_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a profile nor a token of the pod's finds its way into another tenant's calls."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-pods")
    read(bench, bench.store())

    assert "x-amz-security-token" not in bench.proxy.requests[-1].headers


def test_a_missing_credentials_secret_is_not_a_missing_secret(bench: Bench) -> None:
    spec = bench.spec()
    bench.harness.kube.remove_secret(NAMESPACE, "awssm-secret")
    with bench.harness.fails() as failure:
        read(bench, bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager"))

    assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "MISSING_REFERENCE")
    assert "awssm-secret" in failure.message


@pytest.mark.parametrize(
    "keys", [{"access-key": b""}, {"secret-access-key": b"sesame\n"}], ids=["empty", "line break"]
)
def test_keys_that_can_not_be_right_are_refused_before_aws_is_asked(
    bench: Bench, keys: Mapping[str, bytes]
) -> None:
    store = bench.store()
    good = {"access-key": b"AKIA", "secret-access-key": b"sesame"}
    bench.harness.kube.add_secret(NAMESPACE, "awssm-secret", {**good, **keys})
    with bench.harness.fails() as failure:
        read(bench, store)

    assert failure.code == grpc.StatusCode.UNAUTHENTICATED
    assert "sesame" not in failure.message
    assert bench.proxy.requests == []


def test_a_role_that_may_not_be_assumed_is_named_with_awss_reason(bench: Bench) -> None:
    denied = (
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x is not"
        " authorized to perform: sts:AssumeRole</Message></Error><RequestId>abc-1</RequestId></ErrorResponse>"
    )
    bench.proxy.inject(Answer(403, denied.encode(), {"Content-Type": "text/xml"}), body="Action=AssumeRole")
    with bench.harness.fails() as failure:
        read(bench, bench.store(role=ROLE))

    assert failure.code == grpc.StatusCode.PERMISSION_DENIED
    assert ROLE in failure.message
    assert "sts:AssumeRole" in failure.message
    assert "abc-1" not in failure.message


def test_an_sts_in_trouble_is_asked_as_often_as_told_and_no_more(bench: Bench) -> None:
    """Never three times three: the read that waits for it does not try again by itself."""
    bench.proxy.inject(Answer(503), body="Action=AssumeRole")
    with bench.harness.fails() as failure:
        read(bench, bench.store(role=ROLE, retries=2))

    assert failure.code == grpc.StatusCode.UNAVAILABLE
    assert len(sts_calls(bench)) == 3


@pytest.mark.parametrize(
    ("spec", "asked"), [({"role": ROLE}, "AssumeRole"), ({}, "GetCallerIdentity")], ids=["role", "keys"]
)
def test_validate_has_sts_look_at_the_credentials_once_and_asks_no_store(
    bench: Bench, spec: dict[str, Any], asked: str
) -> None:
    """In Go, keys that need no session are not looked at."""
    store = bench.store(**spec)
    bench.harness.validate(store)
    answer = bench.harness.validate(store)

    assert answer.valid
    assert [call["Action"] for call in sts_calls(bench)] == [asked]
    assert len(bench.proxy.requests) == 1


def test_validate_finds_keys_that_aws_does_not_know(bench: Bench) -> None:
    refused = b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"
    bench.proxy.inject(Answer(403, refused, {"Content-Type": "text/xml"}))
    answer = bench.harness.validate(bench.store())

    assert not answer.valid
    assert "not valid" in answer.error


def test_validate_only_warns_where_sts_is_out_of_reach(bench: Bench) -> None:
    """A network that lets nothing but the store's endpoint through is no reason to refuse the store."""
    bench.proxy.inject(Answer(503))
    answer = bench.harness.validate(bench.store())

    assert answer.valid
    assert "STS" in answer.warnings[0]


def test_validate_tells_what_can_not_work(bench: Bench) -> None:
    bench.proxy.inject(
        Answer(403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
    )
    answer = bench.harness.validate(bench.store(role=ROLE))

    assert not answer.valid
    assert ROLE in answer.error


def test_a_referent_store_is_valid_before_its_caller_is_known(bench: Bench) -> None:
    """Its keys are the caller's, and validation has no caller."""
    handle = bench.harness.add_store(
        NAMESPACE, bench.spec(), kind="AWSSecretManager", store_kind="ClusterProvider"
    )
    answer = bench.harness.validate(replace(handle, source_namespace=""))

    assert answer.valid
    assert bench.proxy.requests == []


def test_a_session_for_a_caller_who_is_not_known_is_not_asked_for(bench: Bench) -> None:
    """A trust policy that looks at the tag would refuse it, and the store would be called broken."""
    handle = cluster(bench, "", role=ROLE, sessionTagsPolicy="Simple")
    answer = bench.harness.validate(handle)

    assert answer.valid
    assert bench.proxy.requests == []


REVOKED = "User: x is not authorized to perform: y with an explicit deny in an identity-based policy"


@pytest.mark.parametrize(
    ("code", "text"),
    [("ExpiredTokenException", "m"), ("AccessDeniedException", REVOKED)],
    ids=["ended", "revoked"],
)
def test_a_session_that_ended_early_is_replaced_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: str, text: str
) -> None:
    """An administrator may revoke sessions, by a policy that denies the old ones; a new one is asked for, and the call
    made again.
    """
    monkeypatch.setattr("provider_aws._sessions.REFUSED_FOR", 0.0)
    store = bench.store(role=ROLE)
    read(bench, store)
    refused = Answer.json(400, {"__type": code, "Message": text})
    bench.proxy.inject(refused, headers=target("DescribeSecret"), times=1)
    bench.harness.get_secret(store, "db", metadata_policy="Fetch")

    assert len(sts_calls(bench)) == 2
    assert bench.sent("DescribeSecret") == 2


def test_many_who_meet_a_session_that_ended_share_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees an error, and STS one request."""
    monkeypatch.setattr("provider_aws._sessions.REFUSED_FOR", 0.0)
    store = bench.store(role=ROLE)
    bench.harness.exists(store, "db")
    ended = Answer.json(400, {"__type": "ExpiredTokenException", "Message": "m"})
    bench.proxy.inject(ended, headers={"Authorization": signed_by(bench, "GetSecretValue")})
    with ThreadPoolExecutor(12) as pool:
        assert all(
            pool.map(
                lambda _: bench.harness.exists(
                    store,
                    "db",
                ),
                range(36),
            )
        )

    assert len(sts_calls(bench)) == 2


def test_a_new_session_that_is_denied_is_not_replaced(bench: Bench) -> None:
    """Then the policy means it, and asking STS again and again would not help."""
    bench.proxy.inject(
        Answer.json(400, {"__type": "AccessDeniedException", "Message": REVOKED}),
        headers=target("GetSecretValue"),
    )
    with bench.harness.fails() as failure:
        read(bench, bench.store(role=ROLE))

    assert failure.code == grpc.StatusCode.PERMISSION_DENIED
    assert len(sts_calls(bench)) == 1


@pytest.mark.parametrize("first", ["keys", "web identity"])
def test_a_session_in_the_middle_of_a_chain_that_ended_early_is_replaced_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Else the chain would be broken until the middle session's own end."""
    monkeypatch.setattr("provider_aws._sessions.REFUSED_FOR", 0.0)
    more: dict[str, Any] = {"role": ROLE}
    if first == "web identity":
        bench.harness.kube.add_service_account(
            NAMESPACE, "app", annotations={"eks.amazonaws.com/role-arn": FIRST}
        )
        more["auth"] = {"jwt": {"serviceAccountRef": {"name": "app"}}}
    else:
        more["additionalRoles"] = [FIRST]
    store = bench.store(**more)
    bench.harness.exists(store, "db")
    (middle,) = [
        request.headers["authorization"].split("Credential=")[1].split("/")[0]
        for request in bench.proxy.requests
        if b"reader" in request.body
    ]
    ended = Answer.json(400, {"__type": "ExpiredTokenException", "Message": "m"})
    bench.proxy.inject(ended, headers=target("GetSecretValue"), times=1)
    bench.proxy.inject(xml_error("ExpiredToken"), headers={"Authorization": middle})

    assert bench.harness.exists(store, "db")
    roles = [call["RoleArn"] for call in sts_calls(bench)]
    assert roles == [FIRST, ROLE, ROLE, FIRST, ROLE]


def test_new_keys_in_the_secret_are_used_when_aws_refuses_the_old_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the same call: nobody sees an error while keys are rotated."""
    monkeypatch.setattr("provider_common._stores._RECHECK_SOON", 0.0)
    store = bench.store()
    bench.harness.exists(store, "db")
    new = {"access-key": b"AKIANEW", "secret-access-key": b"k"}
    bench.harness.kube.add_secret(NAMESPACE, "awssm-secret", new)
    refused = Answer.json(400, {"__type": "UnrecognizedClientException", "Message": "m"})
    bench.proxy.inject(refused, headers={"Authorization": "AKIAIOSFODNN7EXAMPLE"})

    assert bench.harness.exists(store, "db")
    assert signed_by(bench, "GetSecretValue") == "AKIANEW"
