"""What goes wrong only when calls meet: opened, replaced, refused and closed at the same moment."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar, NoReturn, Self

import grpc
import pytest
from provider_common import (
    AccessDeniedError,
    DeadlineError,
    MissingReferenceError,
    NoSecretError,
    ProviderV2,
    RemoteRef,
    SecretKeySelector,
    Spec,
    TemporaryError,
)
from provider_common._stores import Configs, OpenStores, Place
from provider_common.auth import Scope, TokenCache
from provider_common.catalog import Catalog
from provider_common.context import SharedObjects, call_deadline, remaining
from provider_common.testing import FakeKube, ProviderHarness


class DoorSpec(Spec):
    """A store whose opening a test holds back."""

    kind: ClassVar = "Door"
    key: SecretKeySelector | None = None


class Door(ProviderV2[DoorSpec]):
    """`before` runs in every open; `made` holds what was opened."""

    before: ClassVar[Callable[[], None]] = staticmethod(lambda: None)
    made: ClassVar[list["Door"]] = []

    def __init__(self) -> None:
        self.closed = 0

    @classmethod
    def open(cls, ctx) -> Self:
        if ctx.spec.key is not None:
            ctx.auth.secret_key(ctx.spec.key)
        Door.before()
        made = cls()
        Door.made.append(made)
        return made

    def get_secret(self, ref: RemoteRef) -> bytes:
        return b"value"

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def door():
    Door.before = staticmethod(lambda: None)
    Door.made = []
    return Door


class Moody(FakeKube):
    """Reads of Secrets end as `mood` says, when there is one."""

    mood: Callable[[], NoReturn] | None = None

    def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        if self.mood is not None:
            self.mood()
        return super().read_secret(namespace, name)


@pytest.fixture
def kube() -> Moody:
    return Moody()


@pytest.fixture
def place(kube: FakeKube) -> Callable[..., Place]:
    kind = next(iter(Catalog(Door)))

    def make(name: str = "main", *, digest: bytes = b"", spec: dict[str, Any] | None = None) -> Place:
        kube.add_object(
            {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {"name": name, "namespace": "team-a"},
                "spec": spec or {},
            }
        )
        scope = Scope("SecretStore", False, "team-a", "team-a", "team-a")
        return Place(kind, "team-a", name, scope, store_digest=digest)

    return make


def stores(kube: FakeKube, **settings: Any) -> OpenStores:
    return OpenStores(kube, tokens=TokenCache(), shared=SharedObjects(), **settings)


def test_the_call_that_opens_a_store_works_with_it_though_another_pushes_it_out(kube, place) -> None:
    """With room for none, a store lives exactly as long as the call that opened it."""
    opened = stores(kube, max_stores=0)

    with opened.use(place()) as entry:
        assert entry.store.closed == 0

    assert [door.closed for door in Door.made] == [1]


def test_two_cores_that_disagree_about_a_store_both_get_on(kube, place) -> None:
    """Each of their calls opens anew, and none of them goes round for ever."""
    opened = stores(kube)
    one, other = place(digest=b"1"), place(digest=b"2")

    def use(which: Place) -> None:
        with opened.use(which) as entry:
            assert entry.store.closed == 0

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, [one, other] * 50))
    opened.close()

    assert [door.closed for door in Door.made] == [1] * len(Door.made)


def test_a_store_that_was_still_being_opened_at_the_end_is_closed_too(kube, place) -> None:
    """A drain may end before a login does; its token is given back all the same."""
    opened = stores(kube)
    Door.before = staticmethod(opened.close)

    with opened.use(place()):
        pass

    assert len(opened) == 0
    assert [door.closed for door in Door.made] == [1]


def test_a_login_that_hangs_does_not_close_the_store_for_ever(kube, place) -> None:
    """After the longest that a call may take, somebody else tries."""
    now = [0.0]
    opened = stores(kube, clock=lambda: now[0])
    began, go = threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        go.wait(30)

    Door.before = staticmethod(hang)
    target = place()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(opened.acquire, target)
        assert began.wait(10)
        Door.before = staticmethod(lambda: None)
        with call_deadline(0.05), pytest.raises(DeadlineError, match="still being opened"):
            opened.acquire(target)
        now[0] = 30.0
        opened.release(opened.acquire(target))
        go.set()
        opened.release(hanging.result())
    opened.close()

    assert [door.closed for door in Door.made] == [1, 1]


def test_nothing_is_opened_when_the_time_is_over(kube, place) -> None:
    target = place()
    with call_deadline(0), pytest.raises(DeadlineError):
        stores(kube).acquire(target)

    assert Door.made == []


def test_no_such_secret_while_opening_is_not_the_secret_that_was_asked_for(kube, place) -> None:
    """A login that reads from the backend must not make a core delete the user's Secret."""

    def fail() -> None:
        raise NoSecretError("auth/role-id")

    Door.before = staticmethod(fail)
    with pytest.raises(MissingReferenceError, match=r"Door team-a/main can't be opened.*auth/role-id"):
        stores(kube).acquire(place())


