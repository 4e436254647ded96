"""When a store is opened, shared, checked, replaced and closed."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self

import grpc
import pytest
from provider_common import Context, MissingReferenceError, ProviderV2, RemoteRef, SharedObjects, Spec
from provider_common.testing import ProviderHarness, StoreHandle
from provider_proto.provider.v1 import secretstore_pb2 as pb


@pytest.fixture
def store(harness: ProviderHarness, acme_spec) -> StoreHandle:
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    return harness.add_store("team-a", acme_spec())


def test_many_calls_at_once_open_one_store(harness, store, acme) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: harness.get_secret(store, "db"), range(64)))
    assert len(acme.opened) == 1
    assert harness.kube.secrets_read == [("team-a", "token")]


def test_a_changed_spec_takes_effect_at_once_and_closes_the_old_store(
    harness, store, acme, acme_spec
) -> None:
    harness.get_secret(store, "db")
    harness.add_store("team-a", acme_spec(label="second"))
    harness.get_secret(store, "db")
    assert [label for label, _ in acme.opened] == ["", "second"]
    assert acme.closed == 1


def test_a_status_update_of_the_object_opens_nothing(harness, store, acme, acme_spec) -> None:
    """A new resourceVersion with the same spec is the same store."""
    harness.get_secret(store, "db")
    harness.add_store("team-a", acme_spec())
    harness.get_secret(store, "db")
    assert len(acme.opened) == 1


def test_a_changed_credential_is_used_after_the_check_interval(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(check_credentials_after=0.0, read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"one"})
    store = harness.add_store("team-a", acme_spec())
    assert harness.get_secret(store, "whoami") == b"one"
    harness.kube.add_secret("team-a", "token", {"value": b"two"})
    assert harness.get_secret(store, "whoami") == b"two"
    assert acme.closed == 1


def test_an_unchanged_credential_keeps_the_store_open(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(check_credentials_after=0.0)
    harness.kube.add_secret("team-a", "token", {"value": b"one"})
    store = harness.add_store("team-a", acme_spec())
    for _ in range(5):
        harness.get_secret(store, "db")
    assert len(acme.opened) == 1
    assert len(harness.kube.secrets_read) >= 5


def test_a_refused_credential_is_looked_at_before_the_interval_and_the_call_is_made_again(
    harness, store, acme, monkeypatch
) -> None:
    """The backend answers 403: when the Secret has changed meanwhile, the user never sees it."""
    monkeypatch.setattr("provider_common._stores._RECHECK_SOON", 0.0)
    harness.get_secret(store, "db")
    harness.kube.add_secret("team-a", "token", {"value": b"fresh"})
    acme.refuse.add(b"t0ken")
    assert harness.get_secret(store, "whoami") == b"fresh"


def test_a_refused_credential_that_did_not_change_is_reported_once_asked(harness, store, acme) -> None:
    harness.get_secret(store, "db")
    acme.refuse.add(b"t0ken")
    with harness.fails() as failure:
        harness.get_secret(store, "whoami")
    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    assert acme.reads("whoami") == 1


def test_an_api_server_that_is_away_does_not_stop_a_store_that_is_open(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(check_credentials_after=0.0, read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"one"})
    store = harness.add_store("team-a", acme_spec())
    harness.get_secret(store, "db")
    harness.kube.unavailable = True
    harness.server._stores._check_after = 10.0
    assert harness.get_secret(store, "whoami") == b"one"


def test_a_secret_that_is_gone_stops_the_store(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(check_credentials_after=0.0, read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"one"})
    store = harness.add_store("team-a", acme_spec())
    harness.get_secret(store, "db")
    harness.kube.remove_secret("team-a", "token")
    with harness.fails() as failure:
        harness.get_secret(store, "db")
    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "MISSING_REFERENCE"
    assert "'token' in namespace 'team-a'" in failure.message


@pytest.mark.parametrize(
    ("break_it", "names"),
    [
        (lambda h: h.kube.remove_secret("team-a", "token"), "Secret 'token' in namespace 'team-a'"),
        (lambda h: h.kube.add_secret("team-a", "token", {"other": b"x"}), "no key 'value'"),
        (lambda h: h.kube.remove_object(*ACME_OBJECT), "AcmeKeyValue 'main'"),
    ],
    ids=["no-secret", "no-key", "no-config-object"],
)
def test_what_a_store_refers_to_and_is_not_there_is_never_not_found(harness, store, break_it, names) -> None:
    """NOT_FOUND would delete the user's Secret under deletionPolicy Delete."""
    break_it(harness)
    for call in (
        lambda: harness.get_secret(store, "db"),
        lambda: harness.get_secret_map(store, "db"),
        lambda: harness.find(store, name=""),
    ):
        with harness.fails() as failure:
            call()
        assert (failure.code, failure.error.code) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "MISSING_REFERENCE",
        )
        assert names in failure.message


