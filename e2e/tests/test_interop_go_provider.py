"""Our core over Go providers of both families, and, as a control, the same manifests over our provider.

A Go core prepares and removes the secrets, so both cores meet at one provider. What our core sent is read from the Go peer's
notes: the baseline without our extensions is all it knows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from eso_e2e.gopeer import GoPeer
from eso_e2e.interop import ADDRESS, HOST, STORE_SERVICE, GoCerts, go_certs, our_core, our_provider

pytestmark = pytest.mark.real

GROUP = "provider.external-secrets.io/v2alpha1"
GENERATORS = "generators.external-secrets.io/v1alpha1"
STORES = "secretstore.external-secrets.io/v2alpha1"
VALUES = {
    "plain": "v",
    "coded": "aGVsbG8=",
    "json": '{"user": "ann", "port": 5432}',
    "db-one": "1",
    "db-two": "2",
}
DIALECT = {"s": "secret-store", "p": "provider"}


@dataclass(frozen=True)
class Peer:
    """The provider that our core is to use."""

    dialect: Literal["s", "p"]
    address: str
    requests: Path

    def asked(self) -> list[dict[str, Any]]:
        """What a Go provider was asked by our core (it says its contract version; a Go core says none)."""
        lines = [json.loads(line) for line in self.requests.read_text().splitlines()]
        return [line for line in lines if "eso-contract-version" in line["metadata"]]


@dataclass
class Site:
    """Manifests for our core, and its output."""

    folder: Path
    output: Path
    certs: GoCerts
    peer: Peer
    go: GoPeer

    def write(self, name: str, *manifests: dict[str, Any]) -> None:
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump_all(manifests))

    def sync(self, *options: str) -> dict[str, dict[str, Any]]:
        """One pass. Gives the rows by "namespace/name"."""
        flags = ("--dialect", DIALECT[self.peer.dialect], *options)
        _, report = our_core(self.folder, self.output, self.certs.path, self.peer.address, *flags)
        assert report["problems"] == []
        return {f"{row['namespace']}/{row['name']}": row for row in report["externalSecrets"]}

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        file = self.output / "secrets" / namespace / f"{name}.yaml"
        if not file.exists():
            return None
        data = yaml.safe_load(file.read_text())["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def go_core(self, method: str, **body: Any) -> None:
        """A call by the Go core, which writes and removes what our core then finds."""
        kind = "SecretStore" if self.peer.dialect == "s" else "Provider"
        ref = {
            "apiVersion": GROUP,
            "kind": "Fake",
            "name": "values",
            "namespace": "team-a",
            "storeRefKind": kind,
        }
        request = {"providerRef": ref, "sourceNamespace": "team-a", **body}
        call = {"call": f"{STORE_SERVICE}/{method}", "request": request}
        report = self.go.run(self.peer.address, [call], **self.certs.client, server_name=HOST)
        assert report["steps"][0]["code"] == "OK", report

    def push(self, key: str, value: str) -> None:
        data = {"v": base64.b64encode(value.encode()).decode()}
        self.go_core("PushSecret", secretData=data, pushSecretData={"secretKey": "v", "remoteKey": key})

    def delete(self, key: str) -> None:
        self.go_core("DeleteSecret", remoteRef={"remoteKey": key})


def fake(namespace: str) -> dict[str, Any]:
    entries = [{"key": key, "value": value} for key, value in {**VALUES, "where": namespace}.items()]
    metadata = {"name": "values", "namespace": namespace}
    return {"apiVersion": GROUP, "kind": "Fake", "metadata": metadata, "spec": {"data": entries}}


def store(
    name: str, namespace: str = "", reference: str = "", fake_name: str = "values", **spec: Any
) -> dict[str, Any]:
    ref = {"apiVersion": GROUP, "kind": "Fake", "name": fake_name} | (
        {"namespace": reference} if reference else {}
    )
    return {
        "apiVersion": STORES,
        "kind": "SecretStore" if namespace else "ClusterSecretStore",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "spec": {"providerConfig": {"address": ADDRESS, "providerRef": ref}, **spec},
    }


def external(
    name: str,
    *,
    namespace: str = "team-a",
    of: str = "main",
    cluster: bool = False,
    policy: str = "Retain",
    **spec: Any,
) -> dict[str, Any]:
    kind = "ClusterSecretStore" if cluster else "SecretStore"
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"apiVersion": STORES, "kind": kind, "name": of},
            "target": {"deletionPolicy": policy},
            **spec,
        },
    }


def one(key: str, **ref: str) -> dict[str, Any]:
    return {"secretKey": "v", "remoteRef": {"key": key, **ref}}


def generator(api_version: str = GENERATORS) -> dict[str, Any]:
    ref = {"apiVersion": api_version, "kind": "Fake", "name": "count"}
    return {
        "apiVersion": "generator.external-secrets.io/v2alpha1",
        "kind": "Generator",
        "metadata": {"name": "count", "namespace": "team-a"},
        "spec": {"providerConfig": {"address": ADDRESS, "providerRef": ref}},
    }


FROM_GENERATOR = {
    "sourceRef": {
        "generatorRef": {
            "apiVersion": "generator.external-secrets.io/v2alpha1",
            "kind": "Generator",
            "name": "count",
        }
    }
}


@pytest.fixture(scope="module")
def certs(go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory) -> GoCerts:
    return go_certs(go_peer, tmp_path_factory.mktemp("interop"))


GO = pytest.mark.parametrize("peer", ["go-s", "go-p"], indirect=True)
EVERY = pytest.mark.parametrize("peer", ["go-s", "go-p", "ours-s", "ours-p"], indirect=True)


@pytest.fixture(scope="module")
def peer(
    request: pytest.FixtureRequest, certs: GoCerts, go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Peer]:
    """Each provider, over one Fake object for each namespace."""
    side, _, family = request.param.partition("-")
    dialect: Literal["s", "p"] = "s" if family == "s" else "p"
    folder = tmp_path_factory.mktemp("peer")
    fakes = [fake(namespace) for namespace in ("team-a", "team-b", "shared")]
    if side == "ours":
        manifests = folder / "manifests"
        manifests.mkdir()
        count = {
            "apiVersion": GENERATORS,
            "kind": "Fake",
            "metadata": {"name": "count", "namespace": "team-a"},
        }
        (manifests / "all.yaml").write_text(
            yaml.safe_dump_all([*fakes, {**count, "spec": {"data": {"number": "1"}}}])
        )
        with our_provider(manifests, certs.path, folder / "log") as running:
            yield Peer(dialect, running.address, folder / "none")
        return
    objects: list[dict[str, Any]] = [{"kind": "Fake", "name": "count", "namespace": "team-a"}]
    for item in fakes:
        secrets = {entry["key"]: entry["value"] for entry in item["spec"]["data"]}
        objects.append({"kind": "Fake", **item["metadata"], "secrets": secrets})
    file = folder / "objects.json"
    file.write_text(json.dumps({"credentials": ["team-a", "team-b", "shared"], "objects": objects}))
    notes = folder / "requests"
    with go_peer.serve(**certs.server, objects=file, dialect=dialect, requests=notes) as address:
        yield Peer(dialect, address, notes)


@pytest.fixture
def site(peer: Peer, certs: GoCerts, go_peer: GoPeer, tmp_path: Path) -> Site:
    """An empty folder with the namespaces and a store."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    made = Site(folder, tmp_path / "out", certs, peer, go_peer)
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in ("team-a", "team-b", "shared")
    ]
    made.write("stores", *namespaces, store("main", "team-a"))
    return made


