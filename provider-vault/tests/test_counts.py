"""What calls cost: numbers of requests that Vault sees, not seconds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from provider_common import ServerConfig
from provider_common.testing import ProviderHarness
from provider_vault import KINDS

from .bench import Bench

pytestmark = pytest.mark.real
NAMESPACE = "team-a"


@pytest.fixture
def login(bench: Bench, kv2: str) -> dict[str, Any]:
    """An AppRole login to `kv2`, whose credentials are in `NAMESPACE`."""
    return bench.approle(f'path "{kv2}/*" {{ capabilities = ["read", "list"] }}')


def test_a_thousand_reads_of_one_store_are_one_login_and_no_lookup(
    bench: Bench, kv2: str, login: dict[str, Any]
) -> None:
    """Every one of them goes to Vault: a thousand different keys."""
    for number in range(20):
        bench.vault("POST", f"/{kv2}/data/many/{number}", {"data": {"k": str(number)}})
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": login})

    def read(number: int) -> bytes:
        if number < 20:
            return bench.harness.get_secret(store, f"many/{number}", property="k", timeout=60)
        bench.harness.exists(store, f"many/{number}", timeout=60)
        return b""

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(1000)))[:20] == [b"%d" % n for n in range(20)]
    calls = bench.calls()
    assert {name: calls.get(name, 0) for name in ("Login", "LookupSelf", "ReadMount", "ReadSecretData")} == {
        "Login": 1,
        "LookupSelf": 0,
        "ReadMount": 1,
        "ReadSecretData": 1000,
    }


def test_a_refusal_counts_as_an_error_and_a_miss_does_not(bench: Bench, kv2: str) -> None:
    """That a secret is absent is an answer; dashboards alert on errors."""
    policy = bench.vault.write_policy(f'path "{kv2}/data/mine/*" {{ capabilities = ["read"] }}')
    store = bench.store(kv2, token=bench.vault.create_token(policies=[policy]))
    assert bench.harness.exists(store, "mine/nobody") is False
    with bench.harness.fails():
        bench.harness.exists(store, "theirs")
    counted = {
        line.partition('status="')[2].split('"')[0]: float(line.rsplit(" ", 1)[1])
        for line in bench.harness.metrics().splitlines()
        if line.startswith("externalsecret_provider_api_calls_count{") and 'call="ReadSecretData"' in line
    }
    assert counted == {"success": 1, "error": 1}


def test_ten_properties_of_ten_secrets_are_ten_reads(vault_dev: Any, kv2: str) -> None:
    """What one ExternalSecret asks at once is read once per secret."""
    config = replace(ServerConfig(), read_window=30.0)
    with ProviderHarness(*KINDS, config=config) as harness:
        for number in range(10):
            vault_dev(
                "POST", f"/{kv2}/data/ten/{number}", {"data": {f"p{p}": f"{number}-{p}" for p in range(10)}}
            )
        harness.kube.add_secret(NAMESPACE, "root", {"token": vault_dev.root_token.encode()})
        auth = {"tokenSecretRef": {"name": "root", "key": "token"}}
        store = harness.add_store(NAMESPACE, {"server": vault_dev.address, "path": kv2, "auth": auth})

        def read(pair: tuple[int, int]) -> bytes:
            return harness.get_secret(store, f"ten/{pair[0]}", property=f"p{pair[1]}", timeout=60)

        pairs = [(secret, prop) for prop in range(10) for secret in range(10)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, pairs)) == [b"%d-%d" % pair for pair in pairs]
        text = harness.metrics()
    (line,) = [
        line for line in text.splitlines()
        if line.startswith("externalsecret_provider_api_calls_count") and "ReadSecretData" in line
    ]  # fmt: skip
    assert float(line.rsplit(" ", 1)[1]) == 10


def test_a_cluster_store_used_from_many_namespaces_logs_in_once(
    bench: Bench, kv2: str, login: dict[str, Any]
) -> None:
    """Its credentials are in one namespace, so its callers share one identity."""
    secret = {**login["appRole"]["secretRef"], "namespace": NAMESPACE}
    auth = {"appRole": {**login["appRole"], "secretRef": secret}}
    spec = {"server": bench.vault.address, "path": kv2, "auth": auth}
    for number in range(20):
        store = bench.harness.cluster_store(NAMESPACE, spec, caller=f"caller-{number}")
        bench.harness.exists(store, f"x-{number}")
    assert bench.calls()["Login"] == 1


def test_tenants_with_other_credentials_do_not_share_a_token(bench: Bench, kv2: str) -> None:
    """The same names in two namespaces, and only one may read."""
    policy = bench.vault.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
    bench.vault("POST", f"/{kv2}/data/tenant", {"data": {"k": "v"}})
    path = bench.vault.enable_auth("userpass")
    for user, policies in (("alice", [policy]), ("bob", [])):
        bench.vault("POST", f"/auth/{path}/users/{user}", {"password": user, "token_policies": policies})
    stores = {}
    for user in ("alice", "bob"):
        namespace = f"team-{user}"
        bench.harness.kube.add_secret(namespace, "login", {"password": user.encode()})
        auth = {
            "userPass": {"path": path, "username": user, "secretRef": {"name": "login", "key": "password"}}
        }
        spec = {"server": bench.vault.address, "path": kv2, "auth": auth}
        stores[user] = bench.harness.add_store(namespace, spec)
    assert bench.harness.get_secret(stores["alice"], "tenant", property="k") == b"v"
    with bench.harness.fails() as failure:
        bench.harness.get_secret(stores["bob"], "tenant")
    assert failure.error.code == "ACCESS_DENIED"
    assert bench.calls()["Login"] == 2


def test_validate_of_a_store_in_use_costs_nothing(bench: Bench, kv2: str, login: dict[str, Any]) -> None:
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": login})
    bench.harness.exists(store, "x")
    before = bench.calls()
    assert bench.harness.validate(store).valid
    assert bench.calls() == before


def test_validate_of_a_new_store_logs_in_and_looks_at_the_mount(
    bench: Bench, kv2: str, login: dict[str, Any]
) -> None:
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": login})
    answer = bench.harness.validate(store)
    assert (answer.valid, list(answer.warnings)) == (True, [])
    assert bench.calls() == {"Login": 1, "ReadMount": 1}


def test_validate_warns_of_a_mount_that_can_not_be_seen(bench: Bench, login: dict[str, Any]) -> None:
    """It may be missing, or the policy may come later: that is for the user to know, not a broken store."""
    store = bench.harness.add_store(
        NAMESPACE, {"server": bench.vault.address, "path": "nowhere", "auth": login}
    )
    answer = bench.harness.validate(store)
    assert answer.valid
    assert "nowhere" in answer.warnings[0]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"version": "v1"}, "version"),
        ({"auth": {"tokenSecretRef": {"name": "bad", "key": "token"}}}, "token"),
    ],
    ids=["wrong version", "wrong token"],
)
def test_validate_finds_what_can_never_work(bench: Bench, kv2: str, more: dict[str, Any], word: str) -> None:
    bench.harness.kube.add_secret(NAMESPACE, "bad", {"token": b"hvs.wrong"})
    answer = bench.harness.validate(bench.harness.add_store(NAMESPACE, {**bench.spec(kv2), **more}))
    assert not answer.valid
    assert word in answer.error


def test_a_referent_store_is_not_logged_in_before_its_caller_is_known(
    bench: Bench, kv2: str, login: dict[str, Any]
) -> None:
    """Its credentials are the caller's, and validation has no caller."""
    spec = {"server": bench.vault.address, "path": kv2, "auth": login}
    store = replace(
        bench.harness.add_store(NAMESPACE, spec, store_kind="ClusterProvider"), source_namespace=""
    )
    answer = bench.harness.validate(store)
    assert answer.valid
    assert bench.calls() == {}