ACME_OBJECT = ("provider.secretstore.external-secrets.io/v2alpha1", "AcmeKeyValue", "team-a", "main")


def test_fifty_callers_of_one_cluster_store_open_it_once(harness, acme, acme_spec) -> None:
    """Credentials in the provider's namespace do not depend on the caller."""
    harness.kube.add_secret("infra", "token", {"value": b"t0ken"})
    store = harness.cluster_store("infra", acme_spec(), caller="ns-0")
    for i in range(50):
        harness.get_secret(replace(store, source_namespace=f"ns-{i}"), "db")
    assert len(acme.opened) == 1


def test_two_tenants_of_a_referent_store_never_share_a_credential(harness, acme, acme_spec) -> None:
    """The key of a store holds the namespace in which its credentials are read."""
    for tenant in ("team-a", "team-b"):
        harness.kube.add_secret(tenant, "token", {"value": tenant.encode()})
    context = pb.StoreContext(
        kind="ClusterSecretStore", name="s", spec=pb.SecretStoreSpec(authentication_scope="ManifestNamespace")
    )
    store = replace(harness.cluster_store("infra", acme_spec(), caller="team-a"), store=context)
    with ThreadPoolExecutor(8) as pool:
        tenants = ["team-a", "team-b"] * 20
        seen = list(
            pool.map(lambda t: harness.get_secret(replace(store, source_namespace=t), "whoami"), tenants)
        )
    assert seen == [tenant.encode() for tenant in tenants]
    assert sorted(token for _, token in acme.opened) == [b"team-a", b"team-b"]


def test_a_store_nobody_uses_is_closed(harness, store, acme) -> None:
    harness.get_secret(store, "db")
    stores = harness.server._stores
    stores._max_idle = -1.0
    stores.sweep()
    assert (len(stores), acme.closed) == (0, 1)
    assert harness.get_secret(store, "whoami") == b"t0ken"


def test_the_number_of_open_stores_is_bounded(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(max_stores=3)
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    for i in range(8):
        harness.get_secret(harness.add_store("team-a", acme_spec(), name=f"s{i}"), "db")
    assert len(harness.server._stores) == 3
    assert acme.closed == 5


def test_a_store_in_use_is_closed_by_its_last_user(harness, store, acme, acme_spec) -> None:
    acme.gated.add("db")
    acme.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(harness.get_secret, store, "db")
        acme.waiting.acquire(timeout=10)
        harness.add_store("team-a", acme_spec(label="second"))
        harness.get_secret(store, "whoami")
        assert acme.closed == 0
        acme.gate.set()
        reading.result()
    assert acme.closed == 1


def test_a_store_deleted_while_a_call_runs_ends_with_that_call(harness, store, acme) -> None:
    """The call goes on with what it has; the next one learns that there is no such store, and never "no such secret"."""
    acme.gated.add("slow")
    acme.values["slow"] = b"late"
    acme.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(harness.get_secret, store, "slow", timeout=30)
        assert acme.waiting.acquire(timeout=10)
        harness.kube.remove_object(store.api_version, store.kind, "team-a", "main")
        with harness.fails() as failure:
            harness.get_secret(store, "slow")
        acme.gate.set()
        assert reading.result() == b"late"
    assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "MISSING_REFERENCE")


