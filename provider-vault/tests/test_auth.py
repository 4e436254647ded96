"""Where the Kubernetes login takes its token from, and what makes two logins the same identity. No server needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from provider_common import AccessDeniedError, AuthResolver, CredentialsError, TemporaryError
from provider_common.auth import Scope, TokenCache
from provider_common.kube import IssuedToken, ServiceAccountInfo
from provider_common.testing import FakeKube
from provider_vault import auth as auth_module
from provider_vault._connection import Connection
from provider_vault._login import Login
from provider_vault.spec import VaultSpec


class StrictKube(FakeKube):
    """A cluster that gives no tokens, and lists old token Secrets on its ServiceAccount."""

    def __init__(self, refusal: Exception) -> None:
        super().__init__()
        self._refusal = refusal

    def read_service_account(self, namespace: str, name: str) -> ServiceAccountInfo | None:
        account = super().read_service_account(namespace, name)
        return replace(account, secrets=("app-token",)) if account is not None else None

    def create_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
    ) -> IssuedToken:
        raise self._refusal


def spec(**auth: Any) -> VaultSpec:
    return VaultSpec.parse({"server": "https://v.example", "auth": auth}, where="x")


def resolver(kube: FakeKube, of: VaultSpec, namespace: str = "team-a") -> AuthResolver:
    scope = Scope("SecretStore", False, namespace, namespace, namespace)
    return AuthResolver(kube, scope=scope, spec=of, tokens=TokenCache())


def login(kube: FakeKube, of: VaultSpec) -> Login:
    assert of.auth is not None
    made = of.auth.prepare(resolver(kube, of))
    assert isinstance(made, Login)
    return made


BY_ACCOUNT = {"role": "r", "serviceAccountRef": {"name": "app"}}


def test_where_no_token_may_be_requested_the_listed_secret_is_used() -> None:
    """Old clusters list a token Secret on the account; the provider may lack the right to request one."""
    kube = StrictKube(AccessDeniedError("no"))
    kube.add_service_account("team-a", "app")
    kube.add_secret("team-a", "app-token", {"token": b"legacy"})
    assert login(kube, spec(kubernetes=BY_ACCOUNT)).payload("")["jwt"] == "legacy"


def test_an_api_server_that_is_away_is_no_reason_for_an_old_token() -> None:
    kube = StrictKube(TemporaryError("away"))
    kube.add_service_account("team-a", "app")
    kube.add_secret("team-a", "app-token", {"token": b"legacy"})
    with pytest.raises(TemporaryError):
        login(kube, spec(kubernetes=BY_ACCOUNT)).payload("")


def test_without_a_reference_the_pod_s_own_token_is_read_at_each_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kubelet rotates it."""
    file = tmp_path / "token"
    monkeypatch.setattr(auth_module, "POD_TOKEN", file)
    made = login(FakeKube(), spec(kubernetes={"role": "r"}))
    with pytest.raises(CredentialsError, match="serviceAccountRef"):
        made.payload("")
    for content in ("first\n", "second\n"):
        file.write_text(content)
        assert made.payload("") == {"role": "r", "jwt": content.strip()}


def test_user_names_and_mounts_are_parts_of_a_path_and_nothing_else() -> None:
    kube = FakeKube()
    kube.add_secret("team-a", "s", {"p": b"x"})
    secret = {"name": "s", "key": "p"}
    made = login(kube, spec(userPass={"path": "/a b/c/", "username": "x/root?a=b", "secretRef": secret}))
    assert made.path == "auth/a%20b/c/login/x%2Froot%3Fa%3Db"


def key(of: VaultSpec, *, password: bytes = b"x", purpose: str = "store") -> object:
    kube = FakeKube()
    kube.add_secret("team-a", "s", {"p": password, "q": b"another", "pod": b"pod"})
    kube.add_service_account("team-a", "app", annotations=ANNOTATIONS)
    return Connection.read(resolver(kube, of), of, purpose=purpose).identity()


ANNOTATIONS = {
    "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/app",
    "iam.gke.io/gcp-service-account": "app@project.iam.gserviceaccount.com",
}
USER = {"username": "bob", "secretRef": {"name": "s", "key": "p"}}


def test_the_same_login_is_one_identity_whatever_the_mount_of_the_secrets() -> None:
    one = VaultSpec.parse({"server": "https://v", "path": "a", "auth": {"userPass": USER}}, where="x")
    two = VaultSpec.parse({"server": "https://v", "path": "b", "auth": {"userPass": USER}}, where="x")
    assert key(one) == key(two)


SECRET = {"name": "s", "key": "p"}

