"""`GCRAccessToken`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from eso_e2e.faults import Answer
from grpc import StatusCode
from provider_proto.generator.v1 import generator_pb2

from .conftest import NAMESPACE, READER

if TYPE_CHECKING:
    from .conftest import Cloud

WORKLOAD: dict[str, Any] = {
    "workloadIdentity": {
        "serviceAccountRef": {"name": "app"},
        "clusterLocation": "europe-west3",
        "clusterName": "main",
    }
}


def login(cloud: Cloud, how: str) -> dict[str, Any]:
    """An `auth` block, and what it needs."""
    if how == "key":
        auth: dict[str, Any] = cloud.spec()["auth"]
        return auth
    annotations = {"iam.gke.io/gcp-service-account": READER} if how == "workload-annotated" else None
    cloud.harness.kube.add_service_account(NAMESPACE, "app", annotations=annotations)
    if how.startswith("workload"):
        return WORKLOAD
    audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k"
    return {"workloadIdentityFederation": {"serviceAccountRef": {"name": "app"}, "audience": audience}}


@pytest.mark.parametrize("how", ["key", "workload", "workload-annotated", "federation"])
def test_a_token_with_its_end_is_made(cloud: Cloud, how: str) -> None:
    """The end is Google's, for every login: without it nobody knows when to come back."""
    cloud.tokens.life = 1234
    generator = cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": login(cloud, how)})
    before = time.time()

    made, state = cloud.harness.generate(generator)

    assert made["username"] == b"oauth2accesstoken"
    assert cloud.tokens.accepts(made["password"].decode())
    assert before + 1233 - 2 <= int(made["expiry"]) <= time.time() + 1234
    assert set(made) == {"username", "password", "expiry"}
    assert state == b""


def test_the_cluster_is_in_the_generators_project(cloud: Cloud) -> None:
    generator = cloud.harness.add_generator(
        NAMESPACE, {"projectID": "acme", "auth": login(cloud, "workload")}
    )

    cloud.harness.generate(generator)

    cluster = "projects/acme/locations/europe-west3/clusters/main"
    assert cloud.tokens.subjects[0]["audience"] == (
        f"identitynamespace:acme.svc.id.goog:https://container.googleapis.com/v1/{cluster}"
    )


def test_the_providers_own_identity_is_used_without_a_method(
    cloud: Cloud, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    file.write_text(cloud.tokens.service_account_key("pod@acme.iam.gserviceaccount.com"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    made, _ = cloud.harness.generate(
        cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": {}})
    )

    assert cloud.tokens.owner(made["password"].decode()) == "pod@acme.iam.gserviceaccount.com"


def test_every_call_makes_a_new_token(cloud: Cloud) -> None:
    """A token out of a cache would end sooner than the one who asked can know."""
    generator = cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": login(cloud, "key")})

    first, second = (cloud.harness.generate(generator)[0]["password"] for _ in range(2))

    assert first != second
    assert cloud.proxy.count(host="oauth2.googleapis.com") == 2


def test_a_selector_into_another_namespace_is_refused(cloud: Cloud) -> None:
    auth = login(cloud, "key")
    auth["secretRef"]["secretAccessKeySecretRef"]["namespace"] = "team-b"
    generator = cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": auth})

    with cloud.harness.fails() as failure:
        cloud.harness.generate(generator)

    assert failure.code is StatusCode.PERMISSION_DENIED
    assert cloud.harness.kube.secrets_read == []


def test_a_refused_key_is_a_credentials_error(cloud: Cloud) -> None:
    email = "gone@acme.iam.gserviceaccount.com"
    auth = cloud.spec(email=email)["auth"]
    cloud.tokens.forget_key(email)
    generator = cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": auth})

    with cloud.harness.fails() as failure:
        cloud.harness.generate(generator)

    assert failure.code is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("retries", [0, 2])
def test_the_generator_decides_how_often_a_login_is_tried_again(cloud: Cloud, retries: int) -> None:
    """As `retrySettings` of a store do."""
    cloud.proxy.inject(Answer(503), host="oauth2")
    settings = generator_pb2.RetrySettings(max_retries=retries, retry_interval="20ms")
    generator = replace(
        cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": login(cloud, "key")}),
        generator=generator_pb2.GeneratorContext(
            api_version="generator.external-secrets.io/v2alpha1",
            kind="Generator",
            name="main",
            namespace=NAMESPACE,
            spec=generator_pb2.GeneratorSpec(retry_settings=settings),
        ),
    )

    with cloud.harness.fails() as failure:
        cloud.harness.generate(generator)

    assert failure.code is StatusCode.UNAVAILABLE
    assert cloud.proxy.count(host="oauth2") == retries + 1


def test_the_alias_makes_the_same(cloud: Cloud) -> None:
    generator = cloud.harness.add_generator(NAMESPACE, {"projectID": "acme", "auth": login(cloud, "key")})
    cloud.harness.kube.add_object(
        {
            "apiVersion": "generators.external-secrets.io/v1alpha1",
            "kind": "GCRAccessToken",
            "metadata": {"name": "main", "namespace": NAMESPACE},
            "spec": {"projectID": "acme", "auth": login(cloud, "key")},
        }
    )
    aliased = replace(generator, api_version="generators.external-secrets.io/v1alpha1")

    assert cloud.harness.generate(aliased)[0]["username"] == b"oauth2accesstoken"