def test_stopping_closes_every_store_and_every_shared_object(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme()
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    harness.get_secret(harness.add_store("team-a", acme_spec()), "db")
    harness.server.stop()
    assert acme.closed == 1
    assert [manager.closed for manager in acme.managers] == [1]


def test_what_is_shared_by_credentials_is_closed_after_they_were_rotated_away(
    serve_acme, acme, acme_spec
) -> None:
    """One per rotation would stay for ever. What the open store uses stays, however old it is."""
    harness = serve_acme(check_credentials_after=0.0, read_window=0)
    now = time.monotonic()
    shared = harness.server._shared = harness.server._stores._shared = SharedObjects(clock=lambda: now)
    store = harness.add_store("team-a", acme_spec())
    for number in range(20):
        harness.kube.add_secret("team-a", "token", {"value": f"token-{number}".encode()})
        assert harness.get_secret(store, "whoami") == f"token-{number}".encode()
    assert len(shared) == len(acme.managers) == 20

    now += 3601
    shared.sweep()

    assert len(shared) == 1
    assert [manager.closed for manager in acme.managers] == [1] * 19 + [0]
    assert harness.get_secret(store, "whoami") == b"token-19"


@pytest.mark.parametrize("fails", [False, True], ids=["opened", "not opened"])
def test_a_store_holds_what_is_shared_until_it_is_closed(serve_acme, acme, acme_spec, fails) -> None:
    """One that could not be opened holds nothing."""
    harness = serve_acme(check_credentials_after=0.0, read_window=0)
    acme.opens = not fails
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    store = harness.add_store("team-a", acme_spec())
    if fails:
        with harness.fails():
            harness.get_secret(store, "whoami")
    else:
        harness.get_secret(store, "whoami")
    (entry,) = harness.server._shared._objects.values()
    assert entry.holders == (0 if fails else 1)


def test_a_generator_holds_what_is_shared_while_it_runs(harness, acme) -> None:
    harness.generate(harness.add_generator("team-a", {"digits": 4}))
    harness.generate(harness.add_generator("team-a", {"digits": 4}))
    (entry,) = harness.server._shared._objects.values()
    assert (acme.held_while_generating, entry.holders) == ([1, 1], 0)


def test_a_store_is_not_told_the_caller_unless_it_says_that_it_depends_on_it(harness, store, acme) -> None:
    """It is shared by callers of several namespaces: what it would be told is one of them, by chance."""
    harness.get_secret(store, "db")
    (entry,) = harness.server._stores._open.values()
    context: Any = entry.store._ctx
    with pytest.raises(RuntimeError, match="depends_on_caller"):
        _ = context.source_namespace


class TaggedSpec(Spec):
    """A store that may tell its backend who asks."""

    kind = "Tagged"
    tagged: bool = False


class Tagged(ProviderV2[TaggedSpec]):
    """Answers the caller that it was opened for."""

    def __init__(self, caller: str) -> None:
        self._caller = caller

    @classmethod
    def depends_on_caller(cls, spec: TaggedSpec) -> bool:
        return spec.tagged

    @classmethod
    def open(cls, ctx: Context[TaggedSpec]) -> Self:
        return cls(ctx.source_namespace if ctx.spec.tagged else "anybody")

    def get_secret(self, ref: RemoteRef) -> bytes:
        return self._caller.encode()


@pytest.mark.parametrize(
    ("tagged", "answers", "opened"),
    [(True, [b"team-a", b"team-b"], 2), (False, [b"anybody", b"anybody"], 1)],
    ids=["depends", "does not depend"],
)
def test_the_spec_decides_whether_there_is_one_store_per_caller(
    tagged: bool, answers: list[bytes], opened: int
) -> None:
    """Only where the backend is told who asks; elsewhere fifty namespaces share one login."""
    with ProviderHarness(Tagged) as harness:
        store = harness.cluster_store("infra", {"tagged": tagged}, caller="")
        seen = [
            harness.get_secret(replace(store, source_namespace=caller), "whoami")
            for caller in ("team-a", "team-b", "team-a", "team-b")
        ]
        assert seen == answers * 2
        assert harness.server._stores.opened == opened


def test_retry_settings_and_the_whole_store_reach_the_author(harness, acme, acme_spec) -> None:
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    spec = pb.SecretStoreSpec(
        controller="dev",
        retry_settings=pb.RetrySettings(max_retries=0, retry_interval="1m30s"),
        gating_policy="Enabled",
    )
    whole = pb.StoreContext(
        kind="SecretStore", name="mine", namespace="team-a", uid="u", generation=3, spec=spec
    )
    harness.get_secret(replace(harness.add_store("team-a", acme_spec()), store=whole), "db")
    (entry,) = harness.server._stores._open.values()
    context: Any = entry.store._ctx
    assert (context.retry.max_retries, context.retry.interval) == (0, 90.0)
    assert (context.store.name, context.store.generation) == ("mine", 3)
    assert context.store.spec["controller"] == "dev"


def test_an_open_that_fails_for_good_is_not_tried_by_every_call(harness, acme, acme_spec) -> None:
    """A short negative window keeps a broken store from asking Kubernetes once per call."""
    store = harness.add_store("team-a", acme_spec(name="missing"))
    for _ in range(5):
        with harness.fails():
            harness.get_secret(store, "db")
    assert len(harness.kube.secrets_read) == 1
    with pytest.raises(MissingReferenceError, match="missing"):
        raise next(iter(harness.server._stores._opening.values())).error
