"""Pushing to and deleting from a real Vault: ownership, equality, what stays, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from grpc import StatusCode

from .bench import Bench

pytestmark = pytest.mark.real

OURS = {"managed-by": "external-secrets"}


def stored(bench: Bench, mount: str, key: str) -> Any:
    return bench.vault("GET", f"/{mount}/data/{key}")["data"]["data"]


def versions(bench: Bench, mount: str, key: str) -> int:
    return int(bench.vault("GET", f"/{mount}/metadata/{key}")["data"]["current_version"])


def custom(bench: Bench, mount: str, key: str) -> Any:
    return bench.vault("GET", f"/{mount}/metadata/{key}")["data"]["custom_metadata"]


def cost(bench: Bench, action: Callable[[], object]) -> dict[str, int]:
    before = bench.calls()
    action()
    after = bench.calls()
    names = ("ReadSecretData", "WriteSecretData", "DeleteSecret", "ListSecrets")
    return {n: int(after.get(n, 0) - before.get(n, 0)) for n in names if after.get(n, 0) != before.get(n, 0)}


def test_a_new_secret_is_written_and_marked_as_ours(bench: Bench, kv2: str) -> None:
    store = bench.store(kv2)
    bench.harness.push(store, "push/new", {"a": b"1", "b": b"2"})
    assert stored(bench, kv2, "push/new") == {"a": "1", "b": "2"}
    assert custom(bench, kv2, "push/new") == OURS


def test_the_mark_of_v1_is_an_entry_of_the_data(bench: Bench, kv1: str) -> None:
    bench.harness.push(bench.store(kv1, version="v1"), "push/new", {"a": b"1"})
    assert bench.vault("GET", f"/{kv1}/push/new")["data"] == {"a": "1", "custom_metadata": OURS}


@pytest.mark.parametrize(
    "value",
    [b'{"text":"x","number":1.5,"large":9007199254740993,"nested":{"a":[1,{"b":null}]},"yes":true}', b"{}"],
    ids=["nested", "empty"],
)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_pushing_the_same_again_writes_nothing(
    bench: Bench, kv1: str, kv2: str, version: str, value: bytes
) -> None:
    """Numbers and nested objects are compared as what they are, not as what a library made of them."""
    if version == "v2":  # the server itself rounds larger integers there
        value = value.replace(b"9007199254740993", b"9007199254740992")
    store = bench.store(kv1 if version == "v1" else kv2, version=version)
    push = lambda: bench.harness.push(store, "push/same", {"k": value}, secret_key="k")  # noqa: E731
    push()
    assert "WriteSecretData" not in cost(bench, push)
    bench.harness.delete(store, "push/same")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_true_is_not_one(bench: Bench, kv1: str, kv2: str, version: str) -> None:
    """For Python they are equal, and the change would be lost."""
    store = bench.store(kv1 if version == "v1" else kv2, version=version)
    for value in (b'{"a":true}', b'{"a":1}'):
        bench.harness.push(store, "push/kinds", {"k": value}, secret_key="k")
    assert bench.harness.get_secret(store, "push/kinds", property="a") == b"1"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_one_property_leaves_the_others(bench: Bench, kv1: str, kv2: str, version: str) -> None:
    mount = kv1 if version == "v1" else kv2
    store = bench.store(mount, version=version)
    bench.harness.push(store, "push/props", {"k": b"1"}, secret_key="k", property="a")
    bench.harness.push(store, "push/props", {"k": b"2"}, secret_key="k", property="b.c")
    assert bench.harness.get_secret(store, "push/props", property="a") == b"1"
    assert bench.harness.get_secret(store, "push/props", property="b.c") == b"2"
    same = lambda: bench.harness.push(store, "push/props", {"k": b"2"}, secret_key="k", property="b.c")  # noqa: E731
    assert "WriteSecretData" not in cost(bench, same)
    bench.harness.delete(store, "push/props", property="a")
    assert not bench.harness.exists(store, "push/props", property="a")
    assert bench.harness.exists(store, "push/props", property="b.c")
    bench.harness.delete(store, "push/props", property="b.c")
    assert not bench.harness.exists(store, "push/props")


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("prop", ["", "a", "new"])
def test_what_we_do_not_own_is_neither_changed_nor_deleted(
    bench: Bench, kv1: str, kv2: str, version: str, prop: str
) -> None:
    mount = kv1 if version == "v1" else kv2
    store = bench.store(mount, version=version)
    path, body = (
        (f"/{mount}/foreign", {"a": "1"})
        if version == "v1"
        else (f"/{mount}/data/foreign", {"data": {"a": "1"}})
    )
    bench.vault("POST", path, body)
    with bench.harness.fails() as failure:
        bench.harness.push(store, "foreign", {"k": b"2"}, secret_key="k" if prop else "", property=prop)
    assert (failure.code, failure.error.code) == (StatusCode.FAILED_PRECONDITION, "CONFLICT")
    bench.harness.delete(store, "foreign", property=prop)
    assert bench.harness.get_secret(store, "foreign") == b'{"a":"1"}'


def test_a_soft_deleted_secret_of_somebody_else_is_not_taken_over(bench: Bench, kv2: str) -> None:
    """Its versions can be brought back; deleting it later as ours would destroy them."""
    bench.vault("POST", f"/{kv2}/data/resting", {"data": {"a": "1"}})
    bench.vault("DELETE", f"/{kv2}/data/resting")
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(kv2), "resting", {"a": b"2"})
    assert failure.error.code == "CONFLICT"
    bench.vault("PUT", f"/{kv2}/undelete/resting", {"versions": [1]})
    assert stored(bench, kv2, "resting") == {"a": "1"}


@pytest.mark.parametrize("required", [False, True])
def test_our_own_soft_deleted_secret_is_written_again(bench: Bench, kv2: str, required: bool) -> None:
    """Vault refuses check-and-set 0 there: the version has to come from the metadata."""
    store = bench.store(kv2, checkAndSet={"required": required})
    key = f"push/back-{required}".lower()
    bench.harness.push(store, key, {"a": b"1"})
    bench.vault("DELETE", f"/{kv2}/data/{key}")
    bench.harness.push(store, key, {"a": b"2"})
    assert (stored(bench, kv2, key), versions(bench, kv2, key)) == ({"a": "2"}, 2)


def test_custom_metadata_of_others_stays(bench: Bench, kv2: str) -> None:
    store = bench.store(kv2)
    bench.vault("POST", f"/{kv2}/metadata/push/noted", {"custom_metadata": {"team": "x"}, "max_versions": 7})
    bench.harness.push(store, "push/noted", {"a": b"1"})
    assert custom(bench, kv2, "push/noted") == {"team": "x", **OURS}
    bench.vault("POST", f"/{kv2}/metadata/push/noted", {"custom_metadata": {"note": "y", **OURS}})
    bench.harness.push(store, "push/noted", {"a": b"2"})
    assert custom(bench, kv2, "push/noted") == {"note": "y", **OURS}
    assert bench.vault("GET", f"/{kv2}/metadata/push/noted")["data"]["max_versions"] == 7


@pytest.mark.parametrize("prop", ["", "k"])
def test_a_mount_that_requires_check_and_set_is_served(bench: Bench, prop: str) -> None:
    mount = bench.vault.mount("kv", {"version": "2"})
    bench.vault("POST", f"/{mount}/config", {"cas_required": True})
    store = bench.store(mount, checkAndSet={"required": True})
    for value in (b"1", b"2"):
        bench.harness.push(store, "app", {"k": value}, secret_key="k" if prop else "", property=prop)
    if prop:
        bench.harness.push(store, "app", {"k": b"3"}, secret_key="k", property="other")
        bench.harness.delete(store, "app", property="other")
    assert stored(bench, mount, "app") == {"k": "2"}


def test_properties_pushed_at_the_same_time_are_all_there(bench: Bench, kv2: str, kv1: str) -> None:
    """Reading, changing and writing is compared and set, or one would lose the other's property."""
    for mount, version in ((kv2, "v2"), (kv1, "v1")):
        store = bench.store(mount, version=version, name=f"at-once-{version}")
        key = "push/at-once"

        def push(number: int, store: Any = store, key: str = key) -> None:
            bench.harness.push(
                store, key, {"k": b"%d" % number}, secret_key="k", property=f"p{number}", timeout=30
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(push, range(12)))
        found = json.loads(bench.harness.get_secret(store, key))
        assert {name for name in found if name != "custom_metadata"} == {f"p{n}" for n in range(12)}


