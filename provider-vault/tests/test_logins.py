"""Every way to log in that a machine without a cloud can drive, against the real thing at the other end."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from eso_e2e.faults import Answer as Made
from grpc import StatusCode
from provider_common.kube import IssuedToken
from provider_common.testing import FakeKube, ProviderHarness
from provider_vault import KINDS

from .bench import Bench

if TYPE_CHECKING:
    from eso_e2e.kube_api import KubeApi
    from eso_e2e.ldap import LdapServer
    from eso_e2e.vault import VaultApi, VaultServer

pytestmark = pytest.mark.real
NAMESPACE = "team-a"


@dataclass
class Way:
    """One way in: its part of the spec, and the Secrets it needs, right and wrong."""

    auth: Mapping[str, Any]
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    wrong: Mapping[str, bytes] = field(default_factory=dict)
    call: str = "Login"


def key_of(name: str, **more: str) -> dict[str, str]:
    return {"name": "login", "key": name, **more}


def approle(vault: VaultApi, policy: str) -> Way:
    path = vault.enable_auth("approle")
    vault("POST", f"/auth/{path}/role/app", {"token_policies": [policy], "token_ttl": "1h"})
    role = vault("GET", f"/auth/{path}/role/app/role-id")["data"]["role_id"]
    secret = vault("POST", f"/auth/{path}/role/app/secret-id", {})["data"]["secret_id"]
    return Way(
        {"appRole": {"path": path, "roleId": f" {role}\n", "secretRef": key_of("secret")}},
        {"secret": f"{secret}\n".encode()},
        {"secret": b"no such secret id"},
    )


def approle_by_reference(vault: VaultApi, policy: str) -> Way:
    way = approle(vault, policy)
    app_role = dict(way.auth["appRole"])
    role = app_role.pop("roleId")
    app_role["roleRef"] = key_of("role")
    secrets = {**way.secrets, "role": role.encode()}
    return Way({"appRole": app_role}, secrets, {**secrets, "role": b"nobody"})


def userpass(vault: VaultApi, policy: str) -> Way:
    path = vault.enable_auth("userpass")
    vault("POST", f"/auth/{path}/users/bob", {"password": " secret with blanks ", "token_policies": [policy]})
    return Way(
        {"userPass": {"path": path, "username": "bob ", "secretRef": key_of("password")}},
        {"password": b" secret with blanks "},
        {"password": b"secret with blanks"},
    )


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwt_of(**claims: Any) -> str:
    """A JWT of our own signer."""
    now = int(time.time())
    parts = [{"alg": "RS256", "typ": "JWT"}, {"iss": "test", "iat": now, "exp": now + 600, **claims}]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def jwt_mount(vault: VaultApi, policy: str, audience: str) -> str:
    path = vault.enable_auth("jwt")
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    vault(
        "POST", f"/auth/{path}/config", {"jwt_validation_pubkeys": [public.decode()], "default_role": "app"}
    )
    role = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [audience],
        "token_policies": [policy],
    }
    vault("POST", f"/auth/{path}/role/app", role)
    return path


def jwt(vault: VaultApi, policy: str) -> Way:
    path = jwt_mount(vault, policy, "vault")
    return Way(
        {"jwt": {"path": path, "role": " app ", "secretRef": key_of("jwt")}},
        {"jwt": jwt_of(sub="app", aud="vault").encode()},
        {"jwt": jwt_of(sub="app", aud="somebody else").encode()},
        "WriteSecretData",
    )


def jwt_default_role(vault: VaultApi, policy: str) -> Way:
    way = jwt(vault, policy)
    return Way({"jwt": {**way.auth["jwt"], "role": ""}}, way.secrets, way.wrong, way.call)


WAYS: dict[str, Callable[[Any, str], Way]] = {
    "AppRole": approle,
    "AppRole, role by reference": approle_by_reference,
    "userpass": userpass,
    "JWT": jwt,
    "JWT, default role": jwt_default_role,
}


@pytest.fixture(scope="session")
def policy(vault_dev: VaultApi, kv2: str) -> str:
    vault_dev("POST", f"/{kv2}/data/behind-login", {"data": {"k": "v"}})
    return vault_dev.write_policy(
        f'path "{kv2}/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}'
    )


def reads(bench: Bench, kv2: str, way: Way, **more: Any) -> bytes:
    bench.harness.kube.add_secret(NAMESPACE, "login", dict(way.secrets))
    spec = {"server": bench.vault.address, "path": kv2, "auth": way.auth, **more}
    return bench.harness.get_secret(bench.harness.add_store(NAMESPACE, spec), "behind-login", property="k")


@pytest.mark.parametrize("name", WAYS)
def test_a_login_opens_the_store_once(bench: Bench, kv2: str, policy: str, name: str) -> None:
    """The token is kept: a hundred reads of different keys are one login and not one lookup."""
    way = WAYS[name](bench.vault, policy)
    assert reads(bench, kv2, way) == b"v"
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": way.auth})
    for number in range(10):
        bench.harness.exists(store, f"never-{number}")
    calls = bench.calls()
    assert calls.get(way.call) == 1
    assert "LookupSelf" not in calls


@pytest.mark.parametrize("name", WAYS)
def test_a_refused_login_is_unauthenticated_and_shows_no_credential(
    bench: Bench, kv2: str, policy: str, name: str
) -> None:
    way = WAYS[name](bench.vault, policy)
    with bench.harness.fails() as failure:
        reads(bench, kv2, Way(way.auth, {**way.secrets, **way.wrong}))
    assert (failure.code, failure.error.code) == (StatusCode.UNAUTHENTICATED, "CREDENTIALS")
    assert not any(value.decode() in failure.message for value in way.wrong.values())


@pytest.mark.parametrize("name", WAYS)
def test_a_missing_credentials_secret_is_never_not_found(
    bench: Bench, kv2: str, policy: str, name: str
) -> None:
    way = WAYS[name](bench.vault, policy)
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": way.auth})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "behind-login")
    assert (failure.code, failure.error.code) == (StatusCode.FAILED_PRECONDITION, "MISSING_REFERENCE")


def test_an_auth_method_that_is_not_mounted_is_a_refused_login(bench: Bench, kv2: str) -> None:
    """Vault answers 403 there, as for a wrong password: it does not tell who is not logged in what is mounted."""
    way = Way(
        {"userPass": {"path": "nowhere", "username": "bob", "secretRef": key_of("password")}},
        {"password": b"x"},
    )
    with bench.harness.fails() as failure:
        reads(bench, kv2, way)
    assert failure.code is StatusCode.UNAUTHENTICATED
    assert "nowhere" in failure.message


def test_a_login_page_is_no_login(bench: Bench, kv2: str, policy: str, fault_proxy: Any) -> None:
    """A gateway's 200 says nothing about the credentials."""
    way = userpass(bench.vault, policy)
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(200, b"<html>please log in</html>"), path="/login/")
    with bench.harness.fails() as failure:
        reads(bench, kv2, way, server=proxy.url)
    assert (failure.code, failure.error.code) == (StatusCode.FAILED_PRECONDITION, "MISSING_REFERENCE")


