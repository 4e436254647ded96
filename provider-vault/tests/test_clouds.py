"""Logins by AWS and Google Cloud: a real Vault that asks moto's STS, and a fake of the few Google APIs that matter."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from eso_e2e.faults import Answer as Made
from eso_e2e.faults import RecordedRequest, Respond
from grpc import StatusCode
from provider_vault.auth_iam import sts_host

from .bench import Bench

if TYPE_CHECKING:
    from eso_e2e.moto import MotoApi
    from eso_e2e.vault import VaultApi

NAMESPACE = "team-a"
ACCOUNT = "123456789012"


@pytest.fixture
def policy(vault_dev: VaultApi, kv2: str) -> str:
    vault_dev("POST", f"/{kv2}/data/behind-cloud", {"data": {"k": "v"}})
    return vault_dev.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')


@pytest.fixture(scope="module")
def user(moto_server: MotoApi) -> dict[str, bytes]:
    """Access keys of a user in moto, and a role that may be assumed."""
    iam = boto3.client(
        "iam",
        endpoint_url=moto_server.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    iam.create_user(UserName="app")
    iam.create_role(
        RoleName="app-role", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )
    keys = iam.create_access_key(UserName="app")["AccessKey"]
    iam.close()
    return {"id": keys["AccessKeyId"].encode(), "secret": keys["SecretAccessKey"].encode()}


@pytest.fixture
def aws(
    bench: Bench, moto_server: MotoApi, user: dict[str, bytes], policy: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Vault's AWS auth in front of moto, and a login with a user's access keys."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_STS_ENDPOINT", moto_server.url)
    # Nobody who wrote a store meant these.
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-environment")
    path = bench.vault.enable_auth("aws")
    client = {
        "sts_endpoint": moto_server.url,
        "sts_region": "us-east-1",
        "iam_server_id_header_value": "vault.example",
    }
    bench.vault("POST", f"/auth/{path}/config/client", {**client, "access_key": "test", "secret_key": "test"})
    for name, arn in (("app", "user/app"), ("assumed", "role/app-role")):
        role = {"auth_type": "iam", "bound_iam_principal_arn": f"arn:aws:iam::{ACCOUNT}:{arn}"}
        unresolved = {"resolve_aws_unique_ids": False, "token_policies": [policy]}
        bench.vault("POST", f"/auth/{path}/role/{name}", {**role, **unresolved})
    bench.harness.kube.add_secret(NAMESPACE, "aws", user)
    return {
        "path": path,
        "vaultRole": "app",
        "vaultAwsIamServerID": "vault.example",
        "secretRef": {
            "accessKeyIDSecretRef": {"name": "aws", "key": "id"},
            "secretAccessKeySecretRef": {"name": "aws", "key": "secret"},
        },
    }


def read(bench: Bench, kv2: str, auth: dict[str, Any]) -> bytes:
    spec = {"server": bench.vault.address, "path": kv2, "auth": auth}
    return bench.harness.get_secret(
        bench.harness.add_store(NAMESPACE, spec), "behind-cloud", property="k", timeout=30
    )


@pytest.mark.real
def test_access_keys_log_in_without_a_session_token(bench: Bench, kv2: str, aws: dict[str, Any]) -> None:
    """Nothing of them ends in the environment, where every other store would find it."""
    before = dict(os.environ)
    assert read(bench, kv2, {"iam": aws}) == b"v"
    assert dict(os.environ) == before


@pytest.mark.real
def test_a_role_is_assumed_first(bench: Bench, kv2: str, aws: dict[str, Any]) -> None:
    role = {"role": f"arn:aws:iam::{ACCOUNT}:role/app-role", "externalID": "ext", "vaultRole": "assumed"}
    assert read(bench, kv2, {"iam": {**aws, **role}}) == b"v"


@pytest.mark.real
def test_what_sts_can_not_take_is_an_error_of_the_spec(bench: Bench, kv2: str, aws: dict[str, Any]) -> None:
    """An external ID has two characters at least; asking again later would change nothing."""
    with bench.harness.fails() as failure:
        read(bench, kv2, {"iam": {**aws, "role": f"arn:aws:iam::{ACCOUNT}:role/app-role", "externalID": "x"}})
    assert failure.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.real
def test_a_service_account_s_role_logs_in(bench: Bench, kv2: str, aws: dict[str, Any]) -> None:
    """IRSA: the audience is the annotation's, else sts.amazonaws.com."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/app-role"
    bench.harness.kube.add_service_account(NAMESPACE, "app", annotations={"eks.amazonaws.com/role-arn": arn})
    jwt = {"serviceAccountRef": {"name": "app", "audiences": ["more"]}}
    auth = {"path": aws["path"], "vaultRole": "assumed", "vaultAwsIamServerID": "vault.example", "jwt": jwt}
    assert read(bench, kv2, {"iam": auth}) == b"v"
    assert bench.harness.kube.tokens_issued == [(NAMESPACE, "app", ("sts.amazonaws.com", "more"))]