@EVERY
def test_values_maps_and_finds_are_synced(site: Site) -> None:
    """Data by property and decoded, an extract and a find, each as the Go core would make it."""
    site.write(
        "all",
        external("data", data=[one("coded", decodingStrategy="Base64")]),
        external("property", data=[one("json", property="user")]),
        external("extract", dataFrom=[{"extract": {"key": "json"}}]),
        external("find", dataFrom=[{"find": {"name": {"regexp": "^db-"}}}]),
    )
    rows = site.sync()
    assert {row["reason"] for row in rows.values()} == {"SecretSynced"}, rows
    assert site.secret("team-a", "data") == {"v": "hello"}
    assert site.secret("team-a", "property") == {"v": "ann"}
    assert site.secret("team-a", "extract") == {"user": "ann", "port": "5432"}
    assert site.secret("team-a", "find") == {"db-one": "1", "db-two": "2"}


@EVERY
def test_cluster_stores_lead_to_the_same_object_in_every_family(site: Site) -> None:
    """ProviderNamespace leads to the object of the store's choice, ManifestNamespace to the caller's own."""
    site.write(
        "all",
        store("fixed", reference="shared", authenticationScope="ProviderNamespace"),
        store("callers", authenticationScope="ManifestNamespace"),
        *(
            external(name, namespace=namespace, of=name, cluster=True, data=[one("where")])
            for name in ("fixed", "callers")
            for namespace in ("team-a", "team-b")
        ),
    )
    rows = site.sync()
    assert {row["reason"] for row in rows.values()} == {"SecretSynced"}, rows
    found = {key: site.secret(*key.split("/")) for key in rows}
    assert found == {
        "team-a/fixed": {"v": "shared"},
        "team-b/fixed": {"v": "shared"},
        "team-a/callers": {"v": "team-a"},
        "team-b/callers": {"v": "team-b"},
    }


