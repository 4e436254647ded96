"""Reading from a real Vault: values, versions, metadata, and which 404 means what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eso_e2e.faults import Answer as Made
from grpc import StatusCode

from .bench import Bench

pytestmark = pytest.mark.real


@pytest.mark.parametrize("key", ["{name}", "/{name}", "{mount}/{name}", "{mount}/data/{name}", "//{name}"])
def test_a_v2_key_may_hold_the_mount_or_not(bench: Bench, kv2: str, key: str) -> None:
    """Users copy keys from the CLI, from the UI and from policies."""
    bench.vault("POST", f"/{kv2}/data/spelled/app", {"data": {"a": "1"}})
    store = bench.store(kv2)
    assert bench.harness.get_secret(store, key.format(mount=kv2, name="spelled/app")) == b'{"a":"1"}'


@pytest.mark.parametrize("key", ["{name}", "/{name}", "{mount}/{name}", "//{name}"])
def test_a_v1_key_may_hold_the_mount_or_not(bench: Bench, kv1: str, key: str) -> None:
    bench.vault("POST", f"/{kv1}/data/spelled/app", {"a": "1"})
    store = bench.store(kv1, version="v1")
    assert (
        bench.harness.get_secret(store, key.format(mount=kv1, name="data/spelled/app"), property="a") == b"1"
    )


@pytest.mark.parametrize("key", ["{mount}/{name}", "{mount}/data/{name}"])
def test_without_a_path_the_key_begins_with_the_mount(bench: Bench, kv2: str, key: str) -> None:
    bench.vault("POST", f"/{kv2}/data/pathless/data/app", {"data": {"a": "1"}})
    store = bench.store(None)
    assert (
        bench.harness.get_secret(store, key.format(mount=kv2, name="pathless/data/app"), property="a") == b"1"
    )


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_mount_may_have_slashes(bench: Bench, version: str) -> None:
    """The first segment of a key is not always the mount; Vault knows where it ends."""
    mount = f"deep/{version}/kv"
    bench.vault("POST", f"/sys/mounts/{mount}", {"type": "kv", "options": {"version": version[1:]}})
    store, keyed = bench.store(mount, version=version), bench.store(None, version=version, name="keyed")
    bench.harness.push(store, "app", {"a": b"1"}, timeout=25)  # a new v2 mount is a while in the making
    for of, key in ((store, "app"), (store, f"/{mount}/app"), (keyed, f"{mount}/app")):
        assert bench.harness.get_secret(of, key, property="a") == b"1"


def test_a_folder_named_like_the_mount_is_reached_by_writing_the_mount_twice(bench: Bench, kv2: str) -> None:
    bench.vault("POST", f"/{kv2}/data/{kv2}/app", {"data": {"a": "inner"}})
    store = bench.store(kv2)
    assert bench.harness.get_secret(store, f"{kv2}/{kv2}/app", property="a") == b"inner"


@pytest.mark.parametrize("key", ["{mount}/marked", "marked"])
def test_metadata_and_data_follow_one_rule_for_keys(bench: Bench, kv2: str, key: str) -> None:
    bench.vault("POST", f"/{kv2}/data/marked", {"data": {"a": "1"}})
    bench.vault(
        "POST", f"/{kv2}/metadata/marked", {"custom_metadata": {"team": "x", "current_version": "mine"}}
    )
    store = bench.store(kv2)
    found = json.loads(bench.harness.get_secret(store, key.format(mount=kv2), metadata_policy="Fetch"))
    assert set(found) == {"created_time", "current_version", "delete_version_after", "team"}
    assert found["current_version"] == "mine"
    team = bench.harness.get_secret(store, key.format(mount=kv2), metadata_policy="Fetch", property="team")
    assert team == b"x"


def test_missing_metadata_is_no_missing_secret(bench: Bench, kv2: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "nobody", metadata_policy="Fetch")
    assert failure.code is StatusCode.FAILED_PRECONDITION


def test_v1_has_no_metadata_to_fetch(bench: Bench, kv1: str) -> None:
    bench.vault("POST", f"/{kv1}/app", {"a": "1"})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv1, version="v1"), "app", metadata_policy="Fetch")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "metadataPolicy" in failure.message


VALUES = {
    "text": "plain",
    "html": "<a&b>",
    "number": 12,
    "fraction": 1.5,
    "large": 9007199254740993,
    "yes": True,
    "nothing": None,
    "nested": {"b": [1, "<x>"], "a": 2},
    "dotted.name": "literal",
    "dotted": {"name": "path"},
}


@pytest.mark.parametrize(
    ("prop", "expected"),
    [
        ("text", b"plain"),
        ("number", b"12"),
        ("fraction", b"1.5"),
        ("large", b"9007199254740993"),
        ("yes", b"true"),
        ("nothing", b""),
        ("nested", b'{"a":2,"b":[1,"\\u003cx\\u003e"]}'),
        ("nested.b.0", b"1"),
        ("nested.b.1", b"<x>"),
        ("dotted.name", b"literal"),
    ],
)
def test_a_property_is_an_entry_by_name_then_a_path(
    bench: Bench, kv1: str, prop: str, expected: bytes
) -> None:
    """KV v1 keeps numbers as they were sent, so exactness is the provider's own doing here."""
    bench.vault("POST", f"/{kv1}/values", VALUES)
    assert bench.harness.get_secret(bench.store(kv1, version="v1"), "values", property=prop) == expected


