"""Vault as the tests get it: real answers, logins that need other servers included."""

from __future__ import annotations

import pytest
from eso_e2e import ldap
from eso_e2e.fixtures import to_be_had
from eso_e2e.http import AnswerError, JsonClient
from eso_e2e.kube import KubeApiserver
from eso_e2e.ldap import LdapServer, Person
from eso_e2e.servers import Progress
from eso_e2e.vault import VaultApi, VaultServer

pytestmark = pytest.mark.real


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_new_mount_can_be_written_and_read_at_once(vault_dev: VaultApi, version: str) -> None:
    """Tests never wait for a mount, and never share one."""
    path = vault_dev.mount("kv", {"version": version})
    place = f"/{path}/data/a" if version == "2" else f"/{path}/a"
    written = {"data": {"k": "v"}} if version == "2" else {"k": "v"}

    vault_dev("POST", place, written)

    answer = vault_dev("GET", place)["data"]
    assert (answer["data"] if version == "2" else answer) == {"k": "v"}


def test_a_token_without_the_policy_is_refused(vault_dev: VaultApi) -> None:
    """Policies are enforced, so that a test of too few rights is a real one."""
    path = vault_dev.mount("kv", {"version": "1"})
    vault_dev("POST", f"/{path}/a", {"k": "v"})
    vault_dev("POST", f"/{path}/b", {"k": "v"})
    policy = vault_dev.write_policy(f'path "{path}/a" {{ capabilities = ["read"] }}')
    token = vault_dev.create_token(policies=[policy], no_default_policy=True)

    assert vault_dev("GET", f"/{path}/a", token=token)["data"] == {"k": "v"}
    with pytest.raises(AnswerError) as caught:
        vault_dev("GET", f"/{path}/b", token=token)

    assert caught.value.status == 403


@pytest.mark.parametrize(
    "kind", ["approle", "aws", "cert", "gcp", "jwt", "kubernetes", "ldap", "oidc", "userpass"]
)
def test_every_auth_method_is_in_the_binary(vault_dev: VaultApi, kind: str) -> None:
    """The build has them all; a slimmer one would make provider tests skip silently."""
    path = vault_dev.enable_auth(kind)

    assert vault_dev("GET", "/sys/auth")["data"][f"{path}/"]["type"] == kind


def test_a_service_account_logs_in(vault_dev: VaultApi, kube_apiserver: KubeApiserver) -> None:
    """Vault asks the real API server who a token belongs to."""
    namespace = kube_apiserver.create_namespace()
    path = vault_dev.enable_auth("kubernetes")
    config = {
        "kubernetes_host": kube_apiserver.url,
        "kubernetes_ca_cert": kube_apiserver.ca_file.read_text(),
        "token_reviewer_jwt": kube_apiserver.admin_token,
    }
    role = {"bound_service_account_names": ["app"], "bound_service_account_namespaces": [namespace]}
    vault_dev("POST", f"/auth/{path}/config", config)
    vault_dev("POST", f"/auth/{path}/role/app", role | {"audience": "vault"})
    token = kube_apiserver.service_account_token(namespace, "app", audiences=["vault"])

    answer = vault_dev("POST", f"/auth/{path}/login", {"role": "app", "jwt": token}, token="")

    assert answer["auth"]["metadata"]["service_account_namespace"] == namespace


def ldap_mount(vault: VaultApi, directory: LdapServer) -> str:
    path = vault.enable_auth("ldap")
    config = {
        "url": directory.url,
        "binddn": ldap.ADMIN_DN,
        "bindpass": ldap.ADMIN_PASSWORD,
        "userdn": ldap.USERS_DN,
        "userattr": "uid",
        "groupdn": ldap.GROUPS_DN,
    }
    vault("POST", f"/auth/{path}/config", config)
    vault("POST", f"/auth/{path}/groups/readers", {"policies": "readers-policy"})
    return path


@pytest.mark.parametrize(
    ("person", "has_policy"), [(ldap.ALICE, True), (ldap.BOB, False)], ids=["in-the-group", "in-no-group"]
)
def test_a_person_of_the_directory_logs_in(
    vault_dev: VaultApi, ldap_server: LdapServer, person: Person, has_policy: bool
) -> None:
    """User and group searches of Vault's LDAP login are really evaluated by the directory."""
    path = ldap_mount(vault_dev, ldap_server)

    answer = vault_dev("POST", f"/auth/{path}/login/{person.uid}", {"password": person.password}, token="")

    assert ("readers-policy" in answer["auth"]["policies"]) is has_policy


def test_the_directory_also_speaks_ldaps(vault_dev: VaultApi, server_progress: Progress) -> None:
    """Vault proves the directory's certificate before it sends a password."""
    with to_be_had():
        directory = LdapServer(tls=True, progress=server_progress)
    with directory:
        path = ldap_mount(vault_dev, directory)
        assert directory.ca_file is not None

        with pytest.raises(AnswerError, match="unknown authority"):
            vault_dev("POST", f"/auth/{path}/login/alice", {"password": ldap.ALICE.password}, token="")
        vault_dev("POST", f"/auth/{path}/config", {"certificate": directory.ca_file.read_text()})
        answer = vault_dev("POST", f"/auth/{path}/login/alice", {"password": ldap.ALICE.password}, token="")

    assert "readers-policy" in answer["auth"]["policies"]


def test_a_wrong_password_is_refused_by_the_directory(vault_dev: VaultApi, ldap_server: LdapServer) -> None:
    """The directory checks passwords."""
    path = ldap_mount(vault_dev, ldap_server)

    with pytest.raises(AnswerError) as caught:
        vault_dev("POST", f"/auth/{path}/login/alice", {"password": "wrong"}, token="")

    assert caught.value.status == 400


def test_a_client_certificate_logs_in(vault_tls: VaultServer) -> None:
    """The TLS listener asks for a certificate, and the cert login sees it."""
    assert vault_tls.authority is not None
    path = vault_tls.enable_auth("cert")
    certificate = vault_tls.authority.ca_file.read_text()
    vault_tls(
        "POST",
        f"/auth/{path}/certs/app",
        {"certificate": certificate, "allowed_common_names": ["vault-client"]},
    )
    client = JsonClient(f"{vault_tls.address}/v1", ca_file=vault_tls.ca_file, client=vault_tls.client_pair)

    answer = client("POST", f"/auth/{path}/login", {"name": "app"})

    assert answer["auth"]["metadata"]["cert_name"] == "app"
    client.close()


def test_a_sealed_vault_answers_503_until_it_is_unsealed(vault_tls: VaultServer) -> None:
    """What was stored is there again afterwards."""
    path = vault_tls.mount("kv", {"version": "1"})
    vault_tls("POST", f"/{path}/a", {"k": "v"})

    vault_tls.seal()
    with pytest.raises(AnswerError) as caught:
        vault_tls("GET", f"/{path}/a")
    vault_tls.unseal()

    assert caught.value.status == 503
    assert vault_tls("GET", f"/{path}/a")["data"] == {"k": "v"}
