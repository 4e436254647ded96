"""Vault namespaces: the open edition ignores them, so it must not be asked; editions that have them are sent the header.

Vault Enterprise can't be had here. A proxy tells its edition and records the headers; the open server behind it ignores
them, as it would.
"""

from __future__ import annotations

from typing import Any

import pytest
from eso_e2e.faults import Answer as Made
from grpc import StatusCode
from provider_vault._consistency import Consistency
from provider_vault._namespaces import has_namespaces

from .bench import Bench


@pytest.mark.parametrize(
    ("version", "enterprise", "expected"),
    [
        ("1.21.0", False, False),
        ("1.21.0+ent", True, True),
        ("1.13.4+ent.hsm", None, True),
        ("1.13.4", None, False),
        ("2.3.1", None, True),
        ("2.4.0-beta20250901", None, True),
        ("2.2.0", None, False),
        ("2.0.0", False, False),
        ("nonsense", None, False),
    ],
)
def test_editions_with_namespaces_are_known_by_their_health(
    version: str, enterprise: Any, expected: bool
) -> None:
    """Vault tells since 1.17; OpenBao, which never does, has them since 2.3."""
    assert has_namespaces(version, enterprise) is expected


@pytest.mark.real
@pytest.mark.parametrize("where", ["namespace", "auth.namespace"])
@pytest.mark.parametrize("rpc", ["get", "push", "find", "validate"])
def test_the_open_edition_is_not_asked_with_a_namespace(bench: Bench, kv2: str, where: str, rpc: str) -> None:
    """It would read from, and write into, its root namespace, with 200."""
    spec = bench.spec(kv2)
    if where == "namespace":
        spec["namespace"] = "team"
    else:
        spec["auth"]["namespace"] = "team"
    store = bench.harness.add_store("team-a", spec)
    calls = {
        "get": lambda: bench.harness.get_secret(store, "app"),
        "push": lambda: bench.harness.push(store, "lost", {"k": b"v"}),
        "find": lambda: bench.harness.find(store, name="x"),
        "validate": lambda: bench.harness.validate(store),
    }
    before = bench.calls()
    if rpc == "validate":
        answer = calls[rpc]()
        assert answer is not None
        assert not answer.valid
        assert "namespace" in answer.error
    else:
        with bench.harness.fails() as failure:
            calls[rpc]()
        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert "namespace" in failure.message
    assert before == {}
    assert set(bench.calls()) == {"Health"}


ENTERPRISE = b'{"initialized":true,"sealed":false,"version":"1.21.0+ent","enterprise":true}'
OPENBAO = b'{"initialized":true,"sealed":false,"version":"2.4.1"}'


@pytest.mark.real
@pytest.mark.parametrize("health", [ENTERPRISE, OPENBAO], ids=["Vault Enterprise", "OpenBao"])
def test_an_edition_with_namespaces_is_sent_the_header(
    bench: Bench, kv2: str, fault_proxy: Any, health: bytes
) -> None:
    """Asked for its edition once, however many calls there are."""
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(200, health), path="sys/health")
    store = bench.through(proxy, kv2, namespace="/team/x/")
    for number in range(5):
        bench.harness.exists(store, f"app-{number}")
    asked = [request for request in proxy.requests if "sys/health" in request.path]
    assert len(asked) == 1
    assert "x-vault-token" not in asked[0].headers
    others = [request for request in proxy.requests if "sys/health" not in request.path]
    assert {request.headers.get("x-vault-namespace") for request in others} == {"team/x"}


@pytest.mark.real
def test_the_login_may_be_in_a_namespace_of_its_own(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    policy = bench.vault.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
    path = bench.vault.enable_auth("userpass")
    bench.vault("POST", f"/auth/{path}/users/bob", {"password": "pw", "token_policies": [policy]})
    bench.harness.kube.add_secret("team-a", "bob", {"password": b"pw"})
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(200, ENTERPRISE), path="sys/health")
    login = {"path": path, "username": "bob", "secretRef": {"name": "bob", "key": "password"}}
    spec = {
        "server": proxy.url,
        "path": kv2,
        "namespace": "team",
        "auth": {"namespace": "admin", "userPass": login},
    }
    bench.harness.exists(bench.harness.add_store("team-a", spec), "x")
    seen = {(r.path.split("/")[2], r.headers.get("x-vault-namespace")) for r in proxy.requests}
    assert seen == {("sys", None), ("auth", "admin"), ("sys", "team"), (kv2, "team")}