def test_two_stores_of_one_v1_mount_do_not_lose_each_other_s_properties(
    bench: Bench, kv1: str, fault_proxy: Any
) -> None:
    """KV v1 can't compare and set, so within one process the second waits for the first."""
    from eso_e2e.faults import Respond

    proxy = fault_proxy(bench.vault.address)
    slow, quick = (
        bench.through(proxy, kv1, version="v1", name="slow"),
        bench.store(kv1, version="v1", name="quick"),
    )
    bench.harness.push(slow, "push/shared", {"k": b"0"}, secret_key="k", property="first")

    with ThreadPoolExecutor(1) as pool:
        others: list[Any] = []

        def meanwhile(_: Any) -> None:
            args = (quick, "push/shared", {"k": b"2"})
            others.append(pool.submit(bench.harness.push, *args, secret_key="k", property="theirs"))
            # It either gets through now, which is the fault, or stands in line until this write is done.
            with suppress(TimeoutError):
                others[0].result(1)

        proxy.inject(Respond(meanwhile), method="POST", times=1)
        bench.harness.push(slow, "push/shared", {"k": b"1"}, secret_key="k", property="ours")
        others[0].result(20)
    found = json.loads(bench.harness.get_secret(slow, "push/shared"))
    assert {name for name in found if name != "custom_metadata"} == {"first", "ours", "theirs"}


