"""Manifests are strict, and an error names object, field and fix."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from eso_core.api.externalsecret import parse_external_secret
from eso_core.api.secrets import parse_secret
from eso_core.api.stores import parse_store
from provider_common.errors import InvalidSpecError

V2 = "secretstore.external-secrets.io/v2alpha1"


def store(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "apiVersion": V2,
        "kind": "SecretStore",
        "metadata": {"name": "main", "namespace": "team-a"},
        "spec": {
            "providerConfig": {
                "address": "p.default.svc:8080",
                "providerRef": {"kind": "Fake", "name": "values"},
            }
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return content


def external(spec: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "app", "namespace": "team-a", **metadata},
        "spec": yaml.safe_load(spec),
    }


def test_the_whole_of_a_store_is_understood() -> None:
    """Every field of the design, with its defaults."""
    content = yaml.safe_load(f"""
        apiVersion: {V2}
        kind: ClusterSecretStore
        metadata: {{name: shared, uid: u, generation: 3}}
        spec:
          refreshInterval: 1m
          controller: dev
          gatingPolicy: Disabled
          retrySettings: {{maxRetries: 0, retryInterval: 10s}}
          authenticationScope: ManifestNamespace
          conditions:
            - namespaceSelector: {{matchLabels: {{a: b}}, matchExpressions: [{{key: k, operator: In, values: [v]}}]}}
              namespaces: [one]
              namespaceRegexes: [two]
          providerConfig:
            address: provider-aws.external-secrets.svc:8080
            auth: {{clientCertificate: {{}}, serviceAccountRef: {{}}}}
            providerRef: {{apiVersion: provider.external-secrets.io/v2alpha1, kind: SecretsManager, name: main, namespace: ops}}
    """)
    parsed = parse_store(content)
    assert (parsed.kind, parsed.meta.namespace, parsed.meta.generation) == ("ClusterSecretStore", "", 3)
    assert parsed.provider_api_version == "provider.external-secrets.io/v2alpha1"
    assert parse_store(store()).provider_api_version == "provider.secretstore.external-secrets.io/v2alpha1"


STORES = [
    ("spec__providerConfig__address", "http+unix:///run/aws.sock", "spec.providerConfig.address: has to be host:port without a scheme"),
    ("spec__providerConfig__address", "https://aws:8080", "spec.providerConfig.address: has to be host:port without a scheme"),
    ("spec__providerConfig__address", "aws", "spec.providerConfig.address: has to be host:port"),
    ("spec__providerConfig__address", "aws:99999", "spec.providerConfig.address: has to be host:port"),
    ("spec__providerConfig__providerRef", {"name": "x"}, "spec.providerConfig.providerRef.kind: is required"),
    ("spec__providerConfig__providerRef__apiVersion", "v1", "spec.providerConfig.providerRef.apiVersion: "),
    ("spec__refreshInterval", "5", "spec.refreshInterval: '5' is not a duration: write it like 30s, 5m or 1h30m"),
    ("spec__gatingPolicy", "On", "spec.gatingPolicy: input should be 'Enabled' or 'Disabled'"),
    ("spec__retrySettings", {"maxRetries": -1}, "spec.retrySettings.maxRetries: "),
    ("spec__retrySettings", {"maxRetries": "3"}, "spec.retrySettings.maxRetries: input should be a valid integer"),
    ("spec__authenticationScope", "ManifestNamespace", "spec.authenticationScope: is not a field of this kind"),
    ("spec__provider", {}, "spec.provider: is not a field of this kind: remove it or correct its spelling"),
    ("spec__providerConfig__adress", "x:1", "spec.providerConfig.adress: is not a field of this kind"),
    ("metadata__annotations", {"eso-core.external-secrets.io/dialect": "go"}, "has to be secret-store or provider"),
    ("metadata__labels", {"a": 1}, "metadata.labels: the value of 'a' has to be text"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "said"), STORES, ids=[f"{path}={value}" for path, value, _ in STORES]
)
def test_a_wrong_store_is_refused_by_name_and_field(path: str, value: Any, said: str) -> None:
    """Whoever reads it knows what to correct."""
    with pytest.raises(InvalidSpecError) as raised:
        parse_store(store(**{path: value}))
    assert raised.value.message.startswith("SecretStore team-a/main: ")
    assert said in raised.value.message


def test_conditions_are_checked_when_they_are_read() -> None:
    """A pattern that can't work would otherwise be found when the first team uses the store."""
    content = store(kind="ClusterSecretStore", spec__conditions=[{"namespaceRegexes": ["("]}])
    with pytest.raises(
        InvalidSpecError, match=r"spec.conditions\[0\].namespaceRegexes\[0\]: is not an RE2 pattern"
    ):
        parse_store(content)


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ({"key": "a", "operator": "NotIn"}, "operator NotIn needs values"),
        ({"key": "a", "operator": "In", "values": []}, "operator In needs values"),
        ({"key": "a", "operator": "Exists", "values": ["b"]}, "operator Exists takes no values"),
    ],
    ids=["NotIn", "In", "Exists"],
)
def test_a_label_requirement_that_kubernetes_refuses_is_refused(requirement: Any, said: str) -> None:
    """`NotIn` nothing would open a cluster store to every namespace."""
    selector = {"namespaceSelector": {"matchExpressions": [requirement]}}
    with pytest.raises(InvalidSpecError, match=rf"matchExpressions\[0\]: values: {said}"):
        parse_store(store(kind="ClusterSecretStore", spec__conditions=[selector]))