def test_a_whole_secret_is_compact_sorted_json(bench: Bench, kv2: str) -> None:
    bench.vault("POST", f"/{kv2}/data/whole", {"data": {"b": "<&>", "a": {"z": 1, "y": None}}})
    value = bench.harness.get_secret(bench.store(kv2), "whole")
    assert value == b'{"a":{"y":null,"z":1},"b":"\\u003c\\u0026\\u003e"}'


def test_a_map_holds_texts_as_text_and_the_rest_as_json(bench: Bench, kv2: str) -> None:
    bench.vault(
        "POST", f"/{kv2}/data/mapped", {"data": {"t": "x", "n": 3, "o": {"b": 1, "a": [2]}, "z": None}}
    )
    store = bench.store(kv2)
    assert bench.harness.get_secret_map(store, "mapped") == {
        "t": b"x",
        "n": b"3",
        "o": b'{"a":[2],"b":1}',
        "z": b"",
    }
    assert bench.harness.get_secret_map(store, "mapped", property="o") == {"a": b"[2]", "b": b"1"}


def test_a_missing_property_is_not_a_missing_secret(bench: Bench, kv2: str) -> None:
    bench.vault("POST", f"/{kv2}/data/half", {"data": {"a": "1"}})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "half", property="b")
    assert (failure.code, failure.error.code) == (StatusCode.FAILED_PRECONDITION, "NO_PROPERTY")


def test_a_version_is_exactly_that_version(bench: Bench, kv2: str) -> None:
    for number in ("1", "2"):
        bench.vault("POST", f"/{kv2}/data/aged", {"data": {"n": number}})
    store = bench.store(kv2)
    assert bench.harness.get_secret(store, "aged", version="1", property="n") == b"1"
    assert bench.harness.get_secret(store, "aged", property="n") == b"2"


def _soft_deleted(bench: Bench, mount: str) -> None:
    bench.vault("DELETE", f"/{mount}/data/gone")


def _destroyed(bench: Bench, mount: str) -> None:
    bench.vault("PUT", f"/{mount}/destroy/gone", {"versions": [1]})


def _removed(bench: Bench, mount: str) -> None:
    bench.vault("DELETE", f"/{mount}/metadata/gone")


@pytest.mark.parametrize("remove", [_soft_deleted, _destroyed, _removed])
@pytest.mark.parametrize("version", ["", "1"])
def test_what_vault_says_is_gone_is_not_found(bench: Bench, kv2: str, remove: object, version: str) -> None:
    """Soft-deleted and destroyed versions come as 404 with a body; removed ones without."""
    bench.vault("POST", f"/{kv2}/data/gone", {"data": {"a": "1"}})
    remove(bench, kv2)  # type: ignore[operator]
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "gone", version=version)
    assert failure.code is StatusCode.NOT_FOUND
    bench.vault("DELETE", f"/{kv2}/metadata/gone")


@pytest.mark.parametrize(("version", "key"), [("v1", "missing"), ("v2", "missing")])
def test_a_missing_secret_is_not_found(bench: Bench, kv1: str, kv2: str, version: str, key: str) -> None:
    store = bench.store(kv1 if version == "v1" else kv2, version=version)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, key)
    assert failure.code is StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["7", "999"])
def test_a_missing_version_is_not_found(bench: Bench, kv2: str, version: str) -> None:
    bench.vault("POST", f"/{kv2}/data/young", {"data": {"a": "1"}})
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "young", version=version)
    assert failure.code is StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["latest", "-1", "1;2", "１"])
def test_a_version_that_is_no_number_is_refused(bench: Bench, kv2: str, version: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "young", version=version)
    assert failure.code is StatusCode.INVALID_ARGUMENT


MISTAKES = {
    "no such mount, v2": (lambda one, two: ("nowhere", "v2"), StatusCode.FAILED_PRECONDITION, "mount"),
    "no such mount, v1": (lambda one, two: ("nowhere", "v1"), StatusCode.FAILED_PRECONDITION, "mount"),
    "v2 spec on a v1 mount": (lambda one, two: (one, "v2"), StatusCode.INVALID_ARGUMENT, "version: v1"),
    "v1 spec on a v2 mount": (lambda one, two: (two, "v1"), StatusCode.INVALID_ARGUMENT, "version: v2"),
    "no KV engine": (lambda one, two: ("sys", "v2"), StatusCode.INVALID_ARGUMENT, "no KV engine"),
    "a folder for a mount": (lambda one, two: (f"{two}/team", "v2"), StatusCode.INVALID_ARGUMENT, "path"),
}


