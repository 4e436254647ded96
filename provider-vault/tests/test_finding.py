"""Finding secrets in a real Vault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode

from .bench import Bench

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tree(vault_dev: Any) -> str:
    """A KV v2 mount with a few folders; a secret and a folder may have the same name."""
    mount: str = vault_dev.mount("kv", {"version": "2"})
    for key in ("app", "app/db", "app/cache", "app/deep/er/key", "web"):
        vault_dev("POST", f"/{mount}/data/{key}", {"data": {"k": key}})
        vault_dev(
            "POST", f"/{mount}/metadata/{key}", {"custom_metadata": {"team": "a" if "app" in key else "b"}}
        )
    vault_dev("POST", f"/{mount}/data/gone", {"data": {"k": "gone"}})
    vault_dev("DELETE", f"/{mount}/data/gone")
    return mount


FINDS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "everything": ({}, {"app", "app/db", "app/cache", "app/deep/er/key", "web"}),
    "a name anywhere": ({"name": "db|web"}, {"app/db", "web"}),
    "an anchored name": ({"name": "^app/"}, {"app/db", "app/cache", "app/deep/er/key"}),
    "below a path": ({"path": "app", "name": ""}, {"app/db", "app/cache", "app/deep/er/key"}),
    "a path with slashes around": ({"path": "/app/deep/", "name": ""}, {"app/deep/er/key"}),
    "the name sees the path": ({"path": "app", "name": "^app/d"}, {"app/db", "app/deep/er/key"}),
    "a tag": ({"tags": {"team": "b"}}, {"web"}),
    "a tag below a path": (
        {"path": "app", "tags": {"team": "a"}},
        {"app/db", "app/cache", "app/deep/er/key"},
    ),
    "all tags": ({"tags": {"team": "a", "other": "x"}}, set()),
    "a system tag": ({"tags": {"team": "b", "current_version": "1"}}, {"web"}),
    "a name wins over tags": ({"name": "web", "tags": {"team": "nobody"}}, {"web"}),
    "no such folder": ({"path": "nowhere", "name": ""}, set()),
    "no such name": ({"name": "nobody"}, set()),
}


@pytest.mark.parametrize("case", FINDS)
def test_a_find_gives_paths_on_the_mount(bench: Bench, tree: str, case: str) -> None:
    """Finding nothing is an empty answer; deleted secrets are skipped."""
    find, expected = FINDS[case]
    found = bench.harness.find(bench.store(tree), **find)
    assert set(found) == expected
    assert all(value == b'{"k":"%s"}' % key.encode() for key, value in found.items())


def test_a_find_in_an_empty_mount_is_empty(bench: Bench) -> None:
    mount = bench.vault.mount("kv", {"version": "2"})
    assert bench.harness.find(bench.store(mount), name=".*") == {}


@pytest.mark.parametrize("path", ["{mount}/app", "{mount}/data/app"])
def test_without_a_store_path_the_find_path_begins_with_the_mount(bench: Bench, tree: str, path: str) -> None:
    found = bench.harness.find(bench.store(None), path=path.format(mount=tree), name="db")
    assert set(found) == {"app/db"}


def test_a_find_that_names_no_mount_is_refused(bench: Bench) -> None:
    with bench.harness.fails() as failure:
        bench.harness.find(bench.store(None), name="x")
    assert failure.code is StatusCode.INVALID_ARGUMENT


def test_v1_is_found_by_name_only(bench: Bench, vault_dev: Any) -> None:
    mount = bench.vault.mount("kv", {"version": "1"})
    for key in ("app/db", "web"):
        bench.vault("POST", f"/{mount}/{key}", {"k": key})
    store = bench.store(mount, version="v1")
    assert set(bench.harness.find(store, name="db")) == {"app/db"}
    assert set(bench.harness.find(store, path="app")) == {"app/db"}
    with bench.harness.fails() as failure:
        bench.harness.find(store, tags={"a": "b"})
    assert failure.code is StatusCode.INVALID_ARGUMENT


def test_a_bad_pattern_reaches_no_backend(bench: Bench, tree: str) -> None:
    store = bench.store(tree)
    with bench.harness.fails() as failure:
        bench.harness.find(store, name="(")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "ListSecrets" not in bench.calls()


def test_a_secret_that_vanishes_between_list_and_read_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole find must not look absent because one of its secrets was deleted meanwhile."""
    from provider_vault._kv import KeyValue

    mount = bench.vault.mount("kv", {"version": "2"})
    for key in ("one", "two"):
        bench.vault("POST", f"/{mount}/data/{key}", {"data": {"k": key}})
    read: Callable[..., Any] = KeyValue.read

    def racing(self: KeyValue, place: Any, **kwargs: Any) -> Any:
        if place.name == "one":
            bench.vault("DELETE", f"/{mount}/metadata/one")
        return read(self, place, **kwargs)

    monkeypatch.setattr(KeyValue, "read", racing)
    assert set(bench.harness.find(bench.store(mount), name="")) == {"two"}


def test_a_find_by_name_reads_only_what_matches(bench: Bench, tree: str) -> None:
    """One list per folder, one read per match."""
    bench.harness.find(bench.store(tree), name="db|web")
    calls = bench.calls()
    assert (calls["ListSecrets"], calls["ReadSecretData"]) == (4, 2)