@pytest.mark.real
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"vaultRole": "assumed"}, StatusCode.UNAUTHENTICATED),
        ({"vaultAwsIamServerID": "other"}, StatusCode.UNAUTHENTICATED),
        ({"secretRef": None}, StatusCode.UNAUTHENTICATED),
    ],
    ids=["another identity", "another server id", "no keys at all"],
)
def test_a_refused_iam_login_is_unauthenticated(
    bench: Bench, kv2: str, aws: dict[str, Any], change: dict[str, Any], code: StatusCode
) -> None:
    """Without keys neither the environment's nor the node's role is used."""
    auth = {name: value for name, value in {**aws, **change}.items() if value is not None}
    with bench.harness.fails() as failure:
        read(bench, kv2, {"iam": auth})
    assert failure.code is code


@pytest.mark.real
def test_the_pod_s_own_role_logs_in_by_its_token(
    bench: Bench, kv2: str, aws: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """IRSA of the provider itself: what EKS puts into its pod."""
    (tmp_path / "token").write_text("token-of-the-pod\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/app-role")
    auth = {"path": aws["path"], "vaultRole": "assumed", "vaultAwsIamServerID": "vault.example"}
    assert read(bench, kv2, {"iam": auth}) == b"v"


@pytest.mark.real
def test_the_pod_s_own_role_logs_in_by_pod_identity(
    bench: Bench, *, kv2: str, aws: dict[str, Any], user: dict[str, bytes], fault_proxy: Any,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    """The agent on the node gives keys to whoever has the pod's token."""
    (tmp_path / "token").write_text("token-of-the-pod")
    keys = {"AccessKeyId": user["id"].decode(), "SecretAccessKey": user["secret"].decode(), "Token": ""}
    agent = fault_proxy()
    agent.inject(Made.json(200, {**keys, "Expiration": "2099-01-01T00:00:00Z"}))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    auth = {name: value for name, value in aws.items() if name != "secretRef"}
    assert read(bench, kv2, {"iam": auth}) == b"v"
    assert {request.headers["authorization"] for request in agent.requests} == {"token-of-the-pod"}


@pytest.mark.real
def test_pod_identity_that_does_not_answer_is_an_outage(
    bench: Bench, kv2: str, aws: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://elsewhere.example/v1/credentials")
    auth = {name: value for name, value in aws.items() if name != "secretRef"}
    with bench.harness.fails() as failure:
        read(bench, kv2, {"iam": auth})
    assert failure.code is StatusCode.UNAVAILABLE


@pytest.mark.real
def test_a_service_account_without_a_role_is_an_error_of_the_spec(
    bench: Bench, kv2: str, aws: dict[str, Any]
) -> None:
    bench.harness.kube.add_service_account(NAMESPACE, "plain")
    auth = {"path": aws["path"], "vaultRole": "app", "jwt": {"serviceAccountRef": {"name": "plain"}}}
    with bench.harness.fails() as failure:
        read(bench, kv2, {"iam": auth})
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "eks.amazonaws.com/role-arn" in failure.message


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "sts.amazonaws.com"),
        ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_signature_is_made_for_the_sts_that_vault_asks(region: str, host: str) -> None:
    assert sts_host(region) == host


# -- Google Cloud ------------------------------------------------------------------------------------------------------

EMAIL = "app@project-x.iam.gserviceaccount.com"
KEY_ID = "key-1"


class FakeGoogle:
    """The token endpoint, service accounts, their public keys, IAM's signing, and a metadata server."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
        now = dt.datetime.now(dt.UTC)
        self.certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
            .serial_number(1).not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1)).sign(self.key, hashes.SHA256())
        )  # fmt: skip
        self.asked: list[str] = []

    def key_file(self) -> dict[str, str]:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account", "project_id": "project-x", "private_key_id": KEY_ID, "client_email": EMAIL,
            "private_key": private.decode(), "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
        }  # fmt: skip

    def answer(self, request: RecordedRequest) -> Made | None:
        self.asked.append(f"{request.method} {request.host} {request.path}")
        if "/token" in request.path:
            return Made.json(200, {"access_token": "google", "expires_in": 3600, "token_type": "Bearer"})
        if "publicKeys" in request.path or "x509" in request.path or "/keys/" in request.path:
            pem = self.certificate.public_bytes(serialization.Encoding.PEM)
            key = {"name": f"{EMAIL}/keys/{KEY_ID}", "publicKeyData": base64.b64encode(pem).decode()}
            return Made.json(200, {KEY_ID: pem.decode(), **key})
        if "serviceAccounts" in request.path:
            found = {
                "email": EMAIL,
                "uniqueId": "1",
                "projectId": "project-x",
                "name": f"projects/-/serviceAccounts/{EMAIL}",
            }
            return Made.json(200, found)
        return Made.json(404, {"error": {"code": 404, "status": "NOT_FOUND"}})


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("key", ["its own", "another"])
def test_a_google_key_logs_in(
    bench: Bench, fault_proxy: Any, e2e_authority: Any, server_progress: Any, key: str
) -> None:
    """The JWT is signed here, with the key of the Secret; Vault checks it against the public key that Google gives.

    This Vault asks Google's own hosts, through a proxy with a test CA.
    """
    from eso_e2e.vault import VaultServer

    google, tunnel = FakeGoogle(), fault_proxy()
    tunnel.inject(Respond(google.answer))
    env = {"HTTPS_PROXY": tunnel.url, "SSL_CERT_FILE": str(e2e_authority.ca_file)}
    with VaultServer(env=env, progress=server_progress) as vault:
        bench.vault = vault
        mount = vault.mount("kv", {"version": "2"})
        vault("POST", f"/{mount}/data/behind-cloud", {"data": {"k": "v"}})
        policy = vault.write_policy(f'path "{mount}/*" {{ capabilities = ["read"] }}')
        path = vault.enable_auth("gcp")
        vault("POST", f"/auth/{path}/config", {"credentials": json.dumps(google.key_file())})
        role = {"type": "iam", "bound_service_accounts": [EMAIL], "token_policies": [policy]}
        vault("POST", f"/auth/{path}/role/app", {**role, "max_jwt_exp": "15m"})
        signer = google if key == "its own" else FakeGoogle()
        bench.harness.kube.add_secret(
            NAMESPACE, "google", {"key.json": json.dumps(signer.key_file()).encode()}
        )
        secret = {"secretAccessKeySecretRef": {"name": "google", "key": "key.json"}}
        auth = {"gcp": {"path": path, "role": "app", "secretRef": secret}}
        if key == "its own":
            assert read(bench, mount, auth) == b"v"
            return
        with bench.harness.fails() as failure:
            read(bench, mount, auth)
        assert failure.error.code in {"CREDENTIALS", "TEMPORARY"}


@pytest.mark.real
@pytest.mark.parametrize(
    "content", ["no json", '{"type":"service_account"}', '{"client_email":"a@b","private_key":"x"}']
)
def test_a_key_file_that_is_none_is_an_error_of_the_spec(bench: Bench, kv2: str, content: str) -> None:
    bench.harness.kube.add_secret(NAMESPACE, "google", {"key.json": content.encode()})
    secret = {"secretAccessKeySecretRef": {"name": "google", "key": "key.json"}}
    with bench.harness.fails() as failure:
        read(bench, kv2, {"gcp": {"role": "app", "secretRef": secret}})
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert content not in failure.message


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.real
def test_the_machine_s_identity_is_asked_of_the_metadata_server(
    bench: Bench, kv2: str, fault_proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vault can't check it without Google, so this looks at what is asked and sent. A proxy would see the credential."""
    machine, vault = fault_proxy(), fault_proxy(bench.vault.address)
    machine.inject(Made(200, b"machine.identity.token\n", {"Metadata-Flavor": "Google"}))
    vault.inject(
        Made.json(200, {"auth": {"client_token": bench.vault.root_token, "lease_duration": 3600}}),
        path="/login",
    )
    monkeypatch.setenv("GCE_METADATA_HOST", machine.address)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "localhost")
    server = vault.url.replace("127.0.0.1", "localhost")
    spec = {"server": server, "path": kv2, "auth": {"gcp": {"role": "app"}}}
    bench.harness.exists(bench.harness.add_store(NAMESPACE, spec), "x")
    (asked,) = machine.requests
    assert asked.path.startswith("/computeMetadata/v1/instance/service-accounts/default/identity?")
    assert "format=full" in asked.path
    assert asked.headers["metadata-flavor"] == "Google"
    (login,) = [request for request in vault.requests if request.path.endswith("/login")]
    assert login.json() == {"role": "app", "jwt": "machine.identity.token"}


@pytest.mark.real
def test_workload_identity_is_signed_by_google(
    bench: Bench, *, kv2: str, fault_proxy: Any, e2e_authority: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    """Kubernetes token, identity binding, the service account's access token, its signature: each once, in that order.

    Google's hosts are reached through a proxy with a test CA: the hosts and their checks are those of production.
    """
    steps: list[tuple[str, str]] = []

    def google(request: RecordedRequest) -> Made:
        steps.append((request.host, request.path.rpartition(":")[2]))
        answers = {
            "identitybindingtoken": {"access_token": "binding"},
            "generateAccessToken": {"accessToken": "access"},
            "signJwt": {"signedJwt": "signed.by.google"},
        }
        return Made.json(200, answers[request.path.rpartition(":")[2].rpartition("/")[2]])

    tunnel, vault = fault_proxy(), fault_proxy(bench.vault.address)
    tunnel.inject(Respond(google))
    vault.inject(
        Made.json(200, {"auth": {"client_token": bench.vault.root_token, "lease_duration": 3600}}),
        path="/login",
    )
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(e2e_authority.ca_file))
    # requests would send this in place of Google's tokens.
    (tmp_path / "netrc").write_text("default login somebody password else")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    annotations = {"iam.gke.io/gcp-service-account": EMAIL}
    bench.harness.kube.add_service_account(NAMESPACE, "app", annotations=annotations)
    cluster = {"clusterProjectID": "p", "clusterLocation": "l", "clusterName": "c"}
    workload = {"serviceAccountRef": {"name": "app"}, **cluster}
    spec = {"server": vault.url, "path": kv2, "auth": {"gcp": {"role": "app", "workloadIdentity": workload}}}
    bench.harness.exists(bench.harness.add_store(NAMESPACE, spec), "x")
    assert [step for _, step in steps] == ["/v1/identitybindingtoken", "generateAccessToken", "signJwt"]
    assert bench.harness.kube.tokens_issued == [(NAMESPACE, "app", ("p.svc.id.goog",))]
    signing = json.loads(tunnel.requests[-1].json()["payload"])
    assert (signing["sub"], signing["aud"]) == (EMAIL, "vault/app")
    assert signing["exp"] <= time.time() + 840  # 15 minutes are Vault's limit, by a clock that may be behind
    assert tunnel.requests[-1].headers["authorization"] == "Bearer access"
    (login,) = [request for request in vault.requests if request.path.endswith("/login")]
    assert login.json()["jwt"] == "signed.by.google"
