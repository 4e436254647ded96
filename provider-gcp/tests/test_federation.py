"""Workload identity federation: what may be in the JSON, where the token comes from, whom it acts as."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from eso_e2e.faults import Answer
from grpc import StatusCode
from provider_gcp import _external_account as external

from .conftest import NAMESPACE, READER

if TYPE_CHECKING:
    from .conftest import Cloud

AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k"
ANNOTATION = "iam.gke.io/gcp-service-account"
IMDS = "http://169.254.169.254/latest"
AWS_SOURCE = {
    "environment_id": "aws1",
    "url": f"{IMDS}/meta-data/iam/security-credentials",
    "region_url": f"{IMDS}/meta-data/placement/availability-zone",
    "imdsv2_session_token_url": f"{IMDS}/api/token",
    "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
}


def store_of(cloud: Cloud, **federation: Any) -> Any:
    cloud.google.put("db", b"s3cret")
    return cloud.store(spec={"projectID": "acme", "auth": {"workloadIdentityFederation": federation}})


def config(source: Any = None, **more: Any) -> dict[str, Any]:
    found = {"type": "external_account", "audience": AUDIENCE, **more}
    return found if source is None else {**found, "credential_source": source}


def from_config(cloud: Cloud, content: dict[str, Any], **more: Any) -> Any:
    cloud.harness.kube.add_config_map(NAMESPACE, "wif", {"config.json": json.dumps(content)})
    return store_of(cloud, credConfig={"name": "wif", "key": "config.json"}, **more)


def acted_as(cloud: Cloud) -> list[str]:
    return [
        request.path.rpartition("/")[2].partition(":")[0].replace("%40", "@")
        for request in cloud.proxy.requests
        if request.host == "iamcredentials.googleapis.com"
    ]


class TestKubernetes:
    def test_a_serviceaccounts_token_is_exchanged(self, cloud: Cloud) -> None:
        """Without audiences the token is for what Google accepts by default: https and the provider's name."""
        cloud.harness.kube.add_service_account(NAMESPACE, "app")
        store = store_of(cloud, serviceAccountRef={"name": "app"}, audience=AUDIENCE)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert cloud.harness.kube.tokens_issued == [(NAMESPACE, "app", (f"https:{AUDIENCE}",))]
        (exchange,) = cloud.tokens.subjects
        assert exchange["audience"] == AUDIENCE
        assert exchange["subject_token"] == "token-team-a-app-1"
        assert exchange["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
        assert acted_as(cloud) == []

    def test_audiences_of_the_selector_are_the_only_ones(self, cloud: Cloud) -> None:
        cloud.harness.kube.add_service_account(NAMESPACE, "app")
        store = store_of(cloud, serviceAccountRef={"name": "app", "audiences": ["x"]}, audience=AUDIENCE)

        cloud.harness.get_secret(store, "db")

        assert cloud.harness.kube.tokens_issued == [(NAMESPACE, "app", ("x",))]

    @pytest.mark.parametrize(
        ("email", "annotated", "expected"),
        [
            (None, None, []),
            (None, READER, [READER]),
            ("first@acme.iam.gserviceaccount.com", READER, ["first@acme.iam.gserviceaccount.com"]),
        ],
        ids=["none", "annotation", "field-wins"],
    )
    def test_whom_it_acts_as(
        self, cloud: Cloud, email: str | None, annotated: str | None, expected: list[str]
    ) -> None:
        annotations = {ANNOTATION: annotated} if annotated else None
        cloud.harness.kube.add_service_account(NAMESPACE, "app", annotations=annotations)
        more = {"gcpServiceAccountEmail": email} if email else {}
        store = store_of(cloud, serviceAccountRef={"name": "app"}, audience=AUDIENCE, **more)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert acted_as(cloud) == expected

    def test_an_annotation_that_is_no_google_service_account_is_refused(self, cloud: Cloud) -> None:
        """It becomes part of an address."""
        cloud.harness.kube.add_service_account(
            NAMESPACE, "app", annotations={ANNOTATION: "x@evil.example/?a=.iam.gserviceaccount.com"}
        )
        store = store_of(cloud, serviceAccountRef={"name": "app"}, audience=AUDIENCE)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert cloud.proxy.requests == []

    def test_a_serviceaccount_of_another_namespace_is_refused(self, cloud: Cloud) -> None:
        cloud.harness.kube.add_service_account("team-b", "app")
        store = store_of(cloud, serviceAccountRef={"name": "app", "namespace": "team-b"}, audience=AUDIENCE)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.PERMISSION_DENIED
        assert cloud.harness.kube.tokens_issued == []


class TestAws:
    def test_keys_in_a_secret_sign_a_request_that_google_is_shown(self, cloud: Cloud) -> None:
        keys = {"aws_access_key_id": b"AKIA1", "aws_secret_access_key": b"k", "aws_session_token": b"session"}
        cloud.harness.kube.add_secret(NAMESPACE, "aws", keys)
        source = {"region": "eu-central-1", "awsCredentialsSecretRef": {"name": "aws"}}
        store = store_of(cloud, awsSecurityCredentials=source, audience=AUDIENCE)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        (exchange,) = cloud.tokens.subjects
        assert exchange["subject_token_type"] == "urn:ietf:params:aws:token-type:aws4_request"
        assert "sts.eu-central-1.amazonaws.com" in exchange["subject_token"]
        assert "AKIA1" in exchange["subject_token"]
        assert [request.host for request in cloud.proxy.requests] == ["sts.googleapis.com"]

    def test_missing_keys_are_named(self, cloud: Cloud) -> None:
        cloud.harness.kube.add_secret(NAMESPACE, "aws", {"aws_session_token": b"x"})
        source = {"region": "eu-central-1", "awsCredentialsSecretRef": {"name": "aws"}}
        store = store_of(cloud, awsSecurityCredentials=source, audience=AUDIENCE)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.error.code == "MISSING_REFERENCE"
        assert "aws_access_key_id, aws_secret_access_key" in failure.message


class TestConfig:
    def test_a_token_from_an_address_that_the_manifest_repeats(self, cloud: Cloud) -> None:
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        cloud.proxy.inject(Answer(200, body=b"subject"), host="idp.example")
        store = from_config(cloud, config({"url": url}), externalTokenEndpoint=url)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert cloud.tokens.subjects[0]["subject_token"] == "subject"

    def test_an_address_that_answers_without_end_is_given_up(self, cloud: Cloud) -> None:
        """It is the user's own, and the memory is everybody's."""
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        cloud.proxy.inject(Answer(200, body=b"x" * 2_000_000), host="idp.example")
        store = from_config(cloud, config({"url": url}), externalTokenEndpoint=url)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAVAILABLE
        assert cloud.tokens.subjects == []

    def test_what_an_address_sets_as_a_cookie_is_not_kept(self, cloud: Cloud) -> None:
        """Connections are shared by all stores; what one of them was given is not for the next."""
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        given = Answer(200, headers={"Set-Cookie": "session=1; Domain=idp.example"}, body=b"subject")
        cloud.proxy.inject(given, host="idp.example")
        for name in ("one", "two"):
            source = config({"url": url, "headers": {"X-Store": name}})
            cloud.harness.kube.add_config_map(NAMESPACE, name, {"config.json": json.dumps(source)})
            ref = {"credConfig": {"name": name, "key": "config.json"}, "externalTokenEndpoint": url}
            auth = {"workloadIdentityFederation": ref}
            cloud.harness.exists(cloud.store(name=name, spec={"projectID": "acme", "auth": auth}), "db")

        asked = [dict(r.headers) for r in cloud.proxy.requests if r.host == "idp.example"]
        assert [headers["x-store"] for headers in asked] == ["one", "two"]
        assert not any("cookie" in headers for headers in asked)

    def test_an_address_that_leads_elsewhere_is_not_followed(self, cloud: Cloud) -> None:
        """The manifest repeats the first address, and nobody the second."""
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        away = Answer(302, headers={"Location": "http://169.254.169.254/latest/meta-data"}, body=b"subject")
        cloud.proxy.inject(away, host="idp.example")
        store = from_config(cloud, config({"url": url}), externalTokenEndpoint=url)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAUTHENTICATED
        assert [request.host for request in cloud.proxy.requests] == ["idp.example"]

    def test_an_address_is_not_told_what_the_providers_netrc_says(
        self, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine idp.example login provider password secret")
        monkeypatch.setenv("NETRC", str(netrc))
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        cloud.proxy.inject(Answer(200, body=b"subject"), host="idp.example")
        store = from_config(cloud, config({"url": url}), externalTokenEndpoint=url)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        (asked,) = [request for request in cloud.proxy.requests if request.host == "idp.example"]
        assert "authorization" not in asked.headers

    @pytest.mark.parametrize("format_type", ["text", "json"])
    def test_an_address_that_answers_nonsense_is_a_credentials_error(
        self, cloud: Cloud, format_type: str
    ) -> None:
        """Also what is nested so deep that it can't be parsed."""
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        body = b"\xff\xfe" if format_type == "text" else b"[" * 100_000
        cloud.proxy.inject(Answer(200, body=body), host="idp.example")
        source = {"url": url, "format": {"type": format_type, "subject_token_field_name": "token"}}
        store = from_config(cloud, config(source), externalTokenEndpoint=url)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAUTHENTICATED

    def test_a_token_never_leaves_for_a_universe_that_a_user_names(self, cloud: Cloud) -> None:
        """Whose STS is asked decides who gets the token: a file of the provider's, or an answer from inside the cluster."""
        url = "https://idp.example/token"
        cloud.proxy.route("idp.example", "http://127.0.0.1:9")
        cloud.proxy.inject(Answer(200, body=b"subject"), host="idp.example")
        content = config({"url": url}, universe_domain="evil.example")
        store = from_config(cloud, content, externalTokenEndpoint=url)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert "universe_domain" in failure.message
        assert cloud.proxy.requests == []

    def test_a_universe_that_the_provider_is_in_may_be_named(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.goog")
        cloud.proxy.route("sts.example.goog", cloud.tokens.url)
        cloud.harness.kube.add_service_account(NAMESPACE, "app")

        store = store_of(cloud, serviceAccountRef={"name": "app"}, audience=AUDIENCE)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert [request.host for request in cloud.proxy.requests] == ["sts.example.goog"]

    @pytest.mark.parametrize("kind", ["large", "pipe", "folder"])
    def test_a_file_that_is_no_token_is_not_read_to_its_end(
        self, cloud: Cloud, tmp_path: Path, kind: str
    ) -> None:
        """A device or a pipe has none: the name is the user's, the memory and the threads are everybody's."""
        file = tmp_path / "token"
        match kind:
            case "large":
                file.write_bytes(b"x" * 2_000_000)
            case "pipe":
                os.mkfifo(file)
            case _:
                file.mkdir()
        store = from_config(cloud, config({"file": str(file)}))

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAUTHENTICATED
        assert cloud.tokens.subjects == []

    def test_a_file_that_is_not_there_is_a_credentials_error(self, cloud: Cloud) -> None:
        store = from_config(cloud, config({"file": "/nowhere/token"}))

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.UNAUTHENTICATED

    def test_the_metadata_server_of_aws_is_asked_as_the_json_says(self, cloud: Cloud) -> None:
        """An EC2 instance's own role: region and keys come from IMDS, by a session of its version 2."""
        for path, body in (
            ("/latest/api/token", b"session"),
            ("/latest/meta-data/placement/availability-zone", b"eu-central-1a"),
            ("/latest/meta-data/iam/security-credentials$", b"role"),
            (
                "/latest/meta-data/iam/security-credentials/role",
                b'{"AccessKeyId": "AKIA2", "SecretAccessKey": "k", "Token": "t"}',
            ),
        ):
            cloud.proxy.inject(Answer(200, body=body), host="169.254.169.254", path=path)
        store = from_config(cloud, config(AWS_SOURCE))

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert "AKIA2" in cloud.tokens.subjects[0]["subject_token"]
        assert "sts.eu-central-1.amazonaws.com" in cloud.tokens.subjects[0]["subject_token"]

    def test_a_token_from_a_file_and_the_jsons_impersonation(self, cloud: Cloud, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("subject")
        content = config(
            {"file": str(file)},
            service_account_impersonation_url=external.impersonation_url(READER),
            quota_project_id="billing",
        )

        assert cloud.harness.get_secret(from_config(cloud, content), "db") == b"s3cret"
        assert cloud.tokens.subjects[0]["subject_token"] == "subject"
        assert acted_as(cloud) == [READER]
        assert cloud.google.quota_projects == ["billing"]

    def test_the_manifests_audience_and_account_win(self, cloud: Cloud, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("subject")
        content = config(
            {"file": str(file)},
            audience="//iam.googleapis.com/other",
            service_account_impersonation_url=external.impersonation_url(READER),
        )
        first = "first@acme.iam.gserviceaccount.com"

        store = from_config(cloud, content, audience=AUDIENCE, gcpServiceAccountEmail=first)

        assert cloud.harness.get_secret(store, "db") == b"s3cret"
        assert cloud.tokens.subjects[0]["audience"] == AUDIENCE
        assert acted_as(cloud) == [first]

    def test_the_providers_own_token_is_never_handed_over(self, cloud: Cloud) -> None:
        """A user who may write a ConfigMap would act as the provider."""
        own = "/var/run/secrets/kubernetes.io/serviceaccount/token"
        store = from_config(cloud, config({"file": own}))

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert "own ServiceAccount token" in failure.message
        assert cloud.proxy.requests == []

    def test_all_problems_are_reported_together(self, cloud: Cloud) -> None:
        content = config(
            {"executable": {"command": "/bin/sh"}},
            type="authorized_user",
            audience="",
            token_url="https://sts.evil.example/v1/token",
            service_account_impersonation_url="https://evil.example/",
        )
        store = from_config(cloud, content)

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        for word in (
            "type has to be",
            "executable",
            "audience",
            "token_url",
            "service_account_impersonation_url",
        ):
            assert word in failure.message
        assert "evil" not in failure.message

    @pytest.mark.parametrize("content", ["no json", "[]", "[" * 100_000], ids=["text", "list", "nested"])
    def test_a_config_that_is_no_object_is_named(self, cloud: Cloud, content: str) -> None:
        cloud.harness.kube.add_config_map(NAMESPACE, "wif", {"config.json": content})
        store = store_of(cloud, credConfig={"name": "wif", "key": "config.json"})

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert "credConfig" in failure.message

    def test_a_missing_config_map_is_a_missing_reference(self, cloud: Cloud) -> None:
        store = store_of(cloud, credConfig={"name": "absent", "key": "config.json"})

        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, "db")

        assert failure.error.code == "MISSING_REFERENCE"


GOOGLE = "googleapis.com"
OWN = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (config(), "credential_source has to be given"),
        (config({}), "credential_source has to be given"),
        (config({"file": "/a", "url": "https://idp.example/"}), "one of file and url"),
        (config({"file": f"{OWN}/../serviceaccount/token"}), "own ServiceAccount token"),
        (config({"file": f"{OWN}/..data/token"}), "own ServiceAccount token"),
        (config({"file": "/run/secrets/kubernetes.io/serviceaccount/token"}), "own ServiceAccount token"),
        (config({"file": ["/a"]}), "has to be a path"),
        (config({"file": "/a\0b"}), "has to be a path"),
        (config({"file": "/\ud800"}), "has to be a path"),
        (config({"executable": {"command": "x"}}), "executable is not allowed"),
        (config({"executable": {"command": "x"}, "file": "/a"}), "executable is not allowed"),
        (config({"certificate": {}}), "certificate is not allowed"),
        (config({"url": "https://idp.example/other"}), "externalTokenEndpoint"),
        (config({"url": "file:///etc/passwd"}), "externalTokenEndpoint"),
        (config({"file": "/a"}, quota_project_id="a\nb"), "quota_project_id"),
        (config({"file": "/a"}, quota_project_id=["a"]), "quota_project_id"),
        (
            config({**AWS_SOURCE, "url": "http://10.0.0.1/latest/meta-data/iam/security-credentials"}),
            "url has",
        ),
        (config({**AWS_SOURCE, "url": "https://169.254.169.254/latest/meta-data/iam/x"}), "url has"),
        (config({**AWS_SOURCE, "region_url": None}), "region_url has"),
        (
            config({**AWS_SOURCE, "imdsv2_session_token_url": "http://evil.example/"}),
            "imdsv2_session_token_url",
        ),
        (config({**AWS_SOURCE, "environment_id": "AWS1", "url": "http://evil.example"}), "url has"),
        (config({**AWS_SOURCE, "executable": {}}), "executable is not allowed"),
        (config({"file": "/a"}, universe_domain="a/b"), "universe_domain"),
        (config({"file": "/a"}, universe_domain="evil.example"), "universe_domain"),
        (config({"file": "/a"}, token_url="https://sts.googleapis.com/v1/token/"), "token_url"),
        (config({"file": "/a"}, token_url="https://sts.other.example/v1/token"), "token_url"),
        (config({"file": "/a"}, token_info_url="https://evil.example"), "token_info_url"),
        (
            config(
                {"file": "/a"},
                service_account_impersonation_url=external.impersonation_url("ann@example.com"),
            ),
            "service_account_impersonation_url",
        ),
        (
            config(
                {"file": "/a"},
                service_account_impersonation_url=external.impersonation_url(READER).replace("https", "http"),
            ),
            "service_account_impersonation_url",
        ),
    ],
)
def test_what_a_config_may_not_say(content: dict[str, Any], problem: str) -> None:
    _, problems = external.check(
        content, own_source=False, token_endpoint="https://idp.example/", universe=GOOGLE
    )
    assert any(problem in text for text in problems), problems


@pytest.mark.parametrize(
    ("content", "token_type", "token_url"),
    [
        (config({"file": "/a"}), external.JWT_TOKEN, "https://sts.googleapis.com/v1/token"),
        (config({"url": "https://idp.example/"}), external.JWT_TOKEN, "https://sts.googleapis.com/v1/token"),
        (config(AWS_SOURCE), external.AWS_TOKEN, "https://sts.googleapis.com/v1/token"),
        (
            config(json.loads(json.dumps(AWS_SOURCE).replace("169.254.169.254", "[fd00:ec2::254]"))),
            external.AWS_TOKEN,
            "https://sts.googleapis.com/v1/token",
        ),
        (
            config(
                {"file": "/a"},
                service_account_impersonation_url=external.impersonation_url(READER).replace(
                    "iamcredentials", "iamcredentials.europe-west3.rep"
                ),
            ),
            external.JWT_TOKEN,
            "https://sts.googleapis.com/v1/token",
        ),
    ],
    ids=["file", "url", "aws", "aws-ipv6", "regional-impersonation"],
)
def test_what_a_config_leaves_out_has_googles_defaults(
    content: dict[str, Any], token_type: str, token_url: str
) -> None:
    checked, problems = external.check(
        content, own_source=False, token_endpoint="https://idp.example/", universe=GOOGLE
    )
    assert problems == []
    assert (checked["subject_token_type"], checked["token_url"]) == (token_type, token_url)


def test_an_address_that_is_none_is_a_problem_and_no_bug() -> None:
    """The manifest repeats it, so it is compared before it is looked at."""
    _, problems = external.check(
        config({"url": "http://[a"}), own_source=False, token_endpoint="http://[a", universe=GOOGLE
    )
    assert problems == ["credential_source.url has to be an http or https address"]