def test_forty_callers_with_a_wrong_password_are_one_login(bench: Bench, kv2: str, policy: str) -> None:
    """Vault locks users out after a few."""
    from concurrent.futures import ThreadPoolExecutor

    way = userpass(bench.vault, policy)
    bench.harness.kube.add_secret(NAMESPACE, "login", {"password": b"wrong"})
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": way.auth})

    def fails(number: int) -> StatusCode:
        with bench.harness.fails() as failure:
            bench.harness.get_secret(store, f"key-{number}")
        return failure.code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(fails, range(40))) == {StatusCode.UNAUTHENTICATED}
    assert bench.calls()["Login"] == 1


def test_a_new_password_is_taken_up(bench: Bench, kv2: str, policy: str) -> None:
    """Another credential is another identity: the refused login is not remembered against it."""
    way = userpass(bench.vault, policy)
    with bench.harness.fails():
        reads(bench, kv2, Way(way.auth, {"password": b"wrong"}))
    assert reads(bench, kv2, Way(way.auth, way.secrets), headers={"X-Changed": "1"}) == b"v"


def test_ldap_people_log_in_with_their_directory_password(
    bench: Bench, kv2: str, policy: str, ldap_server: LdapServer
) -> None:
    from eso_e2e import ldap

    path = bench.vault.enable_auth("ldap")
    config = {"url": ldap_server.url, "userdn": ldap.USERS_DN, "userattr": "uid", "groupdn": ldap.GROUPS_DN}
    config |= {
        "binddn": ldap.ADMIN_DN,
        "bindpass": ldap.ADMIN_PASSWORD,
        "groupfilter": "(member={{.UserDN}})",
    }
    bench.vault("POST", f"/auth/{path}/config", {**config, "groupattr": "cn"})
    bench.vault("POST", f"/auth/{path}/groups/readers", {"policies": policy})
    auth = {"ldap": {"path": path, "username": ldap.ALICE.uid, "secretRef": key_of("password")}}
    assert reads(bench, kv2, Way(auth, {"password": ldap.ALICE.password.encode()})) == b"v"
    outsider = {"ldap": {"path": path, "username": ldap.BOB.uid, "secretRef": key_of("password")}}
    with bench.harness.fails() as failure:
        reads(bench, kv2, Way(outsider, {"password": ldap.BOB.password.encode()}))
    assert failure.code is StatusCode.PERMISSION_DENIED
    with bench.harness.fails() as failure:
        reads(bench, kv2, Way(auth, {"password": b"not hers"}))
    assert failure.code is StatusCode.UNAUTHENTICATED


