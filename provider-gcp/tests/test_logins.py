"""Service account keys, GKE workload identity, default credentials, and which project is meant."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from eso_e2e.faults import Answer
from grpc import RpcError, StatusCode

from .conftest import NAMESPACE, READER, until

if TYPE_CHECKING:
    from .conftest import Cloud

WORKLOAD: dict[str, Any] = {
    "workloadIdentity": {
        "serviceAccountRef": {"name": "app"},
        "clusterProjectID": "clusters",
        "clusterLocation": "europe-west3",
        "clusterName": "main",
    }
}


def hosts(cloud: Cloud) -> list[str]:
    return [request.host for request in cloud.proxy.requests]


def unusable(token_uri: str, **more: str) -> str:
    """A key file with everything but a key."""
    file = {"type": "service_account", "client_email": "a@b", "private_key": "x", "token_uri": token_uri}
    return json.dumps(file | more)


class TestKeys:
    def test_a_key_that_google_does_not_know_is_a_credentials_error(self, cloud: Cloud) -> None:
        """Not "no secret", whatever there is to read; and Google's words stay with us."""
        cloud.google.put("db", b"s3cret")
        store = cloud.store(email="gone@acme.iam.gserviceaccount.com")
        cloud.tokens.forget_key("gone@acme.iam.gserviceaccount.com")

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAUTHENTICATED
        assert "gone@acme" in failure.message
        assert "invalid_grant" in failure.message
        assert "Signature" not in failure.message

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("{", "no service account key"),
            ('{"type": "authorized_user"}', "no service account key"),
            ('{"type": "service_account", "client_email": "a@b"}', "lacks private_key, token_uri"),
            (unusable("https://oauth2.googleapis.com/token"), "no usable service account key"),
            (unusable("https://evil.example/token"), "no address of Google's"),
            (unusable("https://evil.example/.googleapis.com"), "no address of Google's"),
            (unusable("http://oauth2.googleapis.com/token"), "no address of Google's"),
            (unusable("https://[a/token"), "no address of Google's"),
            ("[" * 100_000, "no service account key"),
            (unusable("https://oauth2.googleapis.com/token", quota_project_id="a\nb"), "quota_project_id"),
        ],
        ids=[
            "no-json",
            "other-type",
            "incomplete",
            "no-pem",
            "other-host",
            "lookalike",
            "no-tls",
            "no-url",
            "nested",
            "quota-project",
        ],
    )
    def test_a_key_that_cannot_be_used_is_named(self, cloud: Cloud, content: str, words: str) -> None:
        """A key file says where its assertion goes: only to Google, and only by TLS."""
        spec = cloud.spec()
        cloud.harness.kube.add_secret(NAMESPACE, "reader", {"key.json": content.encode()})
        store = cloud.store(spec=spec)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert words in failure.message
        assert "spec.auth.secretRef.secretAccessKeySecretRef" in failure.message
        assert cloud.proxy.requests == []

    @pytest.mark.parametrize("what", ["secret", "key"])
    def test_a_missing_key_is_a_missing_reference(self, cloud: Cloud, what: str) -> None:
        spec = cloud.spec()
        if what == "secret":
            cloud.harness.kube.remove_secret(NAMESPACE, "reader")
        else:
            cloud.harness.kube.add_secret(NAMESPACE, "reader", {"other": b""})
        store = cloud.store(spec=spec)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.FAILED_PRECONDITION
        assert failure.error.code == "MISSING_REFERENCE"

    def test_a_selector_into_another_namespace_is_refused_before_it_is_read(self, cloud: Cloud) -> None:
        spec = cloud.spec()
        spec["auth"]["secretRef"]["secretAccessKeySecretRef"]["namespace"] = "team-b"
        store = cloud.store(spec=spec)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.PERMISSION_DENIED
        assert cloud.harness.kube.secrets_read == []

    def test_a_quota_project_is_charged(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"s3cret")
        spec = cloud.spec()
        key = cloud.tokens.service_account_key(READER, quota_project_id="billing")
        cloud.harness.kube.add_secret(NAMESPACE, "reader", {"key.json": key.encode()})

        cloud.harness.get_secret(cloud.store(spec=spec), "db")

        assert cloud.google.quota_projects == ["billing"]

    def test_a_cluster_store_without_namespace_is_not_checked_before_its_caller_is_known(
        self, cloud: Cloud
    ) -> None:
        store = replace(
            cloud.harness.add_store(NAMESPACE, cloud.spec(), store_kind="ClusterProvider"),
            source_namespace="",
        )

        assert cloud.harness.validate(store).valid
        assert cloud.proxy.requests == []