LARGE = {
    "a long text": json.dumps({"k": "x" * 2_000_000}).encode(),
    "many entries": json.dumps({str(n): "v" for n in range(20_000)}).encode(),
    "deep": b'{"a":' * 400 + b"1" + b"}" * 400,
    "deeper than Python's stack": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
}


@pytest.mark.parametrize("case", LARGE)
def test_what_is_too_large_for_vault_is_an_error_that_stays(bench: Bench, kv2: str, case: str) -> None:
    """Vault answers 500, as for an outage; trying again changes nothing."""
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(kv2), "push/large", {"k": LARGE[case]}, secret_key="k", timeout=30)
    assert (failure.code, failure.error.code) == (StatusCode.FAILED_PRECONDITION, "TOO_LARGE")
    assert "aaa" not in failure.message
    assert "xxx" not in failure.message


def test_the_mark_of_a_v1_secret_can_not_be_pushed_as_a_property(bench: Bench, kv1: str) -> None:
    """It would be dropped, and the push look like a success."""
    store = bench.store(kv1, version="v1")
    with bench.harness.fails() as failure:
        bench.harness.push(store, "push/marked", {"k": b"x"}, secret_key="k", property="custom_metadata")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert not bench.harness.exists(store, "push/marked")


@pytest.mark.parametrize("value", [b"plain", b"[1]", b"\xff\xfe", b'"x"', b""])
def test_without_a_property_the_value_has_to_be_an_object(bench: Bench, kv2: str, value: bytes) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(kv2), "push/odd", {"k": value}, secret_key="k")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "plain" not in failure.message


def test_bytes_that_are_no_text_are_refused_not_spoiled(bench: Bench, kv2: str) -> None:
    with bench.harness.fails() as failure:
        bench.harness.push(bench.store(kv2), "push/odd", {"k": b"\xff"}, secret_key="k", property="p")
    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "UTF-8" in failure.message


def test_a_property_that_is_no_text_is_not_replaced_by_one(bench: Bench, kv2: str) -> None:
    store = bench.store(kv2)
    bench.harness.push(store, "push/typed", {"k": b'{"n":{"a":1}}'}, secret_key="k")
    with bench.harness.fails() as failure:
        bench.harness.push(store, "push/typed", {"k": b"x"}, secret_key="k", property="n")
    assert failure.error.code == "CONFLICT"