class ClusterKube(FakeKube):
    """Objects from memory, tokens from a real API server."""

    def __init__(self, api: KubeApi) -> None:
        super().__init__()
        self._api = api

    def create_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
    ) -> IssuedToken:
        token = self._api.service_account_token(namespace, name, audiences=list(audiences))
        self.tokens_issued.append((namespace, name, audiences))
        now = time.time()
        return IssuedToken(token, now, now + 600)


@pytest.fixture
def kube_role(vault_dev: VaultApi, kube_api: KubeApi, policy: str) -> str:
    """A Kubernetes auth mount that asks the real API server's TokenReview."""
    path = vault_dev.enable_auth("kubernetes")
    config = {
        "kubernetes_host": kube_api.url,
        "kubernetes_ca_cert": kube_api.ca_file.read_text(),
        "token_reviewer_jwt": kube_api.admin_token,
        "disable_local_ca_jwt": True,
    }
    vault_dev("POST", f"/auth/{path}/config", config)
    role = {
        "bound_service_account_names": ["app"],
        "bound_service_account_namespaces": [NAMESPACE],
        "token_policies": [policy],
        "audience": "vault",
    }
    vault_dev("POST", f"/auth/{path}/role/app", role)
    kube_api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for name in ("app", "other"):
        kube_api.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}
        )
    return path


@pytest.mark.parametrize(
    ("account", "audiences", "code"),
    [
        ("app", ["vault"], None),
        ("other", ["vault"], StatusCode.UNAUTHENTICATED),
        ("app", ["x"], StatusCode.UNAUTHENTICATED),
    ],
    ids=["bound account", "another account", "another audience"],
)
def test_a_service_account_logs_in_by_token_review(
    vault_dev: VaultApi,
    kube_api: KubeApi,
    *,
    kv2: str,
    kube_role: str,
    account: str,
    audiences: list[str],
    code: Any,
) -> None:
    with ProviderHarness(*KINDS, kube=ClusterKube(kube_api)) as harness:
        harness.kube.add_service_account(NAMESPACE, account)
        auth = {
            "kubernetes": {
                "mountPath": kube_role,
                "role": "app",
                "serviceAccountRef": {"name": account, "audiences": audiences},
            }
        }
        store = harness.add_store(NAMESPACE, {"server": vault_dev.address, "path": kv2, "auth": auth})
        if code is None:
            assert harness.get_secret(store, "behind-login", property="k") == b"v"
            assert harness.kube.tokens_issued == [(NAMESPACE, account, tuple(audiences))]
            return
        with harness.fails() as failure:
            harness.get_secret(store, "behind-login")
        assert failure.code is code


def test_a_kubernetes_token_may_come_from_a_secret(
    bench: Bench, kube_api: KubeApi, kv2: str, kube_role: str
) -> None:
    token = kube_api.service_account_token(NAMESPACE, "app", audiences=["vault"])
    way = Way(
        {"kubernetes": {"mountPath": kube_role, "role": "app", "secretRef": {"name": "login"}}},
        {"token": f"{token}\n".encode()},
    )
    assert reads(bench, kv2, way) == b"v"