@pytest.mark.parametrize("case", MISTAKES)
@pytest.mark.parametrize("rpc", ["get", "map", "find", "push", "delete", "exists"])
def test_a_wrong_mount_or_version_is_never_not_found(
    bench: Bench, kv1: str, kv2: str, case: str, rpc: str
) -> None:
    """`deletionPolicy: Delete` would remove the user's Secret because of a typing error in a store."""
    place, code, hint = MISTAKES[case]
    path, version = place(kv1, kv2)
    store = bench.store(path, version=version)
    calls = {
        "get": lambda: bench.harness.get_secret(store, "app"),
        "map": lambda: bench.harness.get_secret_map(store, "app"),
        "find": lambda: bench.harness.find(store, name="x"),
        "push": lambda: bench.harness.push(store, "app", {"k": b"v"}),
        "delete": lambda: bench.harness.delete(store, "app"),
        "exists": lambda: bench.harness.exists(store, "app"),
    }
    with bench.harness.fails() as failure:
        calls[rpc]()
    assert failure.code is code
    assert hint in failure.message


@pytest.mark.parametrize("inner", ["a text", None, ["list"]])
def test_an_entry_of_v1_that_is_called_data_is_no_absent_secret(
    bench: Bench, kv1: str, fault_proxy: Any, inner: Any
) -> None:
    """A v2 path on a v1 mount that can't be seen: the answer looks much like that of a deleted version."""
    bench.vault("POST", f"/{kv1}/data/app", {"data": inner})
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(403, b'{"errors":["permission denied"]}'), path="internal/ui/mounts")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.through(proxy, kv1), "app")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "KV v2" in failure.message


@pytest.mark.parametrize("key", ["a\x00b", "a\nb", "tab\tx", "\u200b", "\x7f"])
@pytest.mark.parametrize("rpc", ["get", "push", "delete", "exists"])
def test_a_name_that_vault_can_not_hold_is_refused(bench: Bench, kv2: str, key: str, rpc: str) -> None:
    """It is not absent: it can't be."""
    store = bench.store(kv2)
    calls = {
        "get": lambda: bench.harness.get_secret(store, key),
        "push": lambda: bench.harness.push(store, key, {"k": b"v"}),
        "delete": lambda: bench.harness.delete(store, key),
        "exists": lambda: bench.harness.exists(store, key),
    }
    with bench.harness.fails() as failure:
        calls[rpc]()
    assert failure.code is StatusCode.INVALID_ARGUMENT


def test_a_denied_read_is_denied(bench: Bench, kv2: str) -> None:
    policy = bench.vault.write_policy(f'path "{kv2}/data/mine" {{ capabilities = ["read"] }}')
    store = bench.store(kv2, token=bench.vault.create_token(policies=[policy]))
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "theirs")
    assert (failure.code, failure.error.code) == (StatusCode.PERMISSION_DENIED, "ACCESS_DENIED")
    assert "theirs" in failure.message


NAMES = "a\u0301 \U0001f600 back\\slash ... a:b;c=d,e <x>&'\" * data metadata/x a%2Fb ~^`|{}[]@$ ü/ß 100% what?x=1 hash#tag"
NAMES += " semi;colon plus+plus %2e%2e"


@pytest.mark.parametrize("key", [*NAMES.split(" "), "a b", "trailing "])
def test_a_key_is_a_name_whatever_it_holds(bench: Bench, kv2: str, key: str) -> None:
    """No character of a key may turn into a query, a fragment or another path."""
    store = bench.store(kv2)
    bench.harness.push(store, key, {"v": key.encode()}, secret_key="v", property="v")
    assert bench.harness.get_secret(store, key, property="v") == key.encode()
    assert key in bench.harness.find(store, name=".*")


@pytest.mark.parametrize("key", ["../other/secret", "a/../b", "./a", ".."])
def test_a_key_can_not_climb_out_of_the_mount(bench: Bench, kv2: str, key: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), key)
    assert failure.code is StatusCode.INVALID_ARGUMENT


def test_a_key_longer_than_any_path_is_refused(bench: Bench, kv2: str) -> None:
    """Vault's listener would break the connection, which looks like an outage."""
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "k" * 1_000_000)
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert len(failure.message) < 1000


def test_a_name_in_a_message_forges_no_line(bench: Bench, kv2: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kv2), "a\r\nforged: line")
    assert "\n" not in failure.message
