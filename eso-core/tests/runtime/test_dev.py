"""`eso-core dev` as it is used: a real process, real providers as its children, real mutual TLS."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]


def eventually(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What `condition` returns as soon as it is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not so within {seconds} s")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_the_quickstart_is_synced(core: Any, folder: Any) -> None:
    """Every ExternalSecret; and a second run keeps the password that the first one made."""
    first = core("dev", REPOSITORY / "examples" / "quickstart", "--output", folder.output)
    assert first.status == 0, first.out + first.err
    assert first.err == "starting provider-contrib, provider-password\n"
    rows = [line.split()[:3] for line in first.out.splitlines()[1:] if line.startswith("team-")]
    assert rows == [
        ["team-a", "admin-password", "SecretSynced"],
        ["team-a", "app", "SecretSynced"],
        ["team-a", "database", "SecretSynced"],
        ["team-a", "database-url", "SecretSynced"],
        ["team-a", "registry", "SecretSynced"],
        ["team-b", "registry", "SecretSynced"],
    ]
    password = folder.secret(name="admin-password").data
    assert set(folder.secret(name="app").data) == {"api-key", "webhook-url"}
    assert folder.secret(name="database-url").data["url"].startswith(b"postgresql://app:")
    docker = json.loads(folder.secret("team-b", "registry").data[".dockerconfigjson"])
    assert base64.b64decode(docker["auths"]["registry.example.com"]["auth"]).startswith(b"puller:")

    second = core("dev", REPOSITORY / "examples" / "quickstart", "--output", folder.output, "--json")
    assert json.loads(second.out)["ok"] is True
    assert folder.secret(name="admin-password").data == password


def test_what_is_not_synced_makes_the_exit_status(core: Any, folder: Any) -> None:
    """A missing secret, a denied namespace, a kind that nobody serves, a broken object: each with its reason."""
    cluster = (
        folder.store.replace("kind: SecretStore", "kind: ClusterSecretStore")
        .replace(
            ", namespace: team-a}\nspec:\n  prov",
            "}\nspec:\n  conditions: [{namespaces: [team-b]}]\n  prov",
            1,
        )
        .replace("name: values}", "name: values, namespace: team-a}", 1)
    )
    cluster = cluster.partition("---")[0]
    folder.write(
        "stores.yaml",
        folder.store,
        cluster,
        folder.store.partition("---")[0]
        .replace("name: main", "name: nobody")
        .replace("kind: Fake", "kind: Nobody")
        .replace("contrib", "nobody"),
    )
    folder.write("es.yaml", folder.external)
    folder.write(
        "missing.yaml", folder.external.replace("name: app", "name: missing").replace("key: k", "key: gone")
    )
    folder.write(
        "denied.yaml",
        folder.external.replace("name: app", "name: denied").replace(
            "kind: SecretStore", "kind: ClusterSecretStore"
        ),
    )
    folder.write(
        "nobody.yaml",
        folder.external.replace("name: app", "name: nobody").replace("name: main", "name: nobody"),
    )
    ended = core("dev", folder.path, "--output", folder.output, "--json")
    rows = {row["name"]: row for row in json.loads(ended.out)["externalSecrets"]}
    assert ended.status == 1
    assert rows["app"]["ready"] is True
    assert "Secret does not exist: 'gone'" in rows["missing"]["message"]
    assert (
        "is not allowed from namespace 'team-a': denied by its spec.conditions" in rows["denied"]["message"]
    )
    assert "no installed provider serves" in rows["nobody"]["message"]
    assert [row["name"] for row in rows.values() if row["ready"]] == ["app"]


SCOPES = """
apiVersion: secretstore.external-secrets.io/v2alpha1
kind: ClusterSecretStore
metadata: {name: per-namespace}
spec:
  authenticationScope: ManifestNamespace
  providerConfig:
    address: provider-contrib.default.svc:8080
    providerRef: {kind: Fake, name: values}
---
apiVersion: secretstore.external-secrets.io/v2alpha1
kind: ClusterSecretStore
metadata: {name: other-family, annotations: {eso-core.external-secrets.io/dialect: provider}}
spec:
  providerConfig:
    address: provider-contrib.default.svc:8080
    providerRef: {apiVersion: provider.external-secrets.io/v2alpha1, kind: Fake, name: aliased, namespace: platform}