class TestWorkloadIdentity:
    def test_a_serviceaccounts_token_is_bound(self, cloud: Cloud) -> None:
        """Without an annotation the binding token is the identity."""
        cloud.google.put("db", b"s3cret")
        cloud.harness.kube.add_service_account(NAMESPACE, "app")
        store = cloud.store(spec={"projectID": "acme", "auth": WORKLOAD})

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert hosts(cloud) == ["securetoken.googleapis.com"]
        assert cloud.harness.kube.tokens_issued == [(NAMESPACE, "app", ("clusters.svc.id.goog",))]
        cluster = "projects/clusters/locations/europe-west3/clusters/main"
        assert cloud.tokens.subjects == [
            {
                "audience": f"identitynamespace:clusters.svc.id.goog:https://container.googleapis.com/v1/{cluster}",
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "scope": "https://www.googleapis.com/auth/cloud-platform",
                "subject_token": "token-team-a-app-1",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            }
        ]

    def test_an_annotated_serviceaccount_acts_as_a_google_service_account(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"s3cret")
        annotations = {"iam.gke.io/gcp-service-account": READER}
        cloud.harness.kube.add_service_account(NAMESPACE, "app", annotations=annotations)
        store = cloud.store(spec={"projectID": "acme", "auth": WORKLOAD})

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert hosts(cloud) == ["securetoken.googleapis.com", "iamcredentials.googleapis.com"]
        assert cloud.calls() == {
            "GenerateServiceAccountToken success": 1,
            "GenerateIDBindToken success": 1,
            "GenerateAccessToken success": 1,
            "AccessSecretVersion success": 1,
        }

    def test_further_audiences_follow_the_pool(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"s3cret")
        cloud.harness.kube.add_service_account(NAMESPACE, "app")
        workload = {**WORKLOAD["workloadIdentity"], "serviceAccountRef": {"name": "app", "audiences": ["x"]}}
        store = cloud.store(spec={"projectID": "acme", "auth": {"workloadIdentity": workload}})

        cloud.harness.get_secret(store, "db")

        assert cloud.harness.kube.tokens_issued == [(NAMESPACE, "app", ("clusters.svc.id.goog", "x"))]

    def test_what_the_spec_leaves_out_the_metadata_server_says(self, cloud: Cloud) -> None:
        """The cluster's project is then that of the secrets, too. It is asked once per provider."""
        cloud.tokens.metadata |= {
            "project/project-id": "acme",
            "instance/attributes/cluster-location": "us-east1",
            "instance/attributes/cluster-name": "c9",
        }
        cloud.google.put("db", b"s3cret")
        cloud.harness.kube.add_service_account(NAMESPACE, "app")
        spec = {"auth": {"workloadIdentity": {"serviceAccountRef": {"name": "app"}}}}

        for name in ("one", "two"):
            assert cloud.harness.get_secret(cloud.store(spec=spec, name=name), "db") == b"s3cret"

        assert hosts(cloud).count("metadata.google.internal") == 3
        cluster = "projects/acme/locations/us-east1/clusters/c9"
        assert cloud.tokens.subjects[0]["audience"] == (
            f"identitynamespace:acme.svc.id.goog:https://container.googleapis.com/v1/{cluster}"
        )

    def test_the_clusters_project_stands_in_for_a_project(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"s3cret", project="other")
        cloud.harness.kube.add_service_account(NAMESPACE, "app")
        workload = {**WORKLOAD["workloadIdentity"], "clusterProjectID": "other"}

        store = cloud.store(spec={"auth": {"workloadIdentity": workload}})

        assert cloud.harness.get_secret(store, "db") == b"s3cret"

    def test_a_missing_serviceaccount_is_a_missing_reference(self, cloud: Cloud) -> None:
        store = cloud.store(spec={"projectID": "acme", "auth": WORKLOAD})

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.error.code == "MISSING_REFERENCE"

    @pytest.mark.parametrize(
        ("host", "status", "code"),
        [
            ("securetoken", 400, StatusCode.UNAUTHENTICATED),
            ("securetoken", 503, StatusCode.UNAVAILABLE),
            ("securetoken", 429, StatusCode.UNAVAILABLE),
            ("iamcredentials", 403, StatusCode.UNAUTHENTICATED),
            ("iamcredentials", 500, StatusCode.UNAVAILABLE),
        ],
    )
    def test_refusals_and_outages_are_told_apart(
        self, cloud: Cloud, host: str, status: int, code: StatusCode
    ) -> None:
        annotations = {"iam.gke.io/gcp-service-account": READER}
        cloud.harness.kube.add_service_account(NAMESPACE, "app", annotations=annotations)
        cloud.proxy.inject(Answer.json(status, {"error": {"message": "quoted-by-google"}}), host=host)
        store = cloud.store(spec={"projectID": "acme", "auth": WORKLOAD})

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is code
        assert f"{host}.googleapis.com" in failure.message
        assert "quoted-by-google" not in failure.message
        assert cloud.proxy.count(host=host) == 1


