"""The API server of the tests behaves like a cluster's where the other tests rely on it."""

from __future__ import annotations

import kubernetes
import pytest
import urllib3
from eso_e2e.http import AnswerError
from eso_e2e.kube import KubeApiserver
from eso_e2e.kube_api import KubeApi
from eso_e2e.tcpproxy import TcpFaultProxy

pytestmark = pytest.mark.real

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.e2e.example.com"},
    "spec": {
        "group": "e2e.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {"size": {"type": "integer", "minimum": 1}},
                                "x-kubernetes-validations": [
                                    {"rule": "self.size != 13", "message": "not thirteen"}
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}


def widget(namespace: str, size: int) -> dict[str, object]:
    return {
        "apiVersion": "e2e.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": namespace},
        "spec": {"size": size},
    }


def test_an_applied_crd_can_be_used_at_once(kube_api: KubeApi) -> None:
    """`apply` returns when the kind is served, so that no test needs to wait for it."""
    namespace = kube_api.create_namespace()

    kube_api.apply(WIDGETS)
    kube_api.apply(widget(namespace, 3))

    assert kube_api.get(widget(namespace, 3))["spec"] == {"size": 3}


@pytest.mark.parametrize(("size", "words"), [(0, "greater than or equal to 1"), (13, "not thirteen")])
def test_a_bad_object_is_refused_with_the_servers_words(kube_api: KubeApi, size: int, words: str) -> None:
    """Schema and CEL rules are really evaluated, and their text reaches the test."""
    namespace = kube_api.create_namespace()
    kube_api.apply(WIDGETS)

    with pytest.raises(AnswerError, match=words) as caught:
        kube_api.apply(widget(namespace, size))

    assert caught.value.status == 422


def test_yaml_text_of_several_documents_is_applied(kube_api: KubeApi) -> None:
    """Examples are kept as YAML files; a test applies them as they are."""
    namespace = kube_api.create_namespace()
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{namespace: {namespace}, name: "

    stored = kube_api.apply(f"{head}a}}\n---\n{head}b}}\n---\n")

    assert [item["metadata"]["name"] for item in stored] == ["a", "b"]


def test_a_limited_service_account_reads_only_what_its_rules_allow(kube_api: KubeApi) -> None:
    """RBAC is on: a provider that reads more than its role allows is found out."""
    namespace = kube_api.create_namespace()
    kube_api.create_secret(namespace, "one", {"key": "value"})
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    kubeconfig = kube_api.service_account_kubeconfig(namespace, "reader", rules, cluster_wide=False)
    limited = KubeApi.from_kubeconfig(kubeconfig, kubeconfig.parent)

    assert limited.api("GET", f"/api/v1/namespaces/{namespace}/secrets/one")["type"] == "Opaque"
    with pytest.raises(AnswerError) as caught:
        limited.api("GET", f"/api/v1/namespaces/{namespace}/secrets")

    assert caught.value.status == 403
    limited.close()


def test_a_service_account_token_passes_a_token_review(kube_api: KubeApi) -> None:
    """TokenRequest and TokenReview work, audiences included: Vault's Kubernetes login is built on both."""
    namespace = kube_api.create_namespace()
    token = kube_api.service_account_token(namespace, "app", audiences=["vault"])

    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    asked = kube_api.api("POST", path, {**review, "spec": {"token": token, "audiences": ["vault"]}})
    other = kube_api.api("POST", path, {**review, "spec": {"token": token, "audiences": ["other"]}})

    assert asked["status"]["user"]["username"] == f"system:serviceaccount:{namespace}:app"
    assert not other["status"].get("authenticated", False)


def test_a_restart_keeps_the_data_and_the_address(kube_apiserver: KubeApiserver) -> None:
    """A client that outlives an outage finds the same objects at the same place."""
    namespace = kube_apiserver.create_namespace()

    with kube_apiserver.outage():
        unreachable = not kube_apiserver.api.answers("/readyz")

    assert unreachable
    assert kube_apiserver.api("GET", f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace


def test_a_watch_from_before_a_compaction_is_told_that_it_is_gone(kube_apiserver: KubeApiserver) -> None:
    """`expire_watches` makes the 410 that every watching client must survive."""
    namespace = kube_apiserver.create_namespace()
    path = f"/api/v1/namespaces/{namespace}/secrets"
    version = kube_apiserver.api("GET", path)["metadata"]["resourceVersion"]
    kube_apiserver.create_secret(namespace, "later", {"key": "value"})

    kube_apiserver.expire_watches()

    event = kube_apiserver.api("GET", f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=5")
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_watch_can_be_cut_by_a_proxy_in_between(kube_apiserver: KubeApiserver) -> None:
    """TLS passes through, so the official client watches as ever until the connection is dropped."""
    namespace = kube_apiserver.create_namespace()
    with TcpFaultProxy(("127.0.0.1", kube_apiserver.port)) as proxy:
        config = kube_apiserver.write_kubeconfig(
            "proxied", kube_apiserver.admin_token, url=f"https://{proxy.address}"
        )
        api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(config)))
        events = kubernetes.watch.Watch().stream(api.list_namespaced_secret, namespace, timeout_seconds=30)
        kube_apiserver.create_secret(namespace, "seen", {"key": "value"})
        seen = next(events)

        proxy.drop_connections()

        with pytest.raises(urllib3.exceptions.ProtocolError):
            next(events)
        api.api_client.close()

    assert (seen["type"], seen["object"].metadata.name) == ("ADDED", "seen")
