"""VaultDynamicSecret against a real Vault: results, leases, and what happens to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from eso_e2e.faults import Answer as Made
from eso_e2e.faults import Reset, Rewrite
from grpc import StatusCode
from provider_common.testing import GeneratorHandle, ProviderHarness
from provider_vault import KINDS
from provider_vault._http import Answer
from provider_vault.dynamic import lease_of, lease_seconds

from .bench import Bench, certificate_authority

if TYPE_CHECKING:
    from eso_e2e.vault import VaultApi

NAMESPACE = "team-a"


@pytest.fixture(scope="session")
def pki(vault_dev: VaultApi) -> str:
    return certificate_authority(vault_dev)


def generator(
    bench: Bench, path: str, *, auth: Any = None, name: str = "main", **more: Any
) -> GeneratorHandle:
    server = bench.spec(None)
    if auth is not None:
        server["auth"] = auth
    return bench.harness.add_generator(NAMESPACE, {"provider": server, "path": path, **more}, name=name)


def leases(bench: Bench, path: str) -> list[str]:
    from eso_e2e.http import AnswerError

    try:
        return list(bench.vault("LIST", f"/sys/leases/lookup/{path}")["data"]["keys"])
    except AnswerError:
        return []


@pytest.mark.real
def test_a_certificate_is_new_each_time(bench: Bench, pki: str) -> None:
    made = generator(bench, f"/{pki}/issue/app", method="POST", parameters={"common_name": "app.example"})
    first, state = bench.harness.generate(made)
    second, _ = bench.harness.generate(made)
    assert first["certificate"] != second["certificate"]
    assert first["private_key"].startswith(b"-----BEGIN")
    assert json.loads(first["ca_chain"])
    assert state in {b"", b"null"}


@pytest.mark.real
@pytest.mark.parametrize("method", ["GET", ""])
def test_get_reads_with_its_query(bench: Bench, kv2: str, method: str) -> None:
    for number in ("1", "2"):
        bench.vault("POST", f"/{kv2}/data/generated", {"data": {"n": number, "o": {"b": 1, "a": None}}})
    made = generator(bench, f"{kv2}/data/generated", method=method, getParameters={"version": ["1"]})
    values, _ = bench.harness.generate(made)
    assert json.loads(values["data"]) == {"n": "1", "o": {"a": None, "b": 1}}
    assert json.loads(values["metadata"])["version"] == 1


@pytest.mark.real
@pytest.mark.parametrize(
    ("method", "verb", "query", "body"),
    [
        ("GET", "GET", "?a=1&a=2&b=%3F", b""),
        ("LIST", "GET", "?list=true", b""),
        ("DELETE", "DELETE", "", b""),
        ("POST", "PUT", "", b'{"p":[1]}'),
        ("PATCH", "PUT", "", b'{"p":[1]}'),
    ],
)
def test_parameters_are_the_body_of_a_write_and_the_query_of_a_get(
    bench: Bench, fault_proxy: Any, *, method: str, verb: str, query: str, body: bytes
) -> None:  # fmt: skip
    """What a method has no place for is left out."""
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(200, b'{"data":{"k":"v"}}'), path="/v1/any/path")
    spec = {"provider": {**bench.spec(None), "server": proxy.url}, "path": "any/path", "method": method}
    both = {"parameters": {"p": [1]}, "getParameters": {"a": ["1", "2"], "b": ["?"]}}
    assert bench.harness.generate(bench.harness.add_generator(NAMESPACE, {**spec, **both}))[0] == {"k": b"v"}
    sent = proxy.requests[-1]
    assert (sent.method, sent.path, sent.body) == (verb, f"/v1/any/path{query}", body)


@pytest.mark.real
def test_list_and_delete_are_methods_too(bench: Bench, vault_dev: VaultApi) -> None:
    mount = vault_dev.mount("kv", {"version": "1"})
    bench.vault("POST", f"/{mount}/one", {"a": "b"})
    values, _ = bench.harness.generate(generator(bench, mount, method="LIST"))
    assert values == {"keys": b'["one"]'}
    gone = generator(bench, f"{mount}/one", method="DELETE", allowEmptyResponse=True, name="gone")
    assert bench.harness.generate(gone)[0] == {}
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, f"{mount}/one", name="again"))
    assert failure.code is StatusCode.FAILED_PRECONDITION


@pytest.mark.real
def test_an_empty_answer_is_an_error_unless_allowed(bench: Bench, vault_dev: VaultApi) -> None:
    mount = vault_dev.mount("kv", {"version": "1"})
    write = {"method": "POST", "parameters": {"a": "b"}}
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, f"{mount}/x", **write))
    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert "allowEmptyResponse" in failure.message
    values, _ = bench.harness.generate(
        generator(bench, f"{mount}/x", allowEmptyResponse=True, name="ok", **write)
    )
    assert values == {}


@pytest.mark.real
@pytest.mark.parametrize("result", ["Data", "Auth", "Raw"])
@pytest.mark.parametrize("method", ["GET", "LIST"])
def test_nothing_at_the_path_is_an_empty_answer(
    bench: Bench, vault_dev: VaultApi, method: str, result: str
) -> None:
    """As for Go, whose client turns a 404 into nothing; a mount that is not there stays an error."""
    mount = vault_dev.mount("kv", {"version": "1"})
    allowed = {"method": method, "resultType": result, "allowEmptyResponse": True}
    assert bench.harness.generate(generator(bench, f"{mount}/none", **allowed))[0] == {}
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, "nowhere/none", name="nowhere", **allowed))
    assert failure.code is StatusCode.FAILED_PRECONDITION


@pytest.mark.real
def test_the_auth_section_and_the_raw_answer_are_results_too(bench: Bench) -> None:
    body = {"method": "POST", "parameters": {"ttl": "5m", "policies": ["default"]}}
    values, _ = bench.harness.generate(generator(bench, "auth/token/create", resultType="Auth", **body))
    assert values["client_token"].startswith(b"hvs.")
    assert values["lease_duration"] == b"300"
    raw, _ = bench.harness.generate(
        generator(bench, "auth/token/create", resultType="Raw", name="raw", **body)
    )
    assert {"request_id", "auth", "data", "lease_id", "warnings"} <= set(raw)
    assert json.loads(raw["auth"])["token_type"] == "service"


@pytest.mark.real
def test_a_wrapped_answer_is_a_result_of_its_own(bench: Bench, kv2: str) -> None:
    """Whoever has the wrapping token gets what is in it, once; the provider never sees it."""
    bench.vault("POST", f"/{kv2}/data/wrapped", {"data": {"n": "1"}})
    spec = {"provider": {**bench.spec(None), "headers": {"X-Vault-Wrap-TTL": "60s"}}, "resultType": "Raw"}
    made = bench.harness.add_generator(NAMESPACE, {**spec, "path": f"{kv2}/data/wrapped"})
    values, _ = bench.harness.generate(made)
    token = json.loads(values["wrap_info"])["token"]
    assert values["data"] == b""
    assert bench.vault("POST", "/sys/wrapping/unwrap", {"token": token})["data"]["data"] == {"n": "1"}


@pytest.mark.real
def test_a_part_that_is_not_there_is_an_error(bench: Bench, kv2: str) -> None:
    bench.vault("POST", f"/{kv2}/data/generated", {"data": {"n": "1"}})
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, f"{kv2}/data/generated", resultType="Auth"))
    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert "resultType" in failure.message


@pytest.mark.real
def test_nothing_at_the_path_is_not_not_found(bench: Bench) -> None:
    """A generator has no absent secret."""
    with bench.harness.fails() as failure:
        bench.harness.generate(generator(bench, "nowhere/at/all"))
    assert failure.code is StatusCode.FAILED_PRECONDITION


@pytest.mark.real
def test_without_the_option_a_lease_ends_by_itself(bench: Bench, pki: str) -> None:
    """Consumers may use it until then."""
    made = generator(bench, f"{pki}/issue/app", method="POST", parameters={"common_name": "a.example"})
    before = len(leases(bench, f"{pki}/issue/app"))
    bench.harness.generate(made)
    assert len(leases(bench, f"{pki}/issue/app")) == before + 1


@pytest.mark.real
def test_the_state_is_the_lease_and_cleanup_revokes_it(bench: Bench, pki: str) -> None:
    more = {"method": "POST", "parameters": {"common_name": "a.example"}, "revokeOnCleanup": True}
    made = generator(bench, f"{pki}/issue/app", **more)
    _, first = bench.harness.generate(made)
    _, second = bench.harness.generate(made)
    names = [json.loads(state)["leaseID"].rsplit("/", 1)[1] for state in (first, second)]
    assert set(names) <= set(leases(bench, f"{pki}/issue/app"))
    bench.harness.cleanup(made, first)
    left = leases(bench, f"{pki}/issue/app")
    assert (names[0] in left, names[1] in left) == (False, True)
    bench.harness.cleanup(made, first)


@pytest.mark.real
def test_the_state_of_a_token_is_its_accessor(bench: Bench) -> None:
    from eso_e2e.http import AnswerError

    body = {"method": "POST", "parameters": {"ttl": "5m"}, "revokeOnCleanup": True}
    made = generator(bench, "auth/token/create", resultType="Auth", **body)
    values, state = bench.harness.generate(made)
    token = values["client_token"].decode()
    assert token.encode() not in state
    bench.vault("GET", "/auth/token/lookup-self", token=token)
    bench.harness.cleanup(made, state)
    with pytest.raises(AnswerError):
        bench.vault("GET", "/auth/token/lookup-self", token=token)
    bench.harness.cleanup(made, state)


@pytest.mark.real
@pytest.mark.parametrize("state", [b"{}", b'{"leaseID": 1}', b'{"other": "x"}'])
def test_a_state_that_is_not_ours_is_refused(bench: Bench, pki: str, state: bytes) -> None:
    made = generator(bench, f"{pki}/issue/app", revokeOnCleanup=True)
    with bench.harness.fails() as failure:
        bench.harness.cleanup(made, state)
    assert failure.code is StatusCode.INVALID_ARGUMENT


@pytest.fixture
def approle(bench: Bench, pki: str) -> dict[str, Any]:
    return bench.approle(f'path "{pki}/issue/app" {{ capabilities = ["update"] }}')


@pytest.mark.real
def test_the_login_is_kept_while_it_outlives_the_lease(
    bench: Bench, pki: str, approle: dict[str, Any]
) -> None:
    body = {"method": "PUT", "parameters": {"common_name": "a.example"}}
    made = generator(bench, f"{pki}/issue/app", auth=approle, **body)
    for _ in range(5):
        bench.harness.generate(made)
    assert bench.calls()["Login"] == 1


@pytest.mark.real
def test_a_login_that_would_end_before_the_lease_is_replaced_first(
    bench: Bench, pki: str, approle: dict[str, Any]
) -> None:
    """The lease would end with it. What is left is a role whose tokens are too short: a new login gives the most there is."""
    bench.vault("POST", f"/auth/{approle['appRole']['path']}/role/app", {"token_ttl": "2m"})
    body = {"method": "PUT", "parameters": {"common_name": "a.example", "ttl": "5m"}}
    made = generator(bench, f"{pki}/issue/app", auth=approle, **body)
    for _ in range(3):
        bench.harness.generate(made)
    assert bench.calls()["Login"] == 3


@pytest.mark.real
def test_leases_outlive_the_provider(
    bench: Bench, vault_dev: VaultApi, pki: str, approle: dict[str, Any]
) -> None:
    """Revoking the login at drain would revoke every lease that hangs on it."""
    with ProviderHarness(*KINDS, kube=bench.harness.kube) as harness:
        outer, bench.harness = bench.harness, harness
        body = {"method": "PUT", "parameters": {"common_name": "a.example"}, "revokeOnCleanup": True}
        _, state = bench.harness.generate(generator(bench, f"{pki}/issue/app", auth=approle, **body))
        bench.harness = outer
    assert json.loads(state)["leaseID"].rsplit("/", 1)[1] in leases(bench, f"{pki}/issue/app")


LOST = {
    "connection": Reset(after_backend=True),
    "gateway timeout": Rewrite(lambda _, __: Made(504, b"<html>")),
    "bad gateway": Rewrite(lambda _, __: Made(502, b"<html>")),
}


@pytest.mark.real
@pytest.mark.parametrize("by", LOST)
def test_retries_never_make_a_second_lease_in_secret(
    bench: Bench, pki: str, fault_proxy: Any, by: str
) -> None:
    """The answer is lost after Vault has done the work: asking again would leave a lease that nobody knows of."""
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(LOST[by], path=f"{pki}/issue")
    server = {**bench.spec(None), "server": proxy.url}
    spec = {
        "provider": server,
        "path": f"{pki}/issue/app",
        "method": "POST",
        "parameters": {"common_name": "a.example"},
    }
    settings = {"retrySettings": {"maxRetries": 5, "retryInterval": "10ms"}}
    with bench.harness.fails() as failure:
        bench.harness.generate(bench.harness.add_generator(NAMESPACE, {**spec, **settings}))
    assert failure.code is StatusCode.UNAVAILABLE
    assert proxy.count(path=f"{pki}/issue") == 1


@pytest.mark.real
def test_its_own_retry_settings_are_applied(bench: Bench, kv2: str, fault_proxy: Any) -> None:
    bench.vault("POST", f"/{kv2}/data/generated", {"data": {"n": "1"}})
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(503, b"{}"), path=kv2, times=3)
    spec = {"provider": {**bench.spec(None), "server": proxy.url}, "path": f"{kv2}/data/generated"}
    settings = {"retrySettings": {"maxRetries": 3, "retryInterval": "10ms"}}
    values, _ = bench.harness.generate(bench.harness.add_generator(NAMESPACE, {**spec, **settings}))
    assert json.loads(values["data"]) == {"n": "1"}


@pytest.mark.real
@pytest.mark.parametrize(
    ("settings", "tries"),
    [({"retryInterval": "10ms"}, 3), ({"maxRetries": 0}, 1), ({"maxRetries": 4, "retryInterval": "10ms"}, 5)],
    ids=["only the pause", "none", "both"],
)
def test_retry_settings_say_what_they_say_and_no_more(
    bench: Bench, fault_proxy: Any, settings: dict[str, Any], tries: int
) -> None:
    """Whoever sets the pause only did not ask for no retries at all."""
    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Made(503, b"{}"), path="/v1/any/path")
    spec = {"provider": {**bench.spec(None), "server": proxy.url}, "path": "any/path"}
    with bench.harness.fails() as failure:
        bench.harness.generate(bench.harness.add_generator(NAMESPACE, {**spec, "retrySettings": settings}))
    assert failure.code is StatusCode.UNAVAILABLE
    assert proxy.count(path="/v1/any/path") == tries


@pytest.mark.parametrize(
    ("body", "state", "seconds"),
    [
        ({"lease_id": "a/b/c", "lease_duration": 60}, {"leaseID": "a/b/c"}, 60.0),
        ({"lease_id": "", "lease_duration": 60, "auth": None}, None, 0.0),
        ({"lease_id": "", "auth": {"accessor": "acc", "lease_duration": 30}}, {"accessor": "acc"}, 30.0),
        ({"auth": {"accessor": "", "lease_duration": 30}}, None, 0.0),
        ({}, None, 0.0),
        (None, None, 0.0),
    ],
)
def test_what_can_be_revoked_is_known_from_the_answer(body: Any, state: Any, seconds: float) -> None:
    """KV v1 answers a lease_duration without a lease: a hint when to read again, and nothing to revoke."""
    answer = Answer(200, body)
    assert (lease_of(answer), lease_seconds(answer)) == (state, seconds)