class TestDefaultCredentials:
    def test_the_providers_own_key_file_is_used(
        self, cloud: Cloud, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cloud.google.put("db", b"s3cret")
        file = tmp_path / "key.json"
        file.write_text(cloud.tokens.service_account_key("pod@acme.iam.gserviceaccount.com"))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "billing")

        assert cloud.harness.get_secret(cloud.store(spec={"projectID": "acme"}), "db") == b"s3cret"
        assert cloud.google.quota_projects == ["billing"]

    def test_the_machines_identity_is_used(
        self, cloud: Cloud, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a pod of GKE that is the ServiceAccount of the provider itself."""
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        cloud.google.put("db", b"s3cret")

        store = cloud.store(spec={"projectID": "acme"})

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert "oauth2.googleapis.com" not in hosts(cloud)

    def test_the_machines_token_is_asked_once_per_try(
        self, cloud: Cloud, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """google-auth would ask five times, whatever the store says and whatever time is left."""
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        cloud.proxy.inject(Answer(503), path="service-accounts")
        store = cloud.store(spec={"projectID": "acme"})

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert cloud.proxy.count(path="service-accounts") == 1

    def test_without_any_the_error_says_what_to_do(
        self, cloud: Cloud, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "absent.json"
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        store = cloud.store(spec={"projectID": "acme"})

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAUTHENTICATED
        assert "GOOGLE_APPLICATION_CREDENTIALS" in failure.message


def test_no_project_anywhere_is_an_error_that_names_the_field(cloud: Cloud) -> None:
    """A machine that is not Google's has no metadata server to tell."""
    store = cloud.store(spec={})

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.UNAUTHENTICATED
    assert "projectID" in failure.message


def test_a_token_that_google_refuses_is_replaced_once(cloud: Cloud) -> None:
    """Revoked by somebody: one new token shows whether the identity is still good."""
    cloud.google.put("db", b"one")
    store = cloud.store()
    assert cloud.harness.get_secret(store, "db") == b"one"
    cloud.tokens.revoke_all()

    assert cloud.harness.exists(store, "db")
    assert cloud.proxy.count(host="oauth2.googleapis.com") == 2


def test_a_changed_key_is_used(cloud: Cloud) -> None:
    """The old identity is gone, the Secret holds a new one: no restart needed."""
    cloud.google.put("db", b"one")
    spec = cloud.spec()
    store = cloud.store(spec=spec)
    assert cloud.harness.exists(store, "db")
    cloud.tokens.revoke_all()
    cloud.tokens.forget_key(READER)
    key = json.loads(cloud.tokens.service_account_key("next@acme.iam.gserviceaccount.com"))
    cloud.harness.kube.add_secret(NAMESPACE, "reader", {"key.json": json.dumps(key).encode()})

    codes: list[StatusCode] = []

    def works() -> bool:
        try:
            return cloud.harness.exists(store, "db")
        except RpcError as error:
            codes.append(error.code())
            return False

    assert until(works)
    assert set(codes) <= {StatusCode.UNAUTHENTICATED}


class TestValidating:
    def test_it_logs_in_and_reads_no_secret(self, cloud: Cloud) -> None:
        assert cloud.harness.validate(cloud.store()).valid
        assert cloud.proxy.count(host="oauth2.googleapis.com") == 1
        assert cloud.google.calls == []

    def test_a_store_in_use_costs_nothing(self, cloud: Cloud) -> None:
        store = cloud.store()
        cloud.harness.exists(store, "db")
        before = cloud.calls()

        assert cloud.harness.validate(store).valid
        assert cloud.calls() == before

    def test_a_bad_key_is_found(self, cloud: Cloud) -> None:
        email = "gone@acme.iam.gserviceaccount.com"
        store = cloud.store(email=email)
        cloud.tokens.forget_key(email)

        answer = cloud.harness.validate(store)

        assert not answer.valid
        assert email in answer.error