CHANGES: dict[str, dict[str, Any]] = {
    "server": {"server": "https://other"},
    "namespace": {"namespace": "n"},
    "login namespace": {"auth": {"namespace": "n", "userPass": USER}},
    "headers": {"headers": {"X-A": "b"}},
    "CA": {"caProvider": {"type": "Secret", "name": "s", "key": "p"}},
    "client certificate": {"tls": {"certSecretRef": SECRET, "keySecretRef": SECRET}},
    "method": {"auth": {"ldap": USER}},
    "mount": {"auth": {"userPass": {**USER, "path": "other"}}},
    "user": {"auth": {"userPass": {**USER, "username": "alice"}}},
    "token": {"auth": {"tokenSecretRef": {"name": "s", "key": "p"}}},
    "nobody": {"auth": None},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_token_depends_on_makes_another_identity(change: str) -> None:
    """One part too few would hand a tenant's token to another."""
    base: dict[str, Any] = {"server": "https://v.example", "auth": {"userPass": USER}}
    changed = {name: value for name, value in {**base, **CHANGES[change]}.items() if value is not None}
    assert key(VaultSpec.parse(base, where="x")) != key(VaultSpec.parse(changed, where="x"))


KUBERNETES = {"role": "r"}
IAM = {
    "vaultRole": "r",
    "secretRef": {"accessKeyIDSecretRef": SECRET, "secretAccessKeySecretRef": SECRET},
}
GCP = {"role": "r", "workloadIdentity": {"serviceAccountRef": {"name": "app"}, "clusterName": "c"}}
APPROLE = {"roleId": "r", "secretRef": SECRET}
JWT = {"role": "r", "secretRef": SECRET}
CERT = {"vaultRole": "r", "clientCert": SECRET, "secretRef": SECRET}
OTHER = {"name": "s", "key": "q"}
ACCOUNT = {"serviceAccountRef": {"name": "app"}}

PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AppRole role": ({"appRole": APPROLE}, {"appRole": {**APPROLE, "roleId": "other"}}),
    "AppRole secret": ({"appRole": APPROLE}, {"appRole": {**APPROLE, "secretRef": OTHER}}),
    "Kubernetes role": ({"kubernetes": KUBERNETES}, {"kubernetes": {"role": "other"}}),
    "Kubernetes source": ({"kubernetes": KUBERNETES}, {"kubernetes": {**KUBERNETES, **ACCOUNT}}),
    "a token that is called pod": (
        {"kubernetes": KUBERNETES},
        {"kubernetes": {**KUBERNETES, "secretRef": {"name": "s", "key": "pod"}}},
    ),
    "Kubernetes audience": (
        {"kubernetes": {**KUBERNETES, **ACCOUNT}},
        {"kubernetes": {**KUBERNETES, "serviceAccountRef": {"name": "app", "audiences": ["a"]}}},
    ),
    "JWT role": ({"jwt": JWT}, {"jwt": {**JWT, "role": "other"}}),
    "JWT token": ({"jwt": JWT}, {"jwt": {**JWT, "secretRef": OTHER}}),
    "JWT audience": (
        {"jwt": {"kubernetesServiceAccountToken": ACCOUNT}},
        {"jwt": {"kubernetesServiceAccountToken": {**ACCOUNT, "audiences": ["a"]}}},
    ),
    "certificate role": ({"cert": CERT}, {"cert": {**CERT, "vaultRole": "other"}}),
    "certificate": ({"cert": CERT}, {"cert": {**CERT, "clientCert": OTHER}}),
    "certificate key": ({"cert": CERT}, {"cert": {**CERT, "secretRef": OTHER}}),
    "IAM role": ({"iam": IAM}, {"iam": {**IAM, "vaultRole": "other"}}),
    "IAM assumed role": ({"iam": IAM}, {"iam": {**IAM, "role": "arn:aws:iam::123456789012:role/x"}}),
    "IAM external ID": ({"iam": IAM}, {"iam": {**IAM, "externalID": "xx"}}),
    "IAM region": ({"iam": IAM}, {"iam": {**IAM, "region": "eu-central-1"}}),
    "IAM server ID": ({"iam": IAM}, {"iam": {**IAM, "vaultAwsIamServerID": "vault"}}),
    "IAM source": ({"iam": IAM}, {"iam": {"vaultRole": "r", "jwt": ACCOUNT}}),
    "GCP role": ({"gcp": GCP}, {"gcp": {**GCP, "role": "other"}}),
    "GCP source": ({"gcp": GCP}, {"gcp": {"role": "r"}}),
    "GCP project": ({"gcp": GCP}, {"gcp": {**GCP, "projectID": "p"}}),
    "GCP cluster": (
        {"gcp": GCP},
        {"gcp": {**GCP, "workloadIdentity": {**GCP["workloadIdentity"], "clusterName": "d"}}},  # type: ignore[dict-item]
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_login_makes_another_identity(part: str) -> None:
    """A store whose login would be refused must not live on the token of one whose login is not."""
    one, other = (spec(**auth) for auth in PARTS[part])
    assert key(one) == key(one)
    assert key(one) != key(other)


def test_another_password_and_another_purpose_are_other_identities() -> None:
    of = VaultSpec.parse({"server": "https://v.example", "auth": {"userPass": USER}}, where="x")
    assert len({key(of), key(of, password=b"y"), key(of, purpose="dynamic")}) == 3


def test_an_identity_does_not_show_its_credentials() -> None:
    of = VaultSpec.parse({"server": "https://v.example", "auth": {"userPass": USER}}, where="x")
    kube = FakeKube()
    kube.add_secret("team-a", "s", {"p": b"hunter2"})
    connection = Connection.read(resolver(kube, of), of)
    assert "hunter2" not in repr(connection) + repr(connection.identity())
