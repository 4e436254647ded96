"""AuthResolver over a real API server, with the rights that `rbac` tells and no others."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar, Self

import pytest
from eso_e2e.kube_api import KubeApi
from provider_common._kube_cluster import ClusterReader
from provider_common.auth import AuthResolver, Scope, TokenCache
from provider_common.context import Context
from provider_common.crd import crds, names_of
from provider_common.errors import AccessDeniedError, MissingReferenceError
from provider_common.kube import ServedType
from provider_common.provider import ProviderV2
from provider_common.rbac import cluster_role_rules, rbac_manifests
from provider_common.spec import CAProvider, SecretKeySelector, ServiceAccountSelector, Spec

from .conftest import Open

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kube-apiserver")]

CANARY = "c4nary-v4lue"


class LoginSpec(Spec):
    """Every way to refer to a credential."""

    kind: ClassVar = "Login"
    token: SecretKeySelector | None = None
    account: ServiceAccountSelector | None = None
    ca: CAProvider | None = None


class LoginStore(ProviderV2[LoginSpec]):
    @classmethod
    def open(cls, ctx: Context[LoginSpec]) -> Self:
        return cls()


@pytest.fixture
def namespace(kube_api: KubeApi) -> str:
    kube_api.apply(crds((LoginStore,)))
    return kube_api.create_namespace()


@pytest.fixture
def reader(kube_api: KubeApi, namespace: str, open_reader: Open) -> ClusterReader:
    """A provider's ServiceAccount with the rules of `cluster_role_rules`."""
    rules = cluster_role_rules(LoginStore)
    version, kind, plural = names_of(LoginSpec, role="store")
    kubeconfig = kube_api.service_account_kubeconfig(namespace, "provider", rules)
    return open_reader(kubeconfig, (ServedType(version, kind, plural),))


def stored(kube_api: KubeApi, namespace: str, **spec: Any) -> LoginSpec:
    """The spec as the API server keeps it."""
    version, kind, _ = names_of(LoginSpec, role="store")
    manifest = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "main", "namespace": namespace},
        "spec": spec,
    }
    (made,) = kube_api.apply(manifest)
    return LoginSpec.parse(made["spec"], where="Login main")


def resolver(reader: ClusterReader, spec: LoginSpec, namespace: str) -> AuthResolver:
    scope = Scope("SecretStore", False, namespace, namespace, namespace)
    return AuthResolver(reader, scope=scope, spec=spec, tokens=TokenCache())


def test_a_credential_is_read_and_a_change_of_it_noticed(
    kube_api: KubeApi, namespace: str, reader: ClusterReader
) -> None:
    """A store is opened again when, and only when, what it was opened with is another."""
    kube_api.create_secret(namespace, "acme", {"token": "first"})
    spec = stored(kube_api, namespace, token={"name": "acme", "key": "token"})
    auth = resolver(reader, spec, namespace)
    assert spec.token is not None

    assert auth.secret_key(spec.token) == b"first"
    assert not auth.changed()

    kube_api.create_secret(namespace, "acme", {"token": "second"})
    assert auth.changed()


def test_a_credential_that_is_not_there_is_named(
    kube_api: KubeApi, namespace: str, reader: ClusterReader
) -> None:
    """Never NoSecretError: that would delete the user's Secret."""
    spec = stored(kube_api, namespace, token={"name": "acme", "key": "token"})
    assert spec.token is not None

    with pytest.raises(MissingReferenceError, match=f"There is no Secret 'acme' in namespace '{namespace}'"):
        resolver(reader, spec, namespace).secret_key(spec.token)


def test_a_neighbours_credential_is_denied_though_rbac_would_allow_it(
    kube_api: KubeApi, namespace: str, reader: ClusterReader
) -> None:
    """The provider may read every namespace: what keeps tenants apart is the namespace rule."""
    other = kube_api.create_namespace()
    kube_api.create_secret(other, "acme", {"token": CANARY})
    spec = stored(kube_api, namespace, token={"name": "acme", "key": "token", "namespace": other})

    with pytest.raises(AccessDeniedError, match=f"'acme' is in namespace '{other}'"):
        resolver(reader, spec, namespace)
    assert reader.read_secret(other, "acme") == {"token": CANARY.encode()}


def test_credentials_may_be_kept_to_some_namespaces(
    kube_api: KubeApi, namespace: str, open_reader: Open
) -> None:
    """As `provider-x rbac --credentials-in` prints it: objects are followed everywhere, credentials read there only."""
    other = kube_api.create_namespace()
    for place in (namespace, other):
        kube_api.create_secret(place, "acme", {"token": CANARY})
    kube_api.apply(
        rbac_manifests(
            LoginStore,
            name=f"provider-{namespace}",
            account="kept",
            namespace=namespace,
            credentials_in=(namespace,),
        )
    )
    kubeconfig = kube_api.write_kubeconfig(
        f"{namespace}-kept", kube_api.service_account_token(namespace, "kept")
    )
    version, kind, plural = names_of(LoginSpec, role="store")
    reader = open_reader(kubeconfig, (ServedType(version, kind, plural),))

    assert reader.read_secret(namespace, "acme") == {"token": CANARY.encode()}
    with pytest.raises(AccessDeniedError, match=other):
        reader.read_secret(other, "acme")


def test_a_ca_comes_from_a_config_map(kube_api: KubeApi, namespace: str, reader: ClusterReader) -> None:
    """As trust-manager and kube-root-ca.crt keep it."""
    kube_api.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ca", "namespace": namespace},
            "data": {"ca.crt": "PEM"},
        }
    )
    spec = stored(kube_api, namespace, ca={"type": "ConfigMap", "name": "ca"})

    assert resolver(reader, spec, namespace).ca_bundle(None, spec.ca) == b"PEM"


def test_a_token_of_the_users_account_is_had_once(
    kube_api: KubeApi, namespace: str, reader: ClusterReader
) -> None:
    """For the audiences of the backend and those of the manifest; then it is kept."""
    kube_api.service_account_token(namespace, "app")
    spec = stored(kube_api, namespace, account={"name": "app", "audiences": ["extra"]})
    auth = resolver(reader, spec, namespace)
    assert spec.account is not None

    token = auth.service_account_token(spec.account, audiences=("vault",), expiration_seconds=600)
    again = auth.service_account_token(spec.account, audiences=("vault",), expiration_seconds=600)

    payload = token.value.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["vault", "extra"]
    assert claims["sub"] == f"system:serviceaccount:{namespace}:app"
    assert again is token
