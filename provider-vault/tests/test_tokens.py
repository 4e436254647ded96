"""The token manager on a clock of its own, and against a real Vault whose tokens really end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from eso_e2e.faults import BlackHole, Respond
from grpc import StatusCode
from provider_common import CredentialsError, ProviderError, TemporaryError
from provider_common.testing import ProviderHarness
from provider_vault import KINDS
from provider_vault._http import VaultHttp
from provider_vault._tokens import Token, TokenManager

from .bench import Bench

if TYPE_CHECKING:
    from eso_e2e.vault import VaultApi

NAMESPACE = "team-a"


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeDoor:
    """A Vault that hands out numbered tokens, and may be told to fail."""

    def __init__(
        self, clock: Clock, *, ttl: float | None = 90.0, renewable: bool = True, ours: bool = True
    ) -> None:
        self.clock, self.ttl, self.renewable, self.ours = clock, ttl, renewable, ours
        self.revocable = True
        self.logins = 0
        self.renewed: list[str] = []
        self.revoked: list[str] = []
        self.renewal_ttl: float | None = ttl
        self.failure: ProviderError | None = None
        self.gate: threading.Event | None = None

    def login(self) -> Token:
        self.logins += 1
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        life = {"renewable": self.renewable, "ours": self.ours, "revocable": self.revocable}
        return Token(f"t{self.logins}", self.clock(), self.ttl, **life)

    def renew(self, token: Token) -> Token | None:
        self.renewed.append(token.value)
        if self.failure is not None:
            raise self.failure
        if self.renewal_ttl is None:
            return None
        return Token(token.value, self.clock(), self.renewal_ttl, renewable=self.renewable, ours=token.ours)

    def revoke(self, token: Token) -> None:
        self.revoked.append(token.value)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def manager(clock: Clock) -> TokenManager:
    made = TokenManager(clock=clock)
    made.hold()
    return made


def test_a_fresh_token_costs_nothing(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    assert {tokens.current(door).value for _ in range(100)} == {"t1"}
    assert (door.logins, door.renewed) == (1, [])


def test_a_stale_token_is_renewed_once_and_used(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    tokens.current(door)
    clock.now += 61
    assert tokens.current(door).value == "t1"
    assert tokens.current(door).value == "t1"
    assert (door.logins, door.renewed) == (1, ["t1"])


@pytest.mark.parametrize("renewal", [None, 5.0], ids=["refused", "capped by the maximum lifetime"])
def test_a_renewal_that_gives_no_life_is_followed_by_a_login(clock: Clock, renewal: float | None) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    tokens.current(door)
    door.renewal_ttl = renewal
    clock.now += 61
    assert tokens.current(door).value == "t2"


def test_a_token_that_can_not_be_renewed_is_replaced_before_it_ends(clock: Clock) -> None:
    door, tokens = FakeDoor(clock, renewable=False), manager(clock)
    tokens.current(door)
    clock.now += 61
    assert tokens.current(door).value == "t2"
    assert door.renewed == []


def test_while_a_renewal_fails_the_old_token_is_used(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """It is good for a third of its life, and renewal is not tried at every call."""
    door, tokens = FakeDoor(clock), manager(clock)
    tokens.current(door)
    clock.now += 61
    door.failure = TemporaryError("Vault is away")
    assert {tokens.current(door).value for _ in range(10)} == {"t1"}
    assert door.renewed == ["t1"]
    clock.now += 6
    door.failure = None
    tokens.current(door)
    assert door.renewed == ["t1", "t1"]
    assert "Vault is away" in caplog.text


def test_a_spent_token_is_never_used(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    tokens.current(door)
    clock.now += 86
    assert tokens.current(door).value == "t2"


def test_a_token_without_end_is_kept(clock: Clock) -> None:
    door, tokens = FakeDoor(clock, ttl=None), manager(clock)
    tokens.current(door)
    clock.now += 1e9
    assert tokens.current(door).value == "t1"


def test_callers_at_the_same_time_share_one_login(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    door.gate = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(tokens.current, door) for _ in range(8)]
        door.gate.set()
        assert {future.result(10).value for future in waiting} == {"t1"}
    assert door.logins == 1


@pytest.mark.parametrize("failure", [CredentialsError("no"), TemporaryError("away")], ids=["refused", "away"])
def test_callers_at_the_same_time_share_a_failure(clock: Clock, failure: ProviderError) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    door.gate, door.failure = threading.Event(), failure
    arrived = threading.Barrier(9)

    def ask() -> str:
        arrived.wait(10)
        with pytest.raises(type(failure)) as caught:
            tokens.current(door)
        return str(caught.value)

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(ask) for _ in range(8)]
        arrived.wait(10)
        door.gate.set()
        assert {future.result(10) for future in waiting} == {failure.message}
    assert door.logins == 1


def test_a_refused_login_is_not_tried_again_at_once(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    door.failure = CredentialsError("no")
    for _ in range(5):
        with pytest.raises(CredentialsError):
            tokens.current(door)
    assert door.logins == 1
    clock.now += 6
    door.failure = None
    assert tokens.current(door).value == "t2"


def test_a_token_that_vault_calls_invalid_is_replaced(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    token = tokens.current(door)
    other = tokens.refused(token, door, gone=True)
    assert other is not None
    assert other.value == "t2"
    assert tokens.refused(token, door, gone=True) == other
    assert (door.logins, door.revoked) == (2, [])


def test_a_denied_young_token_is_not_replaced_and_an_older_one_is(clock: Clock) -> None:
    """A new login has policies that were attached since; a login per denied read would be a storm."""
    door, tokens = FakeDoor(clock), manager(clock)
    token = tokens.current(door)
    assert tokens.refused(token, door, gone=False) is None
    clock.now += 11
    other = tokens.refused(token, door, gone=False)
    assert other is not None
    assert tokens.refused(other, door, gone=False) is None
    assert door.logins == 2


@pytest.mark.parametrize(
    "failure", [CredentialsError("used up"), TemporaryError("away")], ids=["refused", "away"]
)
def test_a_token_that_works_is_not_lost_to_a_login_that_fails(clock: Clock, failure: ProviderError) -> None:
    """A secret ID may be good for one login only: one forbidden path must not close the others."""
    door, tokens = FakeDoor(clock), manager(clock)
    token = tokens.current(door)
    clock.now += 11
    door.failure = failure
    assert tokens.refused(token, door, gone=False) is None
    assert tokens.current(door) == token
    assert tokens.refused(token, door, gone=False) is None
    assert (door.logins, door.revoked) == (2, [])


def test_a_token_of_somebody_else_that_is_gone_is_asked_about_again(clock: Clock) -> None:
    """Nothing else would tell Validate that a token, once known to be good, is not any more."""
    door, tokens = FakeDoor(clock, ours=False), manager(clock)
    token = tokens.current(door)
    assert tokens.refused(token, door, gone=True) is None
    door.failure = CredentialsError("gone")
    with pytest.raises(CredentialsError):
        tokens.current(door)


def test_a_replaced_token_is_revoked_when_no_call_can_use_it_any_more(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    token = tokens.current(door)
    clock.now += 11
    tokens.refused(token, door, gone=False)
    assert door.revoked == []
    clock.now += 50
    second = tokens.current(door)
    tokens.refused(second, door, gone=False)
    assert door.revoked == ["t1"]


def test_the_last_holder_revokes(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    tokens.hold()
    tokens.current(door)
    tokens.release(door)
    assert door.revoked == []
    tokens.release(door)
    assert door.revoked == ["t1"]


@pytest.mark.parametrize("why", ["not ours", "a batch token", "leases hang on it"])
def test_some_tokens_are_never_revoked(clock: Clock, why: str) -> None:
    """A batch token can't be: Vault would answer 400."""
    door, tokens = FakeDoor(clock, ours=why != "not ours"), manager(clock)
    door.revocable = why != "a batch token"
    token = tokens.current(door)
    if why == "leases hang on it":
        tokens.keep(token)
    tokens.release(door)
    assert door.revoked == []