---
apiVersion: provider.external-secrets.io/v2alpha1
kind: Fake
metadata: {name: aliased, namespace: platform}
spec: {data: [{key: k, value: aliased}]}
---
apiVersion: provider.secretstore.external-secrets.io/v2alpha1
kind: Fake
metadata: {name: values, namespace: team-b}
spec: {data: [{key: k, value: of-team-b}]}
---
apiVersion: generator.external-secrets.io/v2alpha1
kind: ClusterGenerator
metadata: {name: ids}
spec:
  authenticationNamespace: ManifestReference
  providerConfig:
    address: provider-password.default.svc:8080
    providerRef: {kind: UUID, name: ids, namespace: platform}
---
apiVersion: provider.generator.external-secrets.io/v2alpha1
kind: UUID
metadata: {name: ids, namespace: platform}
spec: {}
"""


def test_cluster_kinds_of_every_scope_are_understood_by_real_providers(core: Any, folder: Any) -> None:
    """An object per caller, an alias of the other family, a generator's object elsewhere."""
    folder.write("scopes.yaml", folder.store, SCOPES)
    for namespace in ("team-a", "team-b"):
        for name in ("per-namespace", "other-family"):
            text = folder.external.replace(
                "name: app, namespace: team-a", f"name: {name}, namespace: {namespace}"
            )
            text = text.replace("kind: SecretStore, name: main", f"kind: ClusterSecretStore, name: {name}")
            folder.write(f"{namespace}-{name}.yaml", text)
        text = folder.generated.replace(
            "name: token, namespace: team-a", f"name: ids, namespace: {namespace}"
        )
        folder.write(
            f"{namespace}-ids.yaml",
            text.replace("kind: Generator, name: token", "kind: ClusterGenerator, name: ids"),
        )
    ended = core("dev", folder.path, "--output", folder.output)
    assert ended.status == 0, ended.out
    assert folder.secret("team-a", "per-namespace").data == {"v": b"from-fake"}
    assert folder.secret("team-b", "per-namespace").data == {"v": b"of-team-b"}
    assert folder.secret("team-b", "other-family").data == {"v": b"aliased"}
    assert folder.secret("team-a", "ids").data != folder.secret("team-b", "ids").data


FAULTS = {
    "major": (
        "contractVersion: '2.0'",
        "speaks version 2.0 of the contract and this core 1.1: upgrade the core",
    ),
    "limited": ("status: RESOURCE_EXHAUSTED, message: slow down, retryAfterMilliseconds: 5000", "slow down"),
    "large": ("answerBytes: 5000000", "more than the 4194304 that a core accepts"),
    "away": ("status: UNAVAILABLE, message: backend away", "backend away"),
    "absent": ("status: NOT_FOUND, message: gone", "gone"),
}


def test_what_a_provider_does_wrong_is_told(core: Any, folder: Any) -> None:
    """Faults of a real provider, over the wire: a row for each, with the reason; and a Secret of before stays."""
    for name in FAULTS:
        store = folder.store.replace("name: main", f"name: {name}").replace("name: values", f"name: {name}")
        external = folder.external.replace("name: app", f"name: {name}").replace(
            "name: main", f"name: {name}"
        )
        folder.write(f"{name}.yaml", store, external)
    assert core("dev", folder.path, "--output", folder.output).status == 0
    for name, (fault, _said) in FAULTS.items():
        path = folder.path / f"{name}.yaml"
        path.write_text(
            path.read_text().replace(
                "data: [{key", f"faults: [{{methods: [GetSecret], {fault}}}], data: [{{key"
            )
        )
    ended = core("dev", folder.path, "--output", folder.output, "--json")
    rows = {row["name"]: row for row in json.loads(ended.out)["externalSecrets"]}
    assert ended.status == 1
    for name, (_fault, said) in FAULTS.items():
        assert rows[name]["reason"] == "SecretSyncedError"
        assert said in rows[name]["message"]
        assert folder.secret(name=name).data == {"v": b"from-fake"}


def test_a_provider_object_that_is_wrong_is_told_by_its_provider(core: Any, folder: Any) -> None:
    """Through Validate, with object and field; gating keeps the calls away."""
    folder.write("a.yaml", folder.store.replace("value: from-fake", "valu: x"), folder.external)
    ended = core("dev", folder.path, "--output", folder.output, "--json")
    (row,) = json.loads(ended.out)["externalSecrets"]
    assert ended.status == 1
    assert "SecretStore team-a/main is not ready" in row["message"]
    assert "valu" in row["message"]