def test_push_secret_metadata_is_accepted_and_ignored(bench: Bench, kv2: str) -> None:
    bench.harness.push(bench.store(kv2), "push/meta", {"a": b"1"}, metadata={"anything": ["goes"]})
    assert stored(bench, kv2, "push/meta") == {"a": "1"}


def test_delete_removes_all_versions(bench: Bench, kv2: str) -> None:
    store = bench.store(kv2)
    for value in (b"1", b"2"):
        bench.harness.push(store, "push/aged", {"a": value})
    bench.harness.delete(store, "push/aged")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "push/aged", version="1")
    assert failure.code is StatusCode.NOT_FOUND


def test_a_property_that_appears_while_another_is_deleted_stays(
    bench: Bench, kv2: str, fault_proxy: Any
) -> None:
    from eso_e2e.faults import Respond

    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2)
    bench.harness.push(store, "push/trimmed", {"a": b"1", "b": b"2"})

    def interfere(_: Any) -> None:
        bench.vault("POST", f"/{kv2}/data/push/trimmed", {"data": {"a": "1", "b": "2", "c": "3"}})

    proxy.inject(Respond(interfere), method="GET", path="metadata/push/trimmed", times=1)
    bench.harness.delete(store, "push/trimmed", property="a")
    assert stored(bench, kv2, "push/trimmed") == {"b": "2", "c": "3"}


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("prop", ["", "x"])
def test_deleting_what_is_not_there_is_a_success(
    bench: Bench, kv1: str, kv2: str, version: str, prop: str
) -> None:
    store = bench.store(kv1 if version == "v1" else kv2, version=version)
    assert cost(bench, lambda: bench.harness.delete(store, "never", property=prop)) == {"ReadSecretData": 1}


def test_deleting_an_absent_property_writes_nothing(bench: Bench, kv2: str) -> None:
    store = bench.store(kv2)
    bench.harness.push(store, "push/kept", {"a": b"1"})
    bench.harness.delete(store, "push/kept", property="b")
    assert versions(bench, kv2, "push/kept") == 1


@pytest.mark.parametrize(
    ("prop", "expected"),
    [
        ("", True),
        ("text", True),
        ("empty", True),
        ("null", False),
        ("absent", False),
        ("o.a", True),
        ("o.n", False),
    ],
)
def test_exists_looks_at_the_property_too(bench: Bench, kv2: str, prop: str, expected: bool) -> None:
    data = {"text": "x", "empty": "", "null": None, "o": {"a": "", "n": None}}
    bench.vault("POST", f"/{kv2}/data/there", {"data": data})
    assert bench.harness.exists(bench.store(kv2), "there", property=prop) is expected


def test_a_secret_that_is_not_there_does_not_exist(bench: Bench, kv2: str) -> None:
    assert bench.harness.exists(bench.store(kv2), "never") is False


COSTS = {
    "v2 new": ("v2", "new", {"ReadSecretData": 2, "WriteSecretData": 2}),
    "v2 equal": ("v2", "equal", {"ReadSecretData": 2}),
    "v2 changed": ("v2", "changed", {"ReadSecretData": 2, "WriteSecretData": 1}),
    "v2 delete": ("v2", "delete", {"ReadSecretData": 2, "DeleteSecret": 1}),
    "v2 delete one property": ("v2", "delete one", {"ReadSecretData": 2, "DeleteSecret": 1}),
    "v1 new": ("v1", "new", {"ReadSecretData": 1, "WriteSecretData": 1}),
    "v1 equal": ("v1", "equal", {"ReadSecretData": 1}),
    "v1 changed": ("v1", "changed", {"ReadSecretData": 1, "WriteSecretData": 1}),
    "v1 delete": ("v1", "delete", {"ReadSecretData": 1, "DeleteSecret": 1}),
    "v1 delete one property": ("v1", "delete one", {"ReadSecretData": 1, "DeleteSecret": 1}),
}


