"""What is read from a folder, and how problems are told."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.runtime import folder as folder_module
from eso_core.runtime.folder import Watch, load, load_at_rest, signature


def test_manifests_of_every_form_are_found(folder: Any) -> None:
    """Several documents, lists, JSON, folders in folders; hidden files are not."""
    folder.write("sub/a.yml", folder.store)
    folder.write(
        "list.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: team-a, labels: {a: b}}}",
    )
    folder.write(
        "secret.json",
        '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}',
    )
    folder.write(".hidden.yaml", folder.external)
    folder.write(".git/x.yaml", folder.external)
    folder.write("notes.txt", "not: [a manifest")
    loaded = load(folder.path)
    assert loaded.problems == []
    assert list(loaded.stores) == [("SecretStore", "team-a", "main")]
    assert loaded.namespaces == {"team-a": {"a": "b"}}
    assert list(loaded.secrets) == [("default", "s")]
    assert loaded.external_secrets == []
    assert list(loaded.digests) == [
        ("provider.secretstore.external-secrets.io/v2alpha1", "Fake", "team-a", "values")
    ]


PROBLEMS = [
    ("broken yaml", "a: b\n\ttoken: canary\n", "x.yaml line 2: not valid YAML"),
    ("no object", "- canary\n", "x.yaml line 1: not a Kubernetes object"),
    ("base64", "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {token: canary}}", "x.yaml line 1: Secret default/s: data.token: is not base64"),
    ("push", "{apiVersion: external-secrets.io/v1alpha1, kind: PushSecret, metadata: {name: p}}", "PushSecret is not supported by this core yet"),
    ("future store", "{apiVersion: secretstore.external-secrets.io/v1, kind: SecretStore, metadata: {name: p}}", "secretstore.external-secrets.io/v1 SecretStore is unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), [p[1:] for p in PROBLEMS], ids=[p[0] for p in PROBLEMS])
def test_a_problem_names_file_and_line_and_no_content(folder: Any, content: str, said: str) -> None:
    """The content may be a Secret."""
    folder.write("x.yaml", content)
    loaded = load(folder.path)
    assert said in loaded.problems[0]
    assert "canary" not in repr(loaded.problems)
    assert loaded.whole is False


def test_two_objects_of_one_name_are_told(folder: Any) -> None:
    """Which one would count is left to chance otherwise."""
    folder.write("a.yaml", folder.store)
    folder.write("b.yaml", folder.external, folder.store)
    (problem, *_rest) = load(folder.path).problems
    assert problem.startswith("b.yaml line ")
    assert "SecretStore team-a/main is also in a.yaml line " in problem


def test_a_store_that_cannot_be_used_is_kept_as_the_reason(folder: Any) -> None:
    """ExternalSecrets that use it say why; the others go on."""
    folder.write("a.yaml", folder.store.replace("address:", "adress:"))
    loaded = load(folder.path)
    assert "spec.providerConfig.address: is required" in str(loaded.stores["SecretStore", "team-a", "main"])
    assert loaded.problems == []


def test_a_v1_store_is_noted(folder: Any) -> None:
    """It is nothing wrong, and nothing that is used."""
    folder.write("a.yaml", "{apiVersion: external-secrets.io/v1, kind: SecretStore, metadata: {name: old}}")
    loaded = load(folder.path)
    assert loaded.whole is True
    assert "SecretStore default/old is a v1 object" in loaded.notes[0]


@pytest.mark.parametrize("spec", ["&s {more: *s}", "{1: a, b: c}", "[2024-01-01, !!binary aGk=]"])
def test_an_object_that_is_no_json_is_for_its_provider_to_refuse(folder: Any, spec: str) -> None:
    """The core only wants to see when it changes."""
    text = f"apiVersion: provider.secretstore.external-secrets.io/v2alpha1\nkind: Fake\nmetadata: {{name: f}}\nspec: {spec}"
    folder.write("a.yaml", text)
    before = load(folder.path)
    folder.write("a.yaml", text.replace(spec, "{}"))
    after = load(folder.path)
    assert before.problems == after.problems == []
    assert list(before.digests) == list(after.digests)
    assert before.digests != after.digests


def test_what_can_not_be_looked_into_is_a_problem(folder: Any) -> None:
    """Else the Secrets of what is behind it would be removed."""
    folder.write("a.yaml", folder.store)
    (folder.path / "b.yaml").symlink_to(folder.path / "gone.yaml")
    loaded = load(folder.path)
    assert loaded.whole is False
    assert loaded.problems == ["b.yaml: No such file or directory"]


def test_a_folder_without_manifests_is_not_whole(folder: Any) -> None:
    """Nothing may be removed on the word of nothing."""
    folder.write("a.yaml", "# nothing\n")
    folder.write(".hidden/b.yaml", folder.store)
    loaded = load(folder.path)
    assert (loaded.empty, loaded.whole, loaded.problems) == (True, False, [])


def test_a_change_counts_when_the_folder_is_at_rest(folder: Any) -> None:
    """An editor that removes a file before it writes it again must not cost anybody a Secret."""
    path = folder.write("a.yaml", folder.store)
    watch = Watch(folder.path, signature(folder.path))
    assert watch.look() is False
    path.unlink()
    assert watch.look() is False
    folder.write("a.yaml", folder.store, folder.external)
    assert watch.look() is False
    assert watch.look() is True


def test_a_folder_that_never_rests_is_not_waited_for_endlessly(folder: Any) -> None:
    """Somebody may write a log into it, as JSON."""
    watch = Watch(folder.path, signature(folder.path))
    looks = []
    for number in range(30):
        folder.write("log.json", "x" * number)
        looks.append(watch.look())
    assert looks.index(True) == 19


def test_a_folder_that_changes_while_it_is_read_is_read_again(folder: Any, monkeypatch: Any) -> None:
    """What was read would be half of the old and half of the new."""
    folder.write("a.yaml", folder.store)
    real = folder_module.read_manifests

    def reading(path: Any) -> Any:
        parsed = real(path)
        if not (folder.path / "b.yaml").exists():
            folder.write("b.yaml", folder.external)
        return parsed

    monkeypatch.setattr(folder_module, "read_manifests", reading)
    loaded, seen = load_at_rest(folder.path)
    assert [item.meta.name for item in loaded.external_secrets] == ["app"]
    assert seen == signature(folder.path)


def test_the_signature_changes_with_the_manifests(folder: Any) -> None:
    """And with nothing else."""
    path = folder.write("a.yaml", folder.store)
    first = signature(folder.path)
    folder.write("notes.txt", "x")
    assert signature(folder.path) == first
    path.write_text(folder.store + "\n# changed\n")
    second = signature(folder.path)
    assert second != first
    path.unlink()
    assert signature(folder.path) not in {first, second}
