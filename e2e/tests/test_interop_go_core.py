"""A Go core over our provider: what the core of either dialect sends for each kind of store, and that it gets what it needs.

The requests are those that the Go cores make, sent by grpc-go. The same ones go to the grpc-go provider as a control: what we
do otherwise than Go's servers stands in `Row.ours`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eso_e2e.gopeer import GoPeer
from eso_e2e.interop import HOST, STORE_SERVICE, GoCerts, RunningProvider, go_certs, our_provider

pytestmark = pytest.mark.real

GROUP = "provider.external-secrets.io/v2alpha1"
NAMESPACES = ("team-a", "team-b", "shared")
DOCUMENT = '{"user": "ann", "port": 5432, "a.b": "dotted", "none": null, "list": [1, "x"]}'


@dataclass(frozen=True)
class Row:
    """What one kind of store makes a Go core send. None for `validate` or `capabilities`: that call is never made."""

    name: str
    dialect: str
    kind: str
    namespace: str
    source: str
    validate: str | None
    capabilities: str | None
    config: str
    """Where the config object has to be read."""
    ours: str = "OK"
    """PermissionDenied where we refuse what Go's servers allow: a namespaced store that leaves its namespace."""


ROWS = (
    Row("SecretStore", "s", "SecretStore", "team-a", "team-a", "team-a", "team-a", "team-a"),
    Row(
        "SecretStore-elsewhere", "s", "SecretStore", "shared", "team-a", "team-a", "team-a", "shared", "PermissionDenied"
    ),
    Row("ClusterSecretStore-named-a", "s", "ClusterSecretStore", "shared", "team-a", "", "", "shared"),
    Row("ClusterSecretStore-named-b", "s", "ClusterSecretStore", "shared", "team-b", "", "", "shared"),
    Row("ClusterSecretStore-callers-a", "s", "ClusterSecretStore", "team-a", "team-a", None, None, "team-a"),
    Row("ClusterSecretStore-callers-b", "s", "ClusterSecretStore", "team-b", "team-b", None, None, "team-b"),
    Row("Provider", "p", "Provider", "", "team-a", "team-a", "team-a", "team-a"),
    Row("Provider-own", "p", "Provider", "team-a", "team-a", "team-a", "team-a", "team-a"),
    Row("Provider-elsewhere", "p", "Provider", "shared", "team-a", "team-a", "team-a", "shared", "PermissionDenied"),
    Row("ClusterProvider-ProviderNamespace", "p", "ClusterProvider", "shared", "shared", None, "", "shared"),
    Row("ClusterProvider-ManifestNamespace-a", "p", "ClusterProvider", "", "team-a", None, "", "team-a"),
    Row("ClusterProvider-ManifestNamespace-b", "p", "ClusterProvider", "", "team-b", None, "", "team-b"),
    Row("ClusterProvider-ManifestNamespace-named", "p", "ClusterProvider", "shared", "team-b", None, "", "shared"),
)  # fmt: skip


def fake(namespace: str) -> dict[str, Any]:
    """The Fake object of a namespace; its secret `where` tells which one it is."""
    values = {"where": namespace, "json": DOCUMENT, "db-one": "1", "db-two": "2"}
    return {
        "apiVersion": GROUP,
        "kind": "Fake",
        "metadata": {"name": "values", "namespace": namespace},
        "spec": {"data": [{"key": key, "value": value} for key, value in values.items()]},
    }


@pytest.fixture(scope="module")
def certs(go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory) -> GoCerts:
    return go_certs(go_peer, tmp_path_factory.mktemp("interop"))


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manifests")
    for namespace in NAMESPACES:
        (folder / f"{namespace}.yaml").write_text(json.dumps(fake(namespace)))
    return folder


@pytest.fixture(scope="module")
def ours(
    manifests: Path, certs: GoCerts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProvider]:
    with our_provider(manifests, certs.path, tmp_path_factory.mktemp("log") / "log") as provider:
        yield provider