@pytest.mark.parametrize("case", COSTS)
def test_writes_cost_no_more_calls_than_needed(bench: Bench, kv1: str, kv2: str, case: str) -> None:
    version, action, expected = COSTS[case]
    store = bench.store(kv1 if version == "v1" else kv2, version=version)
    key = f"cost/{case.replace(' ', '-')}"
    bench.harness.exists(store, "cost/warm")
    if action != "new":
        bench.harness.push(store, key, {"a": b"1", **({"b": b"2"} if action == "delete one" else {})})
    actions = {
        "new": lambda: bench.harness.push(store, key, {"a": b"1"}),
        "equal": lambda: bench.harness.push(store, key, {"a": b"1"}),
        "changed": lambda: bench.harness.push(store, key, {"a": b"2"}),
        "delete": lambda: bench.harness.delete(store, key),
        "delete one": lambda: bench.harness.delete(store, key, property="b"),
    }
    assert cost(bench, actions[action]) == expected


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_without_a_store_path_secrets_are_pushed_found_and_deleted_too(
    bench: Bench, kv1: str, kv2: str, version: str
) -> None:
    """The mount then stands in every key; what a find gives is relative to the mount all the same."""
    mount = kv1 if version == "v1" else kv2
    store = bench.store(None, version=version)
    bench.harness.push(store, f"{mount}/nopath/app", {"a": b"1"})
    assert set(bench.harness.find(store, path=f"{mount}/nopath")) == {"nopath/app"}
    assert bench.harness.exists(store, f"{mount}/nopath/app", property="a")
    bench.harness.delete(store, f"{mount}/nopath/app")
    assert not bench.harness.exists(store, f"{mount}/nopath/app")


BETWEEN = {
    "the reads and the write": ("POST", "{kv2}/data/{key}"),
    "the reads of data and metadata": ("GET", "{kv2}/metadata/{key}"),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_a_change_in_between_is_merged_or_reported(
    bench: Bench, kv2: str, fault_proxy: Any, between: str
) -> None:
    """With `checkAndSet.required` it is an error at once, else the secret is read again."""
    from eso_e2e.faults import Answer, Respond

    proxy = fault_proxy(bench.vault.address)
    stores = {
        required: bench.through(
            proxy, kv2, name=f"required-{required}".lower(), checkAndSet={"required": required}
        )
        for required in (False, True)
    }
    for required, store in stores.items():
        method, path = BETWEEN[between]
        key = f"push/raced-{required}-{method}".lower()
        bench.harness.push(store, key, {"k": b"1"}, secret_key="k", property="ours")

        def interfere(_: Any, key: str = key) -> Answer | None:
            bench.vault("POST", f"/{kv2}/data/{key}", {"data": {"ours": "1", "theirs": "2"}})
            return None

        proxy.inject(Respond(interfere), method=method, path=path.format(kv2=kv2, key=key), times=1)
        if required:
            with bench.harness.fails() as failure:
                bench.harness.push(store, key, {"k": b"3"}, secret_key="k", property="ours")
            assert failure.error.code == "CONFLICT"
            assert stored(bench, kv2, key) == {"ours": "1", "theirs": "2"}
        else:
            bench.harness.push(store, key, {"k": b"3"}, secret_key="k", property="ours")
            assert stored(bench, kv2, key) == {"ours": "3", "theirs": "2"}


def test_a_lost_answer_to_a_write_is_not_taken_for_somebody_elses_change(
    bench: Bench, kv2: str, fault_proxy: Any
) -> None:
    """The retry finds the version that its own first try has made."""
    from eso_e2e.faults import Reset

    proxy = fault_proxy(bench.vault.address)
    store = bench.through(proxy, kv2, retries=1, checkAndSet={"required": True})
    proxy.inject(Reset(after_backend=True), method="POST", path=f"{kv2}/data/push/lost", times=1)
    bench.harness.push(store, "push/lost", {"a": b"1"})
    assert (stored(bench, kv2, "push/lost"), versions(bench, kv2, "push/lost")) == ({"a": "1"}, 1)