SECRETS = [
    ("type", 5, "type: has to be text"),
    ("immutable", "no", "immutable: has to be true or false"),
    ("metadata__finalizers", "a/b", "metadata.finalizers: has to be a list of texts"),
    ("metadata__finalizers", [{}], "metadata.finalizers: has to be a list of texts"),
    ("metadata__ownerReferences", {"a": 1}, "metadata.ownerReferences: has to be a list"),
    ("metadata__ownerReferences", ["x"], "metadata.ownerReferences: each has to be a map"),
    ("metadata__ownerReferences", [{"controller": True}], "apiVersion, kind, name, uid have to be texts"),
    ("data", ["x"], "data: has to be a map"),
    ("data", {"a": "%"}, "data.a: is not base64"),
    ("stringData", {"a": 5}, "stringData.a: has to be text: put it in quotes"),
]


@pytest.mark.parametrize(("path", "value", "said"), SECRETS, ids=[f"{p}={v}" for p, v, _ in SECRETS])
def test_a_wrong_secret_is_refused_by_name_and_field(path: str, value: Any, said: str) -> None:
    """Also in parts that only a cluster would look at."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "n"},
    }
    place = content
    *parents, last = path.split("__")
    for parent in parents:
        place = place[parent]
    place[last] = value
    with pytest.raises(InvalidSpecError) as raised:
        parse_secret(content)
    assert raised.value.message.startswith("Secret n/s: ")
    assert said in raised.value.message


REF = f"secretStoreRef: {{apiVersion: {V2}, name: main}}\n"
ENTRY = "data: [{secretKey: a, remoteRef: {key: k}}]\n"
EXTERNALS = [
    (REF, "one of data and dataFrom has to be given"),
    (ENTRY, "data[0]: names no store: give secretStoreRef or sourceRef.storeRef"),
    (REF + ENTRY + "syncWindows: {}", "spec.syncWindows: is not supported by this core: remove it"),
    (REF + ENTRY + "target: {manifest: {kind: ConfigMap}}", "spec.target.manifest: is not supported by this core"),
    (REF + "data: [{secretKey: a, remoteRef: {key: k}, sourceRef: {generatorRef: {}}}]", "spec.data[0].sourceRef.generatorRef: is not supported"),
    (REF + ENTRY + "target: {creationPolicy: Merge, deletionPolicy: Delete}", "deletionPolicy Delete does not go with target.creationPolicy Merge"),
    (REF + ENTRY + "target: {creationPolicy: CreateOrMerge, deletionPolicy: Delete}", "deletionPolicy Delete does not go with target.creationPolicy CreateOrMerge"),
    (REF + ENTRY + "target: {creationPolicy: None, deletionPolicy: Delete}", "deletionPolicy Delete does not go with target.creationPolicy None"),
    (REF + ENTRY + "target: {creationPolicy: None, deletionPolicy: Merge}", "deletionPolicy Merge does not go with target.creationPolicy None"),
    (REF + "data: [{secretKey: a, remoteRef: {key: k}}, {secretKey: a, remoteRef: {key: l}}]", "secretKey 'a' is given more than once"),
    (REF + "dataFrom: [{extract: {key: k}, find: {}}]", "spec.dataFrom[0]: exactly one of extract, find and sourceRef.generatorRef"),
    (REF + "dataFrom: [{}]", "spec.dataFrom[0]: exactly one of extract, find and sourceRef.generatorRef"),
    (REF + "dataFrom: [{extract: {key: k}, rewrite: [{}]}]", "spec.dataFrom[0].rewrite[0]: exactly one of regexp, transform, merge"),
    (REF + "dataFrom: [{extract: {key: k}, rewrite: [{merge: {strategy: JSON}}]}]", "into is required with strategy JSON"),
    (REF + "data: [{secretKey: 'a b', remoteRef: {key: k}}]", "spec.data[0].secretKey: "),
    (REF + "data: [{secretKey: a, remoteRef: {key: ''}}]", "spec.data[0].remoteRef.key: "),
    (REF + "data: [{secretKey: a, remoteRef: {key: k, decodingStrategy: base64}}]", "spec.data[0].remoteRef.decodingStrategy: "),
    (REF + "data: [{secretKey: a, remoteRef: {key: k, keyy: x}}]", "spec.data[0].remoteRef.keyy: is not a field"),
    (REF + ENTRY + "refreshInterval: 1d", "spec.refreshInterval: '1d' is not a duration"),
    (REF + ENTRY + "refreshPolicy: Never", "spec.refreshPolicy: "),
    (REF + ENTRY + "target: {template: {engineVersion: v1}}", "spec.target.template.engineVersion: "),
    (REF + ENTRY + "target: {template: {templateFrom: [{}]}}", "exactly one of configMap, secret and literal has to be given"),
    (REF + ENTRY + "target: {template: {templateFrom: [{literal: x, target: spec}]}}", "spec.target.template.templateFrom[0].target: "),
    (REF + ENTRY + "target: {template: {type: kubernetes.io/service-account-token, templateFrom: [{literal: x, target: ANNOTATIONS}]}}", "kubernetes.io/service-account-token is not allowed"),
    (REF + "dataFrom: [{sourceRef: {}}]", "spec.dataFrom[0].sourceRef: exactly one of storeRef, generatorRef"),
    (REF + ENTRY + "target: {template: {type: bootstrap.kubernetes.io/token}}", "bootstrap.kubernetes.io/token is not allowed"),
    (REF + ENTRY + "target: {template: {type: kubernetes.io/service-account-token, metadata: {annotations: {kubernetes.io/service-account.name: x}}}}", "kubernetes.io/service-account-token is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "said"), EXTERNALS, ids=[said[:50] for _, said in EXTERNALS])
def test_a_wrong_external_secret_is_refused_by_name_and_field(spec: str, said: str) -> None:
    """What this core does not act on is refused, never ignored."""
    with pytest.raises(InvalidSpecError) as raised:
        parse_external_secret(external(spec))
    assert raised.value.message.startswith("ExternalSecret team-a/app: ")
    assert said in raised.value.message


@pytest.mark.parametrize("policy", ["Delete", "Merge"])
def test_a_key_given_twice_is_refused_only_where_all_entries_have_to_be_there(policy: str) -> None:
    """With the other policies, the second may be what takes the place of the first."""
    twice = "data: [{secretKey: a, remoteRef: {key: k}}, {secretKey: a, remoteRef: {key: l}}]\n"
    item = parse_external_secret(external(f"{REF}{twice}target: {{deletionPolicy: {policy}}}"))
    assert [entry.secret_key for entry in item.spec.data] == ["a", "a"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    """One round trip for three mistakes."""
    with pytest.raises(InvalidSpecError) as raised:
        parse_external_secret(external("target: {creationPolicy: Merge, deletionPolicy: Delete}"))
    assert "one of data and dataFrom" in raised.value.message
    assert "does not go with" in raised.value.message


def test_an_older_version_is_refused_with_the_one_to_write() -> None:
    """v1beta1 has other defaults."""
    content = external(REF + ENTRY) | {"apiVersion": "external-secrets.io/v1beta1"}
    with pytest.raises(
        InvalidSpecError, match=r"ExternalSecret team-a/app: apiVersion: write external-secrets\.io/v1"
    ):
        parse_external_secret(content)


def test_values_never_stand_in_an_error_or_a_repr() -> None:
    """A Secret that is written wrongly is still a Secret."""
    wrong = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"token": "canary!"}}
    with pytest.raises(InvalidSpecError) as raised:
        parse_secret(wrong)
    assert "Secret default/s: data.token: is not base64" in raised.value.message
    assert "canary" not in repr(raised.value.args)
    assert "canary" not in repr(parse_secret(wrong | {"data": None, "stringData": {"token": "canary!"}}))


def test_a_secret_survives_a_round_trip() -> None:
    """What is written is what is read."""
    content = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "s",
            "namespace": "n",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "finalizers": ["f/x"],
            "ownerReferences": [
                {
                    "apiVersion": "external-secrets.io/v1",
                    "kind": "ExternalSecret",
                    "name": "e",
                    "uid": "u",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "type": "kubernetes.io/tls",
        "immutable": True,
        "data": {"a": "AAEC/w==", "b": ""},
    }
    assert parse_secret(content).manifest() == content