def test_a_requested_jwt_has_the_audiences_of_both_places(bench: Bench, kv2: str, policy: str) -> None:
    """`audiences` is `vault` unless told otherwise, and serviceAccountRef adds its own."""

    class Signing(FakeKube):
        def create_token(
            self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
        ) -> IssuedToken:
            self.tokens_issued.append((namespace, name, audiences))
            assert expiration_seconds == 600
            token = jwt_of(sub=f"system:serviceaccount:{namespace}:{name}", aud=list(audiences))
            return IssuedToken(token, time.time(), time.time() + 600)

    path = jwt_mount(bench.vault, policy, "vault")
    source = {"serviceAccountRef": {"name": "app", "audiences": ["extra"]}}
    auth = {"jwt": {"path": path, "role": "app", "kubernetesServiceAccountToken": source}}
    with ProviderHarness(*KINDS, kube=Signing()) as harness:
        harness.kube.add_service_account(NAMESPACE, "app")
        store = harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": auth})
        assert harness.get_secret(store, "behind-login", property="k") == b"v"
        ((_, _, audiences),) = harness.kube.tokens_issued
    assert sorted(audiences) == ["extra", "vault"]


class TestCertificates:
    """A Vault with TLS: its CA, client certificates, and the login by certificate."""

    @pytest.fixture
    def secured(self, vault_tls: VaultServer) -> dict[str, Any]:
        mount = vault_tls.mount("kv", {"version": "2"})
        vault_tls("POST", f"/{mount}/data/app", {"data": {"k": "v"}})
        bundle = base64.b64encode(vault_tls.ca_file.read_bytes()).decode() if vault_tls.ca_file else ""
        return {"server": vault_tls.address, "path": mount, "caBundle": bundle}

    @pytest.fixture
    def token(self, harness: ProviderHarness, vault_tls: VaultServer) -> dict[str, Any]:
        harness.kube.add_secret(NAMESPACE, "login", {"token": vault_tls.root_token.encode()})
        return {"tokenSecretRef": key_of("token")}

    def test_a_private_ca_is_trusted_by_bundle(
        self, harness: ProviderHarness, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        store = harness.add_store(NAMESPACE, {**secured, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"

    def test_a_bundle_may_have_comments_in_any_language(
        self, harness: ProviderHarness, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        """The usual collection of public roots has them."""
        commented = "# F\u0151tan\u00fas\u00edtv\u00e1ny\n".encode() + base64.b64decode(secured["caBundle"])
        bundle = base64.b64encode(commented).decode()
        store = harness.add_store(NAMESPACE, {**secured, "caBundle": bundle, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"

    def test_a_bundle_in_another_layer_of_base64_is_understood(
        self, harness: ProviderHarness, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        twice = base64.b64encode(secured["caBundle"].encode()).decode()
        store = harness.add_store(NAMESPACE, {**secured, "caBundle": twice, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"

    def test_what_is_given_as_trusted_need_not_be_a_root(
        self, harness: ProviderHarness, vault_tls: VaultServer, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        """As in Go: an intermediate, or the server's own certificate, will do."""
        url = urlsplit(vault_tls.address)
        own = ssl.get_server_certificate((url.hostname or "", url.port or 0))
        bundle = base64.b64encode(own.encode()).decode()
        store = harness.add_store(NAMESPACE, {**secured, "caBundle": bundle, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"

    @pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
    def test_a_private_ca_may_come_from_the_cluster(
        self, harness: ProviderHarness, secured: dict[str, Any], token: dict[str, Any], kind: str
    ) -> None:
        pem = base64.b64decode(secured.pop("caBundle"))
        harness.kube.add_secret(NAMESPACE, "ca", {"ca.pem": pem})
        harness.kube.add_config_map(NAMESPACE, "ca", {"ca.pem": pem})
        source = {"type": kind, "name": "ca", "key": "ca.pem"}
        store = harness.add_store(NAMESPACE, {**secured, "caProvider": source, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"

    def test_a_server_that_is_not_trusted_gets_no_token(
        self, harness: ProviderHarness, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        secured.pop("caBundle")
        with harness.fails() as failure:
            harness.get_secret(harness.add_store(NAMESPACE, {**secured, "auth": token}), "app")
        assert failure.code is StatusCode.UNAUTHENTICATED
        assert "caBundle" in failure.message

    def test_a_certificate_is_a_login(
        self, harness: ProviderHarness, vault_tls: VaultServer, secured: dict[str, Any]
    ) -> None:
        """Also for the renewal: Vault binds the token to the certificate of the connection."""
        path = vault_tls.enable_auth("cert")
        policy = vault_tls.write_policy(f'path "{secured["path"]}/*" {{ capabilities = ["read"] }}')
        pair = vault_tls.client_pair
        assert pair is not None
        role = {"certificate": pair.cert.read_text(), "token_policies": [policy], "token_ttl": "1h"}
        vault_tls("POST", f"/auth/{path}/certs/app", role)
        harness.kube.add_secret(
            NAMESPACE, "pair", {"tls.crt": pair.cert.read_bytes(), "tls.key": pair.key.read_bytes()}
        )
        auth = {
            "cert": {
                "path": path,
                "vaultRole": "app",
                "clientCert": {"name": "pair"},
                "secretRef": {"name": "pair"},
            }
        }
        store = harness.add_store(NAMESPACE, {**secured, "auth": auth})
        assert harness.get_secret(store, "app", property="k") == b"v"

    def test_a_stranger_s_certificate_is_refused(
        self, harness: ProviderHarness, vault_tls: VaultServer, secured: dict[str, Any]
    ) -> None:
        path = vault_tls.enable_auth("cert")
        assert vault_tls.authority is not None
        assert vault_tls.client_pair is not None
        stranger = vault_tls.authority.issue("stranger")
        vault_tls("POST", f"/auth/{path}/certs/app", {"certificate": vault_tls.client_pair.cert.read_text()})
        data = {"tls.crt": stranger.cert.read_bytes(), "tls.key": stranger.key.read_bytes()}
        harness.kube.add_secret(NAMESPACE, "pair", data)
        auth = {"cert": {"path": path, "clientCert": {"name": "pair"}, "secretRef": {"name": "pair"}}}
        with harness.fails() as failure:
            harness.get_secret(harness.add_store(NAMESPACE, {**secured, "auth": auth}), "app")
        assert failure.code is StatusCode.UNAUTHENTICATED

    def test_a_client_certificate_may_accompany_another_login(
        self, harness: ProviderHarness, vault_tls: VaultServer, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        assert vault_tls.client_pair is not None
        pair = vault_tls.client_pair
        harness.kube.add_secret(
            NAMESPACE, "pair", {"tls.crt": pair.cert.read_bytes(), "tls.key": pair.key.read_bytes()}
        )
        tls = {"certSecretRef": {"name": "pair"}, "keySecretRef": {"name": "pair"}}
        store = harness.add_store(NAMESPACE, {**secured, "tls": tls, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"

    def test_a_pair_that_is_none_is_an_error_of_the_spec(
        self, harness: ProviderHarness, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        harness.kube.add_secret(NAMESPACE, "pair", {"tls.crt": b"no certificate", "tls.key": b"no key"})
        tls = {"certSecretRef": {"name": "pair"}, "keySecretRef": {"name": "pair"}}
        with harness.fails() as failure:
            harness.get_secret(harness.add_store(NAMESPACE, {**secured, "tls": tls, "auth": token}), "app")
        assert failure.code is StatusCode.INVALID_ARGUMENT

    def test_a_sealed_vault_is_unavailable_and_answers_once_unsealed(
        self, harness: ProviderHarness, vault_tls: VaultServer, secured: dict[str, Any], token: dict[str, Any]
    ) -> None:
        """Sealed is not absent."""
        store = harness.add_store(NAMESPACE, {**secured, "auth": token})
        assert harness.get_secret(store, "app", property="k") == b"v"
        vault_tls.seal()
        try:
            with harness.fails() as failure:
                harness.exists(store, "app")
        finally:
            vault_tls.unseal()
        assert failure.code is StatusCode.UNAVAILABLE
        assert "sealed" in failure.message
        assert harness.exists(store, "app")