def test_every_call_that_was_refused_together_tries_the_new_credential(kube, place) -> None:
    """The first of them looks; the others must not be told that nothing changed."""
    kube.add_secret("team-a", "token", {"value": b"one"})
    target = place(spec={"key": {"name": "token", "key": "value"}})
    now = [0.0]
    opened = stores(kube, clock=lambda: now[0])
    first, second = opened.acquire(target), opened.acquire(target)
    kube.add_secret("team-a", "token", {"value": b"two"})
    now[0] = 5.0

    assert opened.refused(target, first)
    assert opened.refused(target, second)


def test_specs_of_objects_that_are_gone_do_not_pile_up(kube, place, monkeypatch) -> None:
    monkeypatch.setattr("provider_common._stores._MOST_PARSED", 5)
    configs = Configs(kube)
    for i in range(50):
        configs.get(place(f"s{i}"))

    assert len(configs._parsed) <= 5


def test_a_write_is_seen_by_reads_through_another_store_of_the_same_backend(
    harness: ProviderHarness, acme, acme_spec
) -> None:
    """A PushSecret may go by a ClusterSecretStore, and the ExternalSecret by a SecretStore, to the same place."""
    harness.server._stores._read_window = 600
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    own = harness.add_store("team-a", acme_spec())
    cluster = replace(own, store_ref_kind="ClusterSecretStore")
    with harness.fails() as failure:
        harness.get_secret(own, "new")
    assert failure.code is grpc.StatusCode.NOT_FOUND

    harness.push(cluster, "new", {"k": b"1"}, secret_key="k")
    assert harness.get_secret(own, "new") == b"1"
    harness.delete(cluster, "new")

    with harness.fails() as failure:
        harness.get_secret(own, "new")
    assert failure.code is grpc.StatusCode.NOT_FOUND


def test_kubernetes_that_refuses_to_show_a_credential_leaves_the_store_open(kube, place) -> None:
    """It worked a moment ago; the next call asks again."""
    kube.add_secret("team-a", "token", {"value": b"one"})
    target = place(spec={"key": {"name": "token", "key": "value"}})
    opened = stores(kube, check_after=0.0)
    opened.release(opened.acquire(target))

    asked = []

    def refuse() -> NoReturn:
        asked.append(1)
        raise AccessDeniedError("not for you")

    kube.mood = refuse
    opened.release(opened.acquire(target))

    assert (len(asked), len(Door.made)) == (1, 1)


def hang_on(kube: Moody, hung: threading.Event, go: threading.Event, given: list[float]) -> None:
    """Make the next reads of Secrets hang until `go`, or for as long as the caller gives them."""

    def hang() -> NoReturn:
        given.append(remaining())
        hung.set()
        go.wait(remaining())
        raise TemporaryError("the API server did not answer in time")

    kube.mood = hang


def test_a_slow_api_server_does_not_slow_down_every_call_of_an_open_store(kube, place) -> None:
    """One call asks it, and not for long; the others go on with what is open, and so does that call."""
    kube.add_secret("team-a", "token", {"value": b"one"})
    target = place(spec={"key": {"name": "token", "key": "value"}})
    now = [0.0]
    opened = stores(kube, clock=lambda: now[0])
    opened.release(opened.acquire(target))
    hung, go, given = threading.Event(), threading.Event(), []
    hang_on(kube, hung, go, given)
    now[0] += 11

    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(opened.acquire, target)
        assert hung.wait(10)
        opened.release(pool.submit(opened.acquire, target).result(timeout=20))
        go.set()
        opened.release(asking.result(timeout=20))
    assert max(given) <= 2.0
    assert len(given) == 1, "and it is not asked again at once"
    now[0] += 6
    opened.release(opened.acquire(target))
    assert len(given) == 2
    assert len(Door.made) == 1


def test_a_refused_credential_is_worth_waiting_for_a_slow_api_server(kube, place) -> None:
    """Nothing works without the new one."""
    kube.add_secret("team-a", "token", {"value": b"one"})
    target = place(spec={"key": {"name": "token", "key": "value"}})
    opened = stores(kube, clock=lambda: 1e9)
    entry = opened.acquire(target)
    entry.checked = 0.0
    given: list[float] = []
    go = threading.Event()
    go.set()
    hang_on(kube, threading.Event(), go, given)

    with call_deadline(20):
        assert not opened.refused(target, entry)

    assert given[0] > 10.0


@pytest.mark.parametrize("in_use", [False, True], ids=["idle", "in use"])
def test_a_store_whose_object_was_deleted_is_closed_soon(kube, place, in_use) -> None:
    """Its session and its credentials are not to be kept until it has been idle for long. A call that runs ends first."""
    opened, gone, there = stores(kube), place(), place("there")
    with opened.use(gone) as entry, opened.use(there):
        pass
    with opened.use(gone) if in_use else nullcontext():
        kube.remove_object(gone.kind.api_version, gone.kind.kind, "team-a", "main")
        opened.sweep()
        assert (entry.retired, entry.store.closed) == (True, 0 if in_use else 1)
    assert entry.store.closed == 1
    assert len(opened) == 1


def test_a_reader_that_can_not_tell_closes_no_store(kube, place, monkeypatch) -> None:
    """An API server that is away does not say that the objects are gone."""
    opened = stores(kube)
    with opened.use(place()) as entry:
        pass

    def away(*_: object) -> None:
        raise TemporaryError("not known now")

    monkeypatch.setattr(kube, "get_object", away)
    opened.sweep()

    assert (len(opened), entry.store.closed) == (1, 0)
