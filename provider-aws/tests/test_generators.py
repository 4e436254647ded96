"""Tokens for registries, and sessions of users."""

from __future__ import annotations

import base64
from typing import Any

import grpc
import pytest
from eso_e2e.faults import Answer
from provider_common.testing import GeneratorHandle

from .bench import NAMESPACE, Bench, target

pytestmark = pytest.mark.real

ROLE = "arn:aws:iam::123456789012:role/puller"


def generator(bench: Bench, kind: str, **more: Any) -> GeneratorHandle:
    return bench.harness.add_generator(NAMESPACE, bench.spec(**more), kind=kind)


def token(text: str, **more: Any) -> dict[str, Any]:
    return {
        "authorizationToken": base64.b64encode(text.encode()).decode(),
        "expiresAt": 1780000000.5,
        "proxyEndpoint": "https://1.dkr.ecr.eu-central-1.amazonaws.com",
        **more,
    }


def test_a_private_registry_gives_user_password_and_endpoint(bench: Bench) -> None:
    """moto's token ended in 2015; the generator passes on what it is told."""
    values, state = bench.harness.generate(generator(bench, "ECRAuthorizationToken"))

    assert values == {
        "username": b"AWS",
        "password": b"123456789012-auth-token",
        "expires_at": b"1420070400",
        "proxy_endpoint": b"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    }
    assert state == b""


def test_the_public_registry_has_no_endpoint(bench: Bench) -> None:
    """moto has no ECR Public: the proxy answers in its place."""
    data = token("AWS:public")
    del data["proxyEndpoint"]
    bench.proxy.inject(
        Answer.json(200, {"authorizationData": data}), headers={"X-Amz-Target": "SpencerFrontendService"}
    )
    values, _ = bench.harness.generate(generator(bench, "ECRAuthorizationToken", scope="public"))

    assert values == {"username": b"AWS", "password": b"public", "expires_at": b"1780000000"}


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("ECRAuthorizationToken", "GetAuthorizationToken"), ("STSSessionToken", "GetSessionToken")],
)
def test_a_role_is_assumed_first(bench: Bench, kind: str, operation: str) -> None:
    bench.harness.generate(generator(bench, kind, role=ROLE))

    assert (bench.sent("AssumeRole"), bench.sent(operation)) == (1, 1)
    assert "x-amz-security-token" in bench.proxy.requests[-1].headers


def test_a_service_account_pulls_images(bench: Bench) -> None:
    bench.harness.kube.add_service_account(NAMESPACE, "app", annotations={"eks.amazonaws.com/role-arn": ROLE})
    auth = {"jwt": {"serviceAccountRef": {"name": "app"}}}
    bench.harness.generate(generator(bench, "ECRAuthorizationToken", auth=auth))

    assert (bench.sent("AssumeRoleWithWebIdentity"), bench.sent("GetAuthorizationToken")) == (1, 1)


def test_every_scope_but_public_is_a_private_registry(bench: Bench) -> None:
    values, _ = bench.harness.generate(generator(bench, "ECRAuthorizationToken", scope="private"))

    assert "proxy_endpoint" in values


def test_a_token_comes_from_the_registry_of_its_region(bench: Bench) -> None:
    bench.harness.generate(
        bench.harness.add_generator(
            NAMESPACE, {**bench.spec(), "region": "ap-south-1"}, kind="ECRAuthorizationToken"
        )
    )

    assert "/ap-south-1/ecr/" in bench.proxy.requests[-1].headers["authorization"]


@pytest.mark.parametrize(
    "answer",
    [
        {"authorizationData": []},
        {"authorizationData": [token("a:b"), token("c:d")]},
        {"authorizationData": [token("no colon")]},
        {"authorizationData": [token("too:many:parts")]},
        {"authorizationData": [token("", authorizationToken="***")]},
        {"authorizationData": [token("AWS:p", expiresAt=None)]},
    ],
    ids=["none", "two", "no colon", "three parts", "no base64", "no end"],
)
def test_a_token_that_is_none_is_an_error(bench: Bench, answer: dict[str, Any]) -> None:
    bench.proxy.inject(Answer.json(200, answer), headers=target("GetAuthorizationToken"))
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, "ECRAuthorizationToken"))

    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION


def test_a_session_of_a_user_comes_from_the_sts_that_is_configured(bench: Bench) -> None:
    """Go does not ask AWS_STS_ENDPOINT here."""
    asked = {"sessionDuration": 1200, "serialNumber": "arn:aws:iam::1:mfa/u", "tokenCode": "123456"}
    values, state = bench.harness.generate(generator(bench, "STSSessionToken", requestParameters=asked))

    assert set(values) == {"access_key_id", "secret_access_key", "session_token", "expiration"}
    assert values["expiration"].isdigit()
    assert state == b""
    body = bench.proxy.requests[-1].body.decode()
    assert "DurationSeconds=1200" in body
    assert "TokenCode=123456" in body


@pytest.mark.parametrize(
    ("asked", "requests"),
    [({"serialNumber": "arn:aws:iam::1:mfa/u", "tokenCode": "123456"}, 1), ({}, 3)],
    ids=["with a code", "without"],
)
def test_a_code_is_used_once(bench: Bench, asked: dict[str, str], requests: int) -> None:
    """AWS would refuse it the second time, and count that against the device."""
    bench.proxy.inject(Answer(503))
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, "STSSessionToken", requestParameters=asked))

    assert failure.code == grpc.StatusCode.UNAVAILABLE
    assert bench.sent("GetSessionToken") == requests


def test_a_selector_in_another_namespace_is_refused_before_it_is_read(bench: Bench) -> None:
    spec = bench.spec()
    spec["auth"]["secretRef"]["accessKeyIDSecretRef"]["namespace"] = "team-b"
    handle = bench.harness.add_generator(NAMESPACE, spec, kind="ECRAuthorizationToken")
    with bench.harness.fails() as failure:
        bench.harness.generate(handle)

    assert failure.code == grpc.StatusCode.PERMISSION_DENIED
    assert bench.harness.kube.secrets_read == []