def test_a_token_shorter_than_a_lease_is_replaced_first(clock: Clock) -> None:
    door, tokens = FakeDoor(clock), manager(clock)
    tokens.current(door, at_least=90)
    clock.now += 10
    assert tokens.current(door, at_least=90).value == "t2"
    assert tokens.current(door, at_least=90).value == "t2"


def test_a_static_token_shorter_than_a_lease_is_not_looked_up_again_and_again(clock: Clock) -> None:
    """There is no other one to be had."""
    door, tokens = FakeDoor(clock, ours=False), manager(clock)
    for _ in range(3):
        assert tokens.current(door, at_least=900).value == "t1"
        clock.now += 1
    assert door.logins == 1


def test_a_token_does_not_show_itself() -> None:
    assert "s.secret" not in repr(Token("s.secret", 0.0))


# -- against a real Vault ----------------------------------------------------------------------------------------------


def approle(bench: Bench, kv2: str, **role: Any) -> tuple[str, Any]:
    """A store that logs in by AppRole, and the mount of the method."""
    auth = bench.approle(f'path "{kv2}/*" {{ capabilities = ["read"] }}', **role)
    spec = {"server": bench.vault.address, "path": kv2, "auth": auth}
    return auth["appRole"]["path"], bench.harness.add_store(NAMESPACE, spec)