@EVERY
def test_deletion_policies_follow_what_the_backend_says(site: Site) -> None:
    """A secret vanishes from the backend: Delete removes the Secret, Retain fails and keeps it, Merge goes on with the rest.
    The one family says NOT_FOUND, the other UNKNOWN with a certain ending."""
    site.push("gone", "soon")
    both = [one("gone"), {"secretKey": "stays", "remoteRef": {"key": "plain"}}]
    site.write(
        "all",
        external("delete", policy="Delete", data=[one("gone")]),
        external("delete-map", policy="Delete", dataFrom=[{"extract": {"key": "gone-map"}}]),
        external("retain", data=[one("gone")]),
        external("rest", policy="Delete", data=both),
        external("merge", policy="Merge", data=both),
    )
    site.push("gone-map", '{"a": "1"}')
    before = site.sync()
    assert {row["reason"] for row in before.values()} == {"SecretSynced"}, before

    site.delete("gone")
    site.delete("gone-map")
    after = {name: row["reason"] for name, row in site.sync().items()}
    assert after == {
        "team-a/delete": "SecretDeleted",
        "team-a/delete-map": "SecretDeleted",
        "team-a/retain": "SecretSyncedError",
        "team-a/rest": "SecretSynced",
        "team-a/merge": "SecretSynced",
    }
    assert [site.secret("team-a", name) for name in ("delete", "delete-map")] == [None, None]
    assert site.secret("team-a", "retain") == {"v": "soon"}
    assert [site.secret("team-a", name) for name in ("rest", "merge")] == [{"stays": "v"}] * 2


@EVERY
def test_a_missing_object_is_never_taken_for_a_missing_secret(site: Site) -> None:
    """The user's Secret stays, also with deletionPolicy Delete, when the config object or its kind is what is missing."""
    site.write("all", external("kept", policy="Delete", data=[one("plain")]))
    assert site.sync()["team-a/kept"]["reason"] == "SecretSynced"
    for changed in (
        store("main", "team-a", fake_name="no-such", gatingPolicy="Disabled"),
        store("main", "team-a", fake_name="no-such"),
    ):
        site.write("stores", changed)
        row = site.sync()["team-a/kept"]
        assert row["reason"] == "SecretSyncedError"
        assert "no-such" in row["message"]
        assert site.secret("team-a", "kept") == {"v": "v"}


@EVERY
def test_a_generator_is_used(site: Site) -> None:
    """By its alias in the Go group, the only one that Go providers take."""
    site.write("generator", generator())
    site.write("all", external("made", dataFrom=[FROM_GENERATOR]))
    assert site.sync()["team-a/made"]["reason"] == "SecretSynced"
    first = site.secret("team-a", "made")
    assert first is not None
    assert first["number"].isdigit()