@pytest.fixture
def watching(start: Any, folder: Any) -> Any:
    """A core that watches a folder; its first pass is over."""
    folder.write("a.yaml", folder.store, folder.external, folder.generator, folder.generated)
    process = start("eso_core", "dev", folder.path, "--output", folder.output, "--watch", "--json")
    assert json.loads(process.stdout.readline())["ok"] is True
    return process


def test_a_change_is_taken_up(watching: Any, folder: Any) -> None:
    """Without a restart, without touching what was generated; a new ExternalSecret too, and one that is gone."""
    token = folder.secret(name="token").data
    folder.write(
        "a.yaml",
        folder.store.replace("from-fake", "changed"),
        folder.external,
        folder.generator,
        folder.generated,
    )
    report = json.loads(watching.stdout.readline())
    assert report["ok"] is True
    eventually(lambda: folder.secret().data == {"v": b"changed"})
    folder.write("b.yaml", folder.external.replace("name: app", "name: more"))
    assert {row["name"] for row in json.loads(watching.stdout.readline())["externalSecrets"]} == {
        "app",
        "more",
        "token",
    }
    (folder.path / "b.yaml").unlink()
    json.loads(watching.stdout.readline())
    assert folder.secret(name="more") is None
    assert folder.secret(name="token").data == token


@pytest.mark.parametrize("how", ["removed", "edited", "removed with the whole output"])
def test_a_secret_that_was_touched_is_made_again_at_once(watching: Any, folder: Any, how: str) -> None:
    """As in a cluster, where the core watches the Secrets that it made."""
    path = folder.output / "secrets" / "team-a" / "app.yaml"
    match how:
        case "removed":
            path.unlink()
        case "edited":
            path.write_text(path.read_text().replace(base64.b64encode(b"from-fake").decode(), "eA=="))
        case _:
            shutil.rmtree(folder.output)
    assert json.loads(watching.stdout.readline())["ok"] is True
    assert folder.secret().data == {"v": b"from-fake"}


def test_what_is_due_is_synced_without_a_change(start: Any, folder: Any) -> None:
    """By refreshInterval: a generated value is then a new one."""
    folder.write("a.yaml", folder.generator, folder.generated.replace("1h", "1s"))
    process = start("eso_core", "dev", folder.path, "--output", folder.output, "--watch", "--json")
    assert json.loads(process.stdout.readline())["ok"] is True
    first = folder.secret(name="token").data
    assert json.loads(process.stdout.readline())["ok"] is True
    eventually(lambda: folder.secret(name="token").data != first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_is_orderly(watching: Any, folder: Any, number: int) -> None:
    """Status 0 after a good last pass, children gone, nothing half written."""
    children = children_of(watching.pid)
    assert len(children) == 2
    watching.send_signal(number)
    _out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert "Traceback" not in err
    eventually(lambda: not any(map(alive, children)))
    assert list(folder.output.rglob("*.tmp")) == []


def test_an_interruption_does_not_wait_for_a_provider_that_hangs(start: Any, folder: Any) -> None:
    """Status 130 long before the call's 30 s, what was written is whole, and the child is gone."""
    hangs = folder.store.replace("data: [", "faults: [{methods: [GetSecret], hang: true}], data: [")
    folder.write("a.yaml", hangs, folder.external)
    process = start("eso_core", "dev", folder.path, "--output", folder.output)
    assert process.stderr.readline().startswith("starting provider-contrib")
    (child,) = eventually(lambda: children_of(process.pid))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=25)
    assert (process.returncode, out) == (130, "")
    assert "interrupted: what was written is complete" in err
    assert "Traceback" not in err
    eventually(lambda: not alive(child))
    assert list(folder.output.rglob("*.tmp")) == []


def test_a_killed_run_leaves_whole_files_and_is_taken_up_again(start: Any, core: Any, folder: Any) -> None:
    """Nothing could be tidied up: what is there has to be good, and the next run does the rest."""
    slow = folder.store.replace(
        "data: [", "faults: [{methods: [GetSecret], latencyMilliseconds: 30}], data: ["
    )
    externals = [folder.external.replace("name: app", f"name: app-{number:03d}") for number in range(120)]
    folder.write("a.yaml", slow, *externals)
    process = start("eso_core", "dev", folder.path, "--output", folder.output)
    written = folder.output / "secrets" / "team-a"
    eventually(lambda: written.is_dir() and len(list(written.glob("*.yaml"))) > 10)
    process.kill()
    process.wait()
    found = sorted(path.stem for path in written.glob("*.yaml"))
    assert [folder.secret(name=name).data for name in found] == [{"v": b"from-fake"}] * len(found)

    ended = core("dev", folder.path, "--output", folder.output, "--json")

    assert json.loads(ended.out)["ok"] is True, ended.err
    assert len(list(written.glob("*.yaml"))) == len(externals)
    assert list(folder.output.rglob("*.tmp")) == []