@pytest.fixture(scope="module")
def servers(
    ours: RunningProvider, certs: GoCerts, go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Addresses: of our provider, and of the Go peer in both dialects, over the same objects."""
    objects = []
    for namespace in NAMESPACES:
        secrets = {entry["key"]: entry["value"] for entry in fake(namespace)["spec"]["data"]}
        objects.append({"kind": "Fake", "name": "values", "namespace": namespace, "secrets": secrets})
    file = tmp_path_factory.mktemp("objects") / "objects.json"
    file.write_text(json.dumps({"credentials": NAMESPACES, "objects": objects}))
    with (
        go_peer.serve(**certs.server, objects=file, dialect="s") as s,
        go_peer.serve(**certs.server, objects=file, dialect="p") as p,
    ):
        yield {"ours": ours.address, "s": s, "p": p}


def reference(row: Row, **changes: str) -> dict[str, str]:
    ref = {"apiVersion": GROUP, "kind": "Fake", "name": "values", "storeRefKind": row.kind}
    return ref | ({"namespace": row.namespace} if row.namespace else {}) | changes


class Script:
    """The calls of a core for one store, and their answers by the name that each was given."""

    def __init__(self, row: Row, **changes: str) -> None:
        self.row = row
        self.reference = reference(row, **changes)
        self.steps: list[dict[str, Any]] = []
        self.names: list[str] = []

    def add(self, name: str, method: str, source: str | None = None, **body: Any) -> None:
        namespace = self.row.source if source is None else source
        request = {"providerRef": self.reference, "sourceNamespace": namespace, **body}
        self.steps.append({"call": f"{STORE_SERVICE}/{method}", "request": request})
        self.names.append(name)

    def get(self, name: str, key: str, member: str = "", method: str = "GetSecret") -> None:
        strategies = {"decodingStrategy": "None", "metadataPolicy": "None"}
        self.add(name, method, remoteRef={"key": key, "property": member, **strategies})

    def find(self, name: str, pattern: str) -> None:
        strategies = {"conversionStrategy": "Default", "decodingStrategy": "None"}
        self.add(name, "GetAllSecrets", find={"name": {"regexp": pattern}, **strategies})

    def push(self, name: str, remote_key: str, secret_key: str) -> None:
        """The whole Secret goes along with every push."""
        self.add(
            name,
            "PushSecret",
            secretData={"password": encoded("p<1>"), "user": encoded("bob")},
            pushSecretData={"secretKey": secret_key, "remoteKey": remote_key},
            secretType="Opaque",
            secretLabels={"app": "web"},
            secretAnnotations={"owner": "a"},
        )

    def run(self, peer: GoPeer, address: str, certs: GoCerts) -> dict[str, dict[str, Any]]:
        report = peer.run(address, self.steps, **certs.client, server_name=HOST)
        assert report["dials"] == 1
        return dict(zip(self.names, report["steps"], strict=True))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def value(step: dict[str, Any]) -> str:
    assert step["code"] == "OK", step
    return base64.b64decode(step["response"].get("value", "")).decode()


def entries(step: dict[str, Any]) -> dict[str, str]:
    assert step["code"] == "OK", step
    found = step["response"].get("secrets", {})
    return {key: base64.b64decode(text).decode() for key, text in found.items()}


def data_calls(row: Row) -> Script:
    """Everything a core may ask of a store with data in it."""
    script = Script(row)
    remote = f"pushed-{row.name}"
    for name, key, member in (
        ("whole", "where", ""), ("user", "json", "user"), ("port", "json", "port"), ("dotted", "json", "a.b"),
        ("null", "json", "none"), ("list", "json", "list"), ("absent", "no-such", ""),
    ):  # fmt: skip
        script.get(name, key, member)
    script.get("map", "json", method="GetSecretMap")
    script.get("absent-map", "no-such", method="GetSecretMap")
    script.find("found", "^db-")
    script.find("nothing", "^no-such")
    script.push("push", remote, "password")
    script.get("pushed", remote)
    script.add("exists", "SecretExists", remoteRef={"remoteKey": remote})
    script.push("push-whole", remote, "")
    script.get("pushed-whole", remote)
    for name in ("delete", "delete-again"):
        script.add(name, "DeleteSecret", remoteRef={"remoteKey": remote})
    script.add("gone", "SecretExists", remoteRef={"remoteKey": remote})
    script.get("deleted", remote)
    return script


@pytest.mark.parametrize("side", ["ours", "go"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.dialect}-{row.name}")
def test_a_go_core_gets_what_each_kind_of_store_has(
    row: Row, side: str, servers: dict[str, str], certs: GoCerts, go_peer: GoPeer
) -> None:
    """All data calls, by the reference and the namespaces of that store, on one connection."""
    address = servers["ours"] if side == "ours" else servers[row.dialect]
    done = data_calls(row).run(go_peer, address, certs)

    if side == "ours" and row.ours != "OK":
        assert {step["code"] for step in done.values()} == {row.ours}
        assert all("'shared'" in step["message"] and "'team-a'" in step["message"] for step in done.values())
        return
    texts = {
        name: value(done[name]) for name in ("whole", "user", "port", "dotted", "null", "list", "pushed")
    }
    assert texts == {
        "whole": row.config, "user": "ann", "port": "5432", "dotted": "dotted", "null": "", "list": '[1, "x"]',
        "pushed": "p<1>",
    }  # fmt: skip
    assert entries(done["map"]) == {
        "user": "ann", "port": "5432", "a.b": "dotted", "none": "", "list": '[1, "x"]'
    }  # fmt: skip
    assert entries(done["found"]) == {"db-one": "1", "db-two": "2"}
    assert entries(done["nothing"]) == {}
    assert value(done["pushed-whole"]) == '{"password":"p<1>","user":"bob"}'
    assert [done[name]["code"] for name in ("push", "push-whole", "delete", "delete-again")] == ["OK"] * 4
    assert done["exists"]["response"] == {"exists": True}
    assert (done["gone"]["code"], done["gone"]["response"]) == ("OK", {})
    # The newer core takes NOT_FOUND for "no such secret"; the older one knows no such thing, and any error does.
    absent = "Unknown" if side == "go" and row.dialect == "p" else "NotFound"
    assert {done[name]["code"] for name in ("absent", "absent-map", "deleted")} == {absent}


def test_the_metadata_of_a_push_is_taken_in_the_form_of_the_go_backends(
    ours: RunningProvider, certs: GoCerts, go_peer: GoPeer
) -> None:
    """PushSecretMetadata goes through the core as it was written. The Fake has nothing to set: an empty spec is fine, and an
    option is named rather than ignored."""
    script = Script(ROWS[0])
    for name, spec in (("nothing", {}), ("option", {"mergePolicy": "Replace"})):
        metadata = {
            "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
            "kind": "PushSecretMetadata",
            "spec": spec,
        }
        script.push(name, "with-metadata", "user")
        script.steps[-1]["request"]["pushSecretData"]["metadata"] = encoded(json.dumps(metadata))
    script.add("clean", "DeleteSecret", remoteRef={"remoteKey": "with-metadata"})
    done = script.run(go_peer, ours.address, certs)
    assert [done[name]["code"] for name in ("nothing", "option", "clean")] == ["OK", "InvalidArgument", "OK"]
    assert "mergePolicy" in done["option"]["message"]


@pytest.mark.parametrize("side", ["ours", "go"])
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.capabilities is not None], ids=lambda row: f"{row.dialect}-{row.name}"
)
def test_a_go_core_finds_the_store_ready(
    row: Row, side: str, servers: dict[str, str], certs: GoCerts, go_peer: GoPeer
) -> None:
    """Validate and Capabilities as its store controller calls them, with an empty source namespace for cluster stores. A core
    of the newer dialect never sets a store Ready when Capabilities fails."""
    address = servers["ours"] if side == "ours" else servers[row.dialect]
    script = Script(row)
    script.add("capabilities", "Capabilities", source=row.capabilities)
    if row.validate is not None:
        script.add("validate", "Validate", source=row.validate)
    done = script.run(go_peer, address, certs)

    assert done["capabilities"]["response"] == {"capabilities": "READ_WRITE"}
    if "validate" in done and side == "ours" and row.ours != "OK":
        assert done["validate"]["code"] == row.ours
    elif "validate" in done:
        assert done["validate"]["response"] == {"valid": True}


@pytest.mark.parametrize("side", ["ours", "go"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.dialect}-{row.name}")
def test_what_is_not_a_missing_secret_is_never_said_to_be_one(
    row: Row, side: str, servers: dict[str, str], certs: GoCerts, go_peer: GoPeer
) -> None:
    """With deletionPolicy Delete a core removes the user's Secret on NOT_FOUND, so a missing config object, an unknown kind, a
    wrong apiVersion, a missing namespace or reference are anything but that; and none of them is OK."""
    address = servers["ours"] if side == "ours" else servers[row.dialect]
    for changes in (
        {"name": "no-such"},
        {"kind": "NoSuch"},
        {"apiVersion": "v1"},
        {"apiVersion": "a/b/c"},
        {"kind": ""},
    ):
        done = data_calls_of(row, **changes).run(go_peer, address, certs)
        codes = {name: step["code"] for name, step in done.items()}
        assert not {"OK", "NotFound", "Internal"} & set(codes.values()), (changes, codes)
        assert all(step["message"] for step in done.values())


def data_calls_of(row: Row, **changes: str) -> Script:
    script = data_calls(row)
    script.reference.update(changes)
    return script


@pytest.mark.parametrize("side", ["ours", "go"])
def test_bad_requests_are_refused_in_words(
    side: str, servers: dict[str, str], certs: GoCerts, go_peer: GoPeer
) -> None:
    """No body, no source namespace, no reference: each an error with a text, and the connection goes on. Validate and
    Capabilities need no source namespace."""
    row = ROWS[0]
    script = Script(row)
    for method in (
        "GetSecret",
        "GetSecretMap",
        "GetAllSecrets",
        "PushSecret",
        "DeleteSecret",
        "SecretExists",
    ):
        script.add(f"{method} without body", method)
        body: dict[str, Any] = {"remoteRef": {"key": "where"}}
        if method == "GetAllSecrets":
            body = {"find": {"name": {"regexp": ""}}}
        elif method == "PushSecret":
            body = {"pushSecretData": {"remoteKey": "k", "secretKey": "a"}, "secretData": {"a": ""}}
        elif method in {"DeleteSecret", "SecretExists"}:
            body = {"remoteRef": {"remoteKey": "k"}}
        script.add(f"{method} without namespace", method, source="", **body)
        script.add(f"{method} without reference", method, **body)
        script.steps[-1]["request"].pop("providerRef")
    done = script.run(go_peer, servers["ours"] if side == "ours" else servers["s"], certs)

    assert {step["code"] for step in done.values()} == {"InvalidArgument" if side == "ours" else "Unknown"}
    for name, step in done.items():
        if name.endswith("without namespace"):
            assert "namespace is required" in step["message"] or "source_namespace" in step["message"]


def test_the_health_of_a_provider_class_is_serving(
    ours: RunningProvider, certs: GoCerts, go_peer: GoPeer
) -> None:
    """The ProviderClass controllers check health by the empty name, on a fresh connection without pings."""
    report = go_peer.run(
        ours.address,
        [{"call": "/grpc.health.v1.Health/Check", "request": {"service": ""}}],
        **certs.client,
        server_name=HOST,
        ping_seconds=0,
    )
    assert report["steps"][0]["response"] == {"status": "SERVING"}


@pytest.mark.parametrize("name", ["provider-contrib", "provider-contrib.external-secrets.svc.cluster.local"])
def test_every_name_of_the_service_is_verified(
    name: str, ours: RunningProvider, certs: GoCerts, go_peer: GoPeer
) -> None:
    """grpc-go checks the dialed host against the alternative names alone, as crypto/tls does."""
    health = [{"call": "/grpc.health.v1.Health/Check"}]
    report = go_peer.run(ours.address, health, **certs.client, server_name=name)
    assert report["steps"][0]["code"] == "OK"


def test_a_thousand_calls_go_through_one_connection(
    ours: RunningProvider, certs: GoCerts, go_peer: GoPeer
) -> None:
    """The pool keeps one connection for an address and its material; metrics count every call under the names that the Go
    provider has."""
    path = f"{STORE_SERVICE}/GetSecret"
    counted = f'grpc_server_requests_total{{method="{path}",status="success"}}'
    before = ours.sample(counted)
    request = {"remoteRef": {"key": "where"}, "providerRef": reference(ROWS[0]), "sourceNamespace": "team-a"}
    with go_peer.load(
        ours.address, path, request, tls_dir=certs.path, server_name=HOST, workers=8, calls=1000
    ) as load:
        report = load.end()
    assert (report["calls"], report["dials"], report["materials"]) == ({"OK": 1000}, 1, 1)
    assert ours.sample(counted) - before == 1000


@pytest.mark.slow
def test_a_thousand_calls_go_through_a_thousand_connections(
    ours: RunningProvider, certs: GoCerts, go_peer: GoPeer
) -> None:
    """The older core connects anew for each reconcile of a store."""
    request = {"remoteRef": {"key": "where"}, "providerRef": reference(ROWS[0]), "sourceNamespace": "team-a"}
    with go_peer.load(
        ours.address, f"{STORE_SERVICE}/GetSecret", request, tls_dir=certs.path, server_name=HOST, calls=1000,
        shared=False,
    ) as load:  # fmt: skip
        report = load.end(timeout=240)
    assert (report["calls"], report["dials"]) == ({"OK": 1000}, 1000)


def test_metrics_have_the_names_of_the_go_provider(
    ours: RunningProvider, servers: dict[str, str], certs: GoCerts, go_peer: GoPeer
) -> None:
    """Dashboards made for Go providers go on working: names, labels, buckets; health calls are counted too."""
    script = Script(ROWS[0])
    script.get("absent", "no-such")
    script.run(go_peer, servers["ours"], certs)
    go_peer.run(ours.address, [{"call": "/grpc.health.v1.Health/Check"}], **certs.client, server_name=HOST)
    status, text = ours.get("/metrics")
    method = f"{STORE_SERVICE}/GetSecret"

    assert status == 200
    assert ours.sample(f'grpc_server_requests_total{{method="{method}",status="error"}}') >= 1
    assert (
        ours.sample('grpc_server_requests_total{method="/grpc.health.v1.Health/Check",status="success"}') >= 1
    )
    buckets = [
        line.partition('le="')[2].partition('"')[0]
        for line in text.splitlines()
        if line.startswith("grpc_server_request_duration_seconds_bucket{") and f'method="{method}"' in line
    ]
    assert buckets == ["0.01", "0.05", "0.1", "0.5", "1", "2", "5", "10", "30", "+Inf"]
    assert ours.get("/healthz") == (200, "ok")