def until(done: Callable[[], bool], step: Callable[[], object], *, seconds: float = 30) -> None:
    """Repeat `step`, which has to succeed every time, until `done`."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        step()


@pytest.mark.real
def test_a_periodic_token_is_renewed_while_the_store_is_used(bench: Bench, kv2: str) -> None:
    _, store = approle(bench, kv2, token_period="2s")
    until(lambda: bench.calls().get("RenewSelf", 0) >= 3, lambda: bench.harness.exists(store, "x"))
    assert bench.calls()["Login"] == 1


@pytest.mark.real
def test_a_token_at_its_maximum_lifetime_is_replaced_without_a_failed_call(bench: Bench, kv2: str) -> None:
    _, store = approle(bench, kv2, token_ttl="2s", token_max_ttl="3s")
    until(lambda: bench.calls().get("Login", 0) >= 3, lambda: bench.harness.exists(store, "x"))


@pytest.mark.real
def test_a_batch_token_is_used_replaced_and_not_revoked(bench: Bench, kv2: str) -> None:
    """It can be neither renewed nor revoked."""
    _, store = approle(bench, kv2, token_type="batch", token_ttl="2s")
    until(lambda: bench.calls().get("Login", 0) >= 3, lambda: bench.harness.exists(store, "x"))
    spec = bench.harness.kube.get_object(store.api_version, store.kind, NAMESPACE, store.name).spec
    changed = bench.harness.add_store(NAMESPACE, {**spec, "headers": {"X-Other": "identity"}})
    bench.harness.exists(changed, "x")  # the first store closes
    assert {"RenewSelf", "RevokeSelf"} & set(bench.calls()) == set()


@pytest.mark.real
def test_a_forbidden_path_costs_no_token_whose_secret_id_is_used_up(
    bench: Bench, vault_dev: VaultApi, kv2: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider_vault._tokens.RELOGIN_AFTER", 0.0)
    vault_dev("POST", f"/{kv2}/data/open", {"data": {"k": "v"}})
    auth = bench.approle(f'path "{kv2}/data/open" {{ capabilities = ["read"] }}', secret_id_num_uses=1)
    store = bench.harness.add_store(NAMESPACE, {"server": vault_dev.address, "path": kv2, "auth": auth})
    for _ in range(2):
        assert bench.harness.exists(store, "open", property="k")
        with bench.harness.fails() as failure:
            bench.harness.exists(store, "closed")
        assert failure.code is StatusCode.PERMISSION_DENIED


@pytest.mark.real
def test_a_token_s_life_counts_from_the_request(bench: Bench, fault_proxy: Any) -> None:
    """A slow answer would otherwise make it look younger than it is, and it would be used when it has ended."""
    arrived: list[float] = []

    def note(_: Any) -> None:
        arrived.append(time.monotonic())

    proxy = fault_proxy(bench.vault.address)
    proxy.inject(Respond(note))
    answer = VaultHttp(proxy.url).send("GET", "auth/token/lookup-self", token=bench.vault.root_token)
    assert answer.ok
    assert answer.asked <= arrived[0]


@pytest.mark.real
def test_a_token_revoked_by_somebody_else_is_replaced_within_the_call(bench: Bench, kv2: str) -> None:
    path, store = approle(bench, kv2, token_ttl="1h")
    assert bench.harness.exists(store, "x") is False
    bench.vault("PUT", f"/sys/leases/revoke-prefix/auth/{path}")
    assert bench.harness.exists(store, "x") is False
    assert bench.calls()["Login"] == 2


@pytest.mark.real
def test_a_token_with_few_uses_is_replaced_within_the_call(bench: Bench, kv2: str) -> None:
    _, store = approle(bench, kv2, token_num_uses=3)
    for _ in range(8):
        assert bench.harness.exists(store, "x") is False
    assert bench.calls()["Login"] >= 3


@pytest.mark.real
def test_a_static_periodic_token_is_renewed_too(bench: Bench, kv2: str) -> None:
    """Nobody else does it: without renewal it would end while the store is in use."""
    policy = bench.vault.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
    store = bench.store(kv2, token=bench.vault.create_token(policies=[policy], period="2s"))
    until(lambda: bench.calls().get("RenewSelf", 0) >= 2, lambda: bench.harness.exists(store, "x"))


@pytest.mark.real
def test_a_static_periodic_token_is_renewed_where_its_store_is_only_validated(bench: Bench, kv2: str) -> None:
    """Between two refreshes an hour apart nothing else looks after it."""
    policy = bench.vault.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
    store = bench.store(kv2, token=bench.vault.create_token(policies=[policy], period="2s"))

    def validate() -> None:
        assert bench.harness.validate(store).valid

    until(lambda: bench.calls().get("RenewSelf", 0) >= 2, validate)


@pytest.mark.real
def test_a_token_replaced_in_its_secret_is_taken_up_within_the_call(bench: Bench, kv2: str) -> None:
    """Whoever rotates it revokes the old one, and changes nothing else."""
    policy = bench.vault.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
    first, second = (bench.vault.create_token(policies=[policy]) for _ in range(2))
    bench.harness.kube.add_secret(NAMESPACE, "rotated", {"token": first.encode()})
    auth = {"tokenSecretRef": {"name": "rotated", "key": "token"}}
    store = bench.harness.add_store(NAMESPACE, {"server": bench.vault.address, "path": kv2, "auth": auth})
    assert bench.harness.exists(store, "x") is False
    bench.vault("POST", "/auth/token/revoke", {"token": first})
    with bench.harness.fails() as failure:
        bench.harness.exists(store, "x")
    assert failure.code is StatusCode.UNAUTHENTICATED
    answer = bench.harness.validate(store)
    assert (answer.valid, "token" in answer.error) == (False, True)
    bench.harness.kube.add_secret(NAMESPACE, "rotated", {"token": second.encode()})
    until(lambda: bench.harness.validate(store).valid, lambda: None)
    assert bench.harness.exists(store, "x") is False


@pytest.mark.real
def test_a_revoked_static_token_is_unauthenticated(bench: Bench, kv2: str) -> None:
    token = bench.vault.create_token(policies=["default"])
    store = bench.store(kv2, token=token)
    with bench.harness.fails() as failure:
        bench.harness.exists(store, "x")
    assert failure.code is StatusCode.PERMISSION_DENIED
    bench.vault("POST", "/auth/token/revoke", {"token": token})
    with bench.harness.fails() as failure:
        bench.harness.exists(store, "y")
    assert failure.code is StatusCode.UNAUTHENTICATED
    assert token not in failure.message


@pytest.mark.real
def test_a_token_that_may_not_look_itself_up_is_used_all_the_same(bench: Bench, kv2: str) -> None:
    policy = bench.vault.write_policy(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
    store = bench.store(kv2, token=bench.vault.create_token(policies=[policy], no_default_policy=True))
    assert bench.harness.exists(store, "x") is False


@pytest.mark.real
@pytest.mark.parametrize("stores", [1, 3])
def test_tokens_are_revoked_at_drain(bench: Bench, vault_dev: VaultApi, kv2: str, stores: int) -> None:
    """Stores of one identity share a token, and none is left behind."""
    with ProviderHarness(*KINDS) as harness:
        bench.harness = harness
        before = set(vault_dev("LIST", "/auth/token/accessors")["data"]["keys"])
        _, first = approle(bench, kv2, token_ttl="1h")
        spec = harness.kube.get_object(first.api_version, first.kind, NAMESPACE, first.name).spec
        for number in range(stores):
            harness.exists(harness.add_store(NAMESPACE, spec, name=f"store-{number}"), "x")
        during = set(vault_dev("LIST", "/auth/token/accessors")["data"]["keys"])
        assert len(during - before) == 1
    # Not "the same as before": tokens of other tests may have ended meanwhile.
    assert not set(vault_dev("LIST", "/auth/token/accessors")["data"]["keys"]) - before


@pytest.mark.real
def test_a_vault_that_does_not_answer_holds_the_drain_up_once(
    bench: Bench, kv2: str, fault_proxy: Any
) -> None:
    """Not once for each of perhaps hundreds of identities: the process would be killed over it."""
    proxy = fault_proxy(bench.vault.address)
    with ProviderHarness(*KINDS) as harness:
        bench.harness = harness
        auth = bench.approle(f'path "{kv2}/*" {{ capabilities = ["read"] }}')
        spec = {"server": proxy.url, "path": kv2, "auth": auth}
        for number in range(4):
            other = {**spec, "headers": {"X-Identity": str(number)}}
            harness.exists(harness.add_store(NAMESPACE, other, name=f"store-{number}"), "x")
        proxy.inject(BlackHole(), path="revoke-self")
    assert proxy.count(path="/login") == 4
    assert proxy.count(path="revoke-self") == 1
