"""What is read from a folder, and how problems are told."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.runtime.folder import load, signature


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
