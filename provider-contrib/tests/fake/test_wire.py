"""The Fake kinds called as a core does: over mutual TLS, by either of their names."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from provider_common.catalog import Catalog
from provider_common.testing import GeneratorHandle, ProviderHarness, StoreHandle
from provider_contrib import KINDS

STORE_GROUPS = ("provider.secretstore.external-secrets.io/v2alpha1", "provider.external-secrets.io/v2alpha1")
GENERATOR_GROUPS = (
    "provider.generator.external-secrets.io/v2alpha1",
    "generators.external-secrets.io/v1alpha1",
)
DATA = [
    {"key": "app/db", "value": '{"user": "me", "n": 12345678901234567890}'},
    {"key": "v", "value": "1", "version": "v1"},
]


def store_in(harness: ProviderHarness, namespace: str, group: str = STORE_GROUPS[0]) -> StoreHandle:
    handle = harness.add_store(namespace, {"data": DATA})
    harness.kube.add_object(
        {
            "apiVersion": group,
            "kind": "Fake",
            "metadata": {"name": "main", "namespace": namespace},
            "spec": {"data": DATA},
        }
    )
    return replace(handle, api_version=group)


@pytest.mark.parametrize("group", STORE_GROUPS)
def test_both_names_serve_the_same_store(harness: ProviderHarness, group: str) -> None:
    """Manifests of the Go core work as they are."""
    store = store_in(harness, "team-a", group)

    assert harness.capabilities(store) == "READ_WRITE"
    assert harness.validate(store).valid
    assert harness.get_secret(store, "app/db", property="user") == b"me"
    assert harness.get_secret(store, "v", version="v1") == b"1"
    assert harness.get_secret_map(store, "app/db") == {"user": b"me", "n": b"12345678901234567890"}
    assert set(harness.find(store, name="^app", conversion_strategy="Default")) == {"app_db"}


@pytest.mark.parametrize(
    "property_", [pytest.param("", id="a missing secret"), pytest.param("absent", id="a missing property")]
)
def test_absence_is_not_found(harness: ProviderHarness, property_: str) -> None:
    """A missing property too: of all kinds only Fake."""
    store = store_in(harness, "team-a")

    with harness.fails() as failure:
        harness.get_secret(store, "app/db" if property_ else "absent", property=property_)

    assert failure.code is grpc.StatusCode.NOT_FOUND
    assert failure.error.code == "NO_SECRET"


def test_a_missing_object_is_never_not_found(harness: ProviderHarness) -> None:
    """Nothing of the user's is to be deleted for it."""
    store = replace(store_in(harness, "team-a"), name="gone")

    with harness.fails() as failure:
        harness.get_secret(store, "app/db")

    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "MISSING_REFERENCE"


def test_a_push_is_seen_at_once_by_reads_finds_and_exists(harness: ProviderHarness) -> None:
    """Also where the absence was just read."""
    store = store_in(harness, "pushing")
    with harness.fails():
        harness.get_secret(store, "new")
    assert not harness.exists(store, "new")

    harness.push(store, "new", {"k": b"\x00\xff"}, secret_key="k")

    assert harness.get_secret(store, "new") == b"\x00\xff"
    assert harness.exists(store, "new")
    assert harness.find(store, name="^new$") == {"new": b"\x00\xff"}
    harness.delete(store, "new")
    assert not harness.exists(store, "new")


def test_a_push_to_a_key_of_the_manifest_is_a_conflict(harness: ProviderHarness) -> None:
    """It exists, and it is the user's."""
    store = store_in(harness, "team-a")

    with harness.fails() as failure:
        harness.push(store, "app/db", {"k": b"v"}, secret_key="k")

    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "CONFLICT"
    assert "exists" in failure.message