@GO
def test_what_a_generator_made_for_nothing_is_cleaned_up(site: Site) -> None:
    """A sync that fails undoes at once what it made, and one that is gone what it had made: by the same reference, with the state
    as it came, a JSON document."""
    site.write("generator", generator())
    site.write("all", external("made", dataFrom=[FROM_GENERATOR]))
    assert site.sync()["team-a/made"]["reason"] == "SecretSynced"
    first = site.secret("team-a", "made")
    assert first is not None
    assert site.sync("--refresh")["team-a/made"]["reason"] == "SecretSynced"
    assert site.secret("team-a", "made") == {"number": str(int(first["number"]) + 1)}

    site.write("all", external("failing", dataFrom=[FROM_GENERATOR], data=[one("no-such")]))
    assert site.sync()["team-a/failing"]["reason"] == "SecretSyncedError"
    calls = [note for note in site.peer.asked() if note["method"].startswith("/generator.v1.")]
    generate = [note for note in calls if note["method"].endswith("/Generate")][-1]
    cleanups = [note for note in calls if note["method"].endswith("/Cleanup")]
    assert {note["code"] for note in cleanups} == {"OK"}
    states = [json.loads(base64.b64decode(note["request"]["state"])) for note in cleanups]
    assert sorted(state["number"] - int(first["number"]) for state in states[-3:]) == [0, 1, 2]
    assert all(note["request"]["generatorRef"] == generate["request"]["generatorRef"] for note in cleanups)


@GO
def test_go_gets_nothing_but_the_baseline_it_expects(site: Site) -> None:
    """Every data call has a source namespace, every reference a group and a version, store kinds have the family's names. Our
    extensions go along and are not looked at."""
    site.write(
        "all",
        store("fixed", reference="shared", authenticationScope="ProviderNamespace"),
        store("callers", authenticationScope="ManifestNamespace"),
        external("own", data=[one("plain")]),
        external(
            "fixed", namespace="team-b", of="fixed", cluster=True, dataFrom=[{"extract": {"key": "json"}}]
        ),
        external(
            "callers",
            namespace="team-b",
            of="callers",
            cluster=True,
            dataFrom=[{"find": {"name": {"regexp": "x"}}}],
        ),
    )
    seen = len(site.peer.asked())
    site.sync()
    notes = site.peer.asked()[seen:]
    data = [note for note in notes if note["method"].rpartition("/")[2].startswith("Get")]
    names = {"s": {"SecretStore", "ClusterSecretStore"}, "p": {"Provider", "ClusterProvider"}}[
        site.peer.dialect
    ]

    assert {note["method"].rpartition("/")[2] for note in data} == {
        "GetSecret",
        "GetSecretMap",
        "GetAllSecrets",
    }
    for note in notes:
        assert note["request"]["providerRef"]["apiVersion"].count("/") == 1
        assert note["request"]["providerRef"]["storeRefKind"] in names
        assert note["unknown"] > 0, "no extension was sent"
    scopes = {note["method"].rpartition("/")[2]: note["request"] for note in data}
    assert scopes["GetSecret"]["sourceNamespace"] == "team-a"
    assert scopes["GetSecretMap"]["providerRef"]["namespace"] == "shared"
    # The older family knows the scope by the source namespace alone.
    assert scopes["GetSecretMap"]["sourceNamespace"] == ("team-b" if site.peer.dialect == "s" else "shared")
    assert scopes["GetAllSecrets"]["providerRef"].get("namespace", "team-b") == "team-b"
    assert scopes["GetAllSecrets"]["sourceNamespace"] == "team-b"
    for note in data:
        ref = note["request"].get("remoteRef") or note["request"]["find"]
        assert ref["decodingStrategy"] == "None"


@GO
def test_texts_of_go_reach_the_user(site: Site) -> None:
    """UNKNOWN with a free text, a backend's code that came along with an error, and a text of 20 KiB, which is more than grpc
    accepts by default: the user reads the provider's words, and nothing is taken for absence."""
    for name in ("denied", "leak", "long"):
        site.write(name, external(name, policy="Delete", data=[one(f"fault/{name}")]))
    rows = site.sync()
    assert {row["reason"] for row in rows.values()} == {"SecretSyncedError"}
    messages = {name: row["message"] for name, row in rows.items()}
    assert "failed to get secret: the backend refuses this secret" in messages["team-a/denied"]
    assert "the caller does not have permission" in messages["team-a/leak"]
    assert "failed to get secret: the backend tells its whole story" in messages["team-a/long"]
    assert len(messages["team-a/long"]) < 2000


@GO
def test_the_group_check_of_go_generators_reaches_the_user(site: Site) -> None:
    """Our own group of generators is unknown there; the text says which one is meant."""
    site.write("generator", generator("provider.generator.external-secrets.io/v2alpha1"))
    site.write("all", external("made", dataFrom=[FROM_GENERATOR]))
    row = site.sync()["team-a/made"]
    assert row["reason"] == "SecretSyncedError"
    assert "generatorRef may only reference the generators group" in row["message"]