@pytest.mark.real
@pytest.mark.parametrize(
    ("status", "code"), [(404, StatusCode.PERMISSION_DENIED), (502, StatusCode.UNAVAILABLE)]
)
def test_an_edition_that_can_not_be_told_is_not_asked(
    bench: Bench, kv2: str, fault_proxy: Any, status: int, code: StatusCode
) -> None:
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(status, b"<html>"), path="sys/health")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.through(proxy, kv2, namespace="team"), "app")
    assert failure.code is code
    assert proxy.count(path=kv2) == 0


@pytest.mark.real
def test_headers_go_with_every_request_the_login_included(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    proxy = fault_proxy(bench.vault.address)
    bench.harness.exists(bench.through(proxy, kv2, headers={"X-Team": "a"}), "x")
    assert proxy.requests
    assert {request.headers.get("x-team") for request in proxy.requests} == {"a"}
    assert {request.headers.get("x-vault-request") for request in proxy.requests} == {"true"}


@pytest.mark.real
def test_nothing_of_the_environment_is_used_but_proxies(
    bench: Bench, kv2: str, fault_proxy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """One provider serves many stores: a variable meant for a CLI must not lend one of them a token or a namespace."""
    (tmp_path / ".vault-token").write_text("from-the-home")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    for name, value in {
        "HOME": str(tmp_path), "VAULT_TOKEN": "from-the-environment", "VAULT_NAMESPACE": "elsewhere",
        "VAULT_ADDR": "http://127.0.0.1:1", "VAULT_CACERT": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    proxy = fault_proxy(bench.vault.address)
    spec = {"server": proxy.url, "path": kv2}
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.harness.add_store("team-a", spec), "app")
    assert failure.code in {StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED}
    for request in proxy.requests:
        assert not {"x-vault-token", "x-vault-namespace", "authorization"} & set(request.headers)


@pytest.mark.real
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "VAULT_HTTP_PROXY", "VAULT_PROXY_ADDR"])
def test_a_proxy_of_the_environment_is_used(
    bench: Bench, kv2: str, fault_proxy: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    proxy = fault_proxy(bench.vault.address)
    proxy.route("vault.example", bench.vault.address)
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, proxy.url)
    spec = {**bench.spec(kv2), "server": "http://vault.example"}
    assert bench.harness.exists(bench.harness.add_store("team-a", spec), "x") is False
    assert proxy.count(path=kv2) > 0


STATES = {  # v1:cluster:local:replicated:hmac, in base64
    "old": "djE6YzE6NTo1OmFh",
    "new": "djE6YzE6OTo5OmFh",
    "other cluster": "djE6YzI6MToxOmFh",
    "broken": "!!",
}


@pytest.mark.parametrize(
    ("read", "forward", "learned", "expected"),
    [
        (False, False, ["new"], {}),
        (True, False, ["old"], {"X-Vault-Index": STATES["old"]}),
        (True, False, ["old", "new"], {"X-Vault-Index": STATES["new"]}),
        (True, False, ["new", "old"], {"X-Vault-Index": STATES["new"]}),
        (True, False, ["new", "broken"], {"X-Vault-Index": STATES["new"]}),
        (True, False, ["new", "other cluster"], {"X-Vault-Index": STATES["other cluster"]}),
        (False, True, ["new"], {"X-Vault-Index": STATES["new"]}),
        (
            True,
            True,
            ["new"],
            {"X-Vault-Index": STATES["new"], "X-Vault-Inconsistent": "forward-active-node"},
        ),
        (True, True, [], {"X-Vault-Inconsistent": "forward-active-node"}),
    ],
)
def test_the_newest_state_is_replayed(
    read: bool, forward: bool, learned: list[str], expected: dict[str, str]
) -> None:
    made = Consistency(read_your_writes=read, forward_inconsistent=forward)
    for name in learned:
        made.learn(STATES[name])
    assert made.headers() == expected


@pytest.mark.real
def test_a_state_of_vault_goes_back_with_the_next_request(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    """Made up by the proxy: only Vault Enterprise sends one."""
    from eso_e2e.faults import Rewrite

    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(404, b'{"errors":[]}'), headers={"x-vault-index": "."})
    told = Rewrite(lambda _, a: Made(a.status, a.body, {**a.headers, "X-Vault-Index": STATES["new"]}))
    proxy.inject(told, path=f"{kv2}/data/a", times=1)
    store = bench.through(proxy, kv2, readYourWrites=True)
    bench.harness.exists(store, "a")
    bench.harness.exists(store, "b")
    assert proxy.requests[-1].headers["x-vault-index"] == STATES["new"]