def test_children_end_with_a_core_that_is_killed(watching: Any) -> None:
    """Nobody is left to stop them."""
    children = children_of(watching.pid)
    watching.kill()
    watching.wait()
    eventually(lambda: not any(map(alive, children)))


def test_a_provider_that_ends_is_started_again(watching: Any) -> None:
    """It is a process like any other."""
    before = children_of(watching.pid)
    os.kill(before[0], signal.SIGKILL)
    assert json.loads(watching.stdout.readline())["ok"] is True
    after = children_of(watching.pid)
    assert len(after) == 2
    assert before[1] in after
    assert before[0] not in after


def test_a_provider_that_ends_again_and_again_is_given_time(watching: Any) -> None:
    """Its start is the most expensive thing that it does."""
    for pause in (1, 2):
        (victim, *_rest) = children_of(watching.pid)
        os.kill(victim, signal.SIGKILL)
        lines = iter(watching.stderr.readline, "")
        assert next(line for line in lines if "ended" in line) == (
            f"a provider ended: starting it again in {pause} s\n"
        )
        assert json.loads(watching.stdout.readline())["ok"] is True


def test_no_value_is_ever_shown(core: Any, folder: Any, tmp_path: Path) -> None:
    """A canary in every secret: not in the table, the JSON, the logs of core and providers at DEBUG, a status or an error."""
    canary = "c4n4ry-v4lue"
    encoded = base64.b64encode(canary.encode()).decode()
    store = folder.store.replace(
        "{key: k, value: from-fake}",
        f'{{key: k, value: {canary}}}, {{key: map, value: \'{{"a": "{canary}", "b/c": "{canary}"}}\'}}, {{key: list, value: \'["{canary}"]\'}}',
    )
    secret = f"{{apiVersion: v1, kind: Secret, metadata: {{name: token, namespace: team-a}}, data: {{token: {encoded}}}}}"

    def external(name: str, entry: str) -> str:
        text: str = folder.external.partition("  data:")[0].replace("name: app", f"name: {name}")
        return text + entry

    folder.write(
        "a.yaml",
        store,
        secret,
        folder.external,
        external(
            "extract", "  dataFrom: [{extract: {key: map}, rewrite: [{regexp: {source: /, target: _}}]}]"
        ),
        external("not-a-map", "  dataFrom: [{extract: {key: list}}]"),
        external(
            "bad-key", "  dataFrom: [{extract: {key: map}, rewrite: [{regexp: {source: x, target: y}}]}]"
        ),
        external("bad-base64", "  data: [{secretKey: v, remoteRef: {key: k, decodingStrategy: Base64}}]"),
        external("no-property", "  data: [{secretKey: v, remoteRef: {key: map, property: zzz}}]"),
        external("merge", "  dataFrom: [{find: {name: {regexp: .*}}, rewrite: [{merge: {}}]}]"),
        external(
            "template",
            "  data: [{secretKey: v, remoteRef: {key: k}}]\n  target: {template: {data: {a: '{{ .v | fromJson }}'}}}",
        ),
        external(
            "fail",
            "  data: [{secretKey: v, remoteRef: {key: k}}]\n  target: {template: {data: {a: '{{ fail .v }}'}}}",
        ),
        external(
            "from",
            "  data: [{secretKey: v, remoteRef: {key: k}}]\n  target: {template: {templateFrom: [{secret: {name: token, items: [{key: token}]}}]}}",
        ),
    )
    shown = []
    for options in (["--verbose"], ["--json"]):
        ended = core("dev", folder.path, "--output", folder.output, *options, GRPC_VERBOSITY="INFO")
        assert ended.status == 1
        assert '"error"' not in ended.out
        shown += [ended.out, ended.err]
    shown += [path.read_text() for path in (folder.output / "status").rglob("*.yaml")]
    assert folder.secret().data == {"v": canary.encode()}
    for text in shown:
        assert canary not in text
        assert encoded not in text
        assert canary.encode().hex() not in text