def test_stores_of_one_name_in_two_namespaces_share_nothing(harness: ProviderHarness) -> None:
    """The Go fake keeps pushed values by name alone, so two tenants saw each other's."""
    one, two = store_in(harness, "tenant-one"), store_in(harness, "tenant-two")

    harness.push(one, "private", {"k": b"one"}, secret_key="k")

    assert not harness.exists(two, "private")
    assert "private" not in harness.find(two, name="")
    harness.push(two, "private", {"k": b"two"}, secret_key="k")
    assert harness.get_secret(one, "private") == b"one"


def test_pushed_values_survive_a_changed_spec(harness: ProviderHarness) -> None:
    """The store is opened anew; what was pushed is not part of it."""
    store = store_in(harness, "changing")
    harness.push(store, "kept", {"k": b"1"}, secret_key="k")

    harness.add_store("changing", {"data": [{"key": "other", "value": "2"}]})

    assert harness.get_secret(store, "other") == b"2"
    assert harness.get_secret(store, "kept") == b"1"


def test_a_restarted_provider_has_forgotten_what_was_pushed() -> None:
    """Memory of one process: documented, and not to be built upon."""
    for _ in range(2):
        with ProviderHarness(*KINDS) as fresh:
            store = store_in(fresh, "team-a")
            assert not fresh.exists(store, "new")
            fresh.push(store, "new", {"k": b"1"}, secret_key="k")


@pytest.mark.parametrize(("result", "word"), [(1, "unknown"), (2, "error")])
def test_validate_answers_what_the_manifest_says(harness: ProviderHarness, result: int, word: str) -> None:
    """With a text, so that a core shows one."""
    store = harness.add_store("team-a", {"data": DATA, "validationResult": result})

    answer = harness.validate(store)

    assert not answer.valid
    assert f"validationResult is {result} ({word})" in answer.error
    assert harness.get_secret(store, "v", version="v1") == b"1"


def test_finding_by_tags_names_the_operator(harness: ProviderHarness) -> None:
    """Refused, not ignored."""
    with harness.fails() as failure:
        harness.find(store_in(harness, "team-a"), tags={"a": "b"})

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "find.tags" in failure.message


@pytest.mark.parametrize("group", GENERATOR_GROUPS)
def test_the_generator_answers_its_manifest(harness: ProviderHarness, group: str) -> None:
    """Under both names; no state."""
    harness.kube.add_object(
        {
            "apiVersion": group,
            "kind": "Fake",
            "metadata": {"name": "gen", "namespace": "team-a"},
            "spec": {"controller": "dev", "data": {"user": "me", "pin": "1234", "empty": ""}},
        }
    )
    generator = GeneratorHandle(group, "Fake", "gen", "team-a", "team-a")

    assert harness.generate(generator) == ({"user": b"me", "pin": b"1234", "empty": b""}, b"")
    harness.cleanup(generator, b"")


def test_a_generator_without_data_answers_nothing(harness: ProviderHarness) -> None:
    """An empty map, no error."""
    assert harness.generate(harness.add_generator("team-a", {})) == ({}, b"")


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        pytest.param({"data": {"a": 1}}, "spec.data.a", id="a number"),
        pytest.param({"data": ["a"]}, "spec.data", id="a list"),
        pytest.param({"dat": {}}, "spec.dat: is not a field", id="an unknown field"),
    ],
)
def test_a_generator_spec_that_cannot_be_used_is_refused(
    harness: ProviderHarness, spec: dict[str, object], part: str
) -> None:
    """Naming the field."""
    with harness.fails() as failure:
        harness.generate(harness.add_generator("team-a", spec))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert part in failure.message


def test_a_missing_generator_object_is_an_error(harness: ProviderHarness) -> None:
    """And never NOT_FOUND."""
    with harness.fails() as failure:
        harness.generate(GeneratorHandle(GENERATOR_GROUPS[0], "Fake", "gone", "team-a", "team-a"))

    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "MISSING_REFERENCE"


def test_what_is_served_is_what_the_entry_points_say() -> None:
    """The core finds a provider by them without importing it."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["external_secrets.kinds"]

    assert set(entries) == {kind.title for kind in Catalog(*KINDS)}
    assert set(entries.values()) == {project["scripts"]["provider-contrib"]}
