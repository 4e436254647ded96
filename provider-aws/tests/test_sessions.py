"""The cache of role sessions, with a clock of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from provider_aws._sessions import REFUSED_FOR, Session, SessionCache
from provider_aws.auth import Keys
from provider_common import AccessDeniedError, TemporaryError
from provider_common.context import call_deadline
from provider_common.errors import DeadlineError

LIFE = 3600.0


class Sts:
    """Hands out numbered sessions, or fails."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0
        self.error: Exception | None = None
        self.gate: Callable[[], object] = lambda: None

    def __call__(self) -> Session:
        self.calls += 1
        self.gate()
        if self.error is not None:
            raise self.error
        return Session(Keys(f"key-{self.calls}", "s"), self.now, self.now + LIFE)


@pytest.fixture
def sts() -> Sts:
    return Sts()


@pytest.fixture
def cache(sts: Sts) -> SessionCache:
    return SessionCache(clock=lambda: sts.now, limit=3)


@pytest.mark.parametrize(
    ("age", "calls", "used"),
    [(0, 1, "key-1"), (LIFE - 301, 1, "key-1"), (LIFE - 299, 2, "key-2"), (LIFE - 59, 2, "key-2"), (LIFE + 9, 2, "key-2")],
    ids=["new", "fresh", "stale", "spent", "over"],
)  # fmt: skip
def test_a_session_is_kept_until_shortly_before_its_end(
    cache: SessionCache, sts: Sts, age: float, calls: int, used: str
) -> None:
    cache.get("a", sts)
    sts.now = age

    assert cache.get("a", sts).keys.access_key == used
    assert sts.calls == calls


def test_many_who_need_a_session_make_one(cache: SessionCache, sts: Sts) -> None:
    inside = threading.Event()
    sts.gate = lambda: inside.wait(10)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(cache.get, "a", sts) for _ in range(20)]
        inside.set()
        assert {future.result().keys.access_key for future in waiting} == {"key-1"}
    assert sts.calls == 1


def test_a_stale_session_is_used_while_one_caller_renews_it(cache: SessionCache, sts: Sts) -> None:
    cache.get("a", sts)
    sts.now = LIFE - 200
    renewing, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        renewing.set()
        go_on.wait(10)

    sts.gate = slow
    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(cache.get, "a", sts)
        assert renewing.wait(10)
        assert cache.get("a", sts).keys.access_key == "key-1"
        go_on.set()
        assert renewal.result().keys.access_key == "key-2"
    assert sts.calls == 2


def test_a_renewal_that_fails_disturbs_nobody_and_is_not_tried_at_every_call(
    cache: SessionCache, sts: Sts
) -> None:
    cache.get("a", sts)
    sts.now, sts.error = LIFE - 200, TemporaryError("away")
    for _ in range(5):
        assert cache.get("a", sts).keys.access_key == "key-1"
    assert sts.calls == 2

    sts.now, sts.error = LIFE - 200 + REFUSED_FOR, None
    assert cache.get("a", sts).keys.access_key == "key-3"


def test_a_refusal_is_remembered_for_a_while(cache: SessionCache, sts: Sts) -> None:
    """A role that may not be assumed is not asked for by every call of every ExternalSecret."""
    sts.error = AccessDeniedError("no")
    for _ in range(5):
        with pytest.raises(AccessDeniedError, match="no"):
            cache.get("a", sts)
    assert sts.calls == 1

    sts.now, sts.error = REFUSED_FOR + 1, None
    assert cache.get("a", sts).keys.access_key == "key-2"


def test_a_waiter_has_its_own_deadline(cache: SessionCache, sts: Sts) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        go_on.wait(10)

    sts.gate = slow
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(cache.get, "a", sts)
        assert started.wait(10)
        with call_deadline(0.05), pytest.raises(DeadlineError):
            cache.get("a", sts)
        go_on.set()
        leader.result()


def test_who_was_refused_waits_for_another_no_longer_than_its_time(cache: SessionCache, sts: Sts) -> None:
    keys = cache.get("a", sts).keys
    started, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        go_on.wait(10)

    sts.now, sts.gate = LIFE - 200, slow
    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(cache.get, "a", sts)
        assert started.wait(10)
        with call_deadline(0.05), pytest.raises(DeadlineError):
            cache.drop("a", keys)
        go_on.set()
        renewal.result()


def test_refused_keys_are_dropped_unless_they_are_brand_new(cache: SessionCache, sts: Sts) -> None:
    """A session that AWS refuses at once is not the session's fault: asking again would go round in circles."""
    keys = cache.get("a", sts).keys
    assert not cache.drop("a", keys)
    sts.now = REFUSED_FOR

    assert cache.drop("a", keys)
    assert cache.drop("a", keys)  # by a call that was refused at the same time
    assert cache.get("a", sts).keys.access_key == "key-2"
    assert cache.drop("a", keys)
    assert cache.get("a", sts).keys.access_key == "key-2"


def test_identities_share_nothing(cache: SessionCache, sts: Sts) -> None:
    assert cache.get("a", sts).keys != cache.get("b", sts).keys


def test_the_number_of_sessions_is_bounded_by_dropping_those_that_ended(
    cache: SessionCache, sts: Sts
) -> None:
    for key in "abc":
        cache.get(key, sts)
    sts.now = LIFE
    cache.get("d", sts)

    assert len(cache._cells) == 1


def test_keys_are_not_shown(sts: Sts) -> None:
    assert "key-1" not in repr(sts())
