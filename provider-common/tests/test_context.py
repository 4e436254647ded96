"""`Context` in an author's hands: made in a unit test, and retrying as the store's settings say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from provider_common import (
    Context,
    DeadlineError,
    InvalidSpecError,
    RetrySettings,
    Spec,
    TemporaryError,
)
from provider_common.auth import AuthResolver, Scope, TokenCache
from provider_common.context import call_deadline, held, remaining, start_call
from provider_common.testing import FakeKube


class PlainSpec(Spec):
    kind = "Plain"


def context(retry: RetrySettings | None = None) -> Context[PlainSpec]:
    spec = PlainSpec()
    scope = Scope("SecretStore", False, "team-a", "team-a", "team-a")
    auth = AuthResolver(FakeKube(), scope=scope, spec=spec, tokens=TokenCache())
    return Context[PlainSpec](spec, auth, "g/v1", "Plain", "main", "team-a", retry=retry or RetrySettings())


def failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    """A call that fails so often, and the list of its calls."""
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return call, calls


def test_a_context_can_be_made_with_its_type_written_out() -> None:
    """`Context[PlainSpec](...)` is what an author writes in a typed unit test."""
    assert context().where == "Plain team-a/main"


@pytest.mark.parametrize(
    ("settings", "calls_made"),
    [
        pytest.param(RetrySettings(), 3, id="the provider's own default"),
        pytest.param(RetrySettings(max_retries=0), 1, id="0 is no retry"),
        pytest.param(RetrySettings(max_retries=1), 2, id="1 is one try more"),
        pytest.param(RetrySettings(max_retries=5), 6, id="more than the default"),
    ],
)
def test_the_store_decides_how_often_a_backend_call_is_retried(
    settings: RetrySettings, calls_made: int
) -> None:
    """`maxRetries` counts the tries after the first; what the store does not say, the provider does."""
    call, calls = failing(100, TemporaryError("away"))

    with pytest.raises(TemporaryError):
        context(settings).retrying(call, max_retries=2, interval=0.001)

    assert len(calls) == calls_made


def test_a_call_that_recovers_gives_its_answer() -> None:
    """That is what retries are for."""
    call, calls = failing(2, TemporaryError("away"))

    assert context().retrying(call, max_retries=2, interval=0.001) == "done"
    assert len(calls) == 3


@pytest.mark.parametrize(
    "error", [InvalidSpecError("no"), DeadlineError("over"), ValueError("a bug")], ids=repr
)
def test_what_cannot_get_better_is_not_retried(error: Exception) -> None:
    """A permanent error, an expired deadline and a defect stay what they are."""
    call, calls = failing(100, error)

    with pytest.raises(type(error)):
        context(RetrySettings(max_retries=5, interval=0.001)).retrying(call)

    assert len(calls) == 1


@pytest.mark.parametrize(
    ("interval", "retry_after"),
    [pytest.param(3600.0, None, id="interval"), pytest.param(0.001, 3600.0, id="retry_after")],
)
def test_a_retry_that_cannot_end_in_time_is_not_begun(interval: float, retry_after: float | None) -> None:
    """Neither the store's interval nor the backend's wish may hold a call beyond its deadline."""
    call, calls = failing(100, TemporaryError("away", retry_after=retry_after))

    with call_deadline(5), pytest.raises(TemporaryError, match="away"):
        context(RetrySettings(max_retries=5, interval=interval)).retrying(call)

    assert len(calls) == 1


def test_a_retry_interval_of_nothing_is_no_flood() -> None:
    """With `retryInterval: 0s` and a huge `maxRetries` a backend that is down would get as many calls as a thread can make."""
    calls: list[float] = []

    def call() -> None:
        calls.append(time.monotonic())
        raise TemporaryError("away")

    with call_deadline(1.5), pytest.raises(TemporaryError, match="away"):
        context(RetrySettings(max_retries=10**9, interval=0.0)).retrying(call)

    pauses = [after - before for before, after in pairwise(calls)]
    assert len(calls) > 2
    assert min(pauses) >= 0.1
    assert len({round(pause, 3) for pause in pauses}) > 1, "all callers would come back together"


def test_a_caller_who_leaves_ends_the_pause_before_a_retry() -> None:
    """A cancelled call would hold its thread for as long as the store's `retryInterval`."""
    there = threading.Event()
    there.set()

    def call() -> None:
        threading.Timer(0.1, there.clear).start()
        raise TemporaryError("away")

    def run() -> None:
        start_call(30, there.is_set)
        context(RetrySettings(max_retries=1, interval=20.0)).retrying(call)

    with ThreadPoolExecutor(1) as pool, pytest.raises(DeadlineError, match="gone"):
        pool.submit(copy_context().run, run).result(timeout=10)


def test_no_time_left_is_a_deadline_error() -> None:
    """So that a call that can't end in time is not started."""
    with call_deadline(0), pytest.raises(DeadlineError):
        remaining()


def test_api_calls_are_counted_by_how_they_ended() -> None:
    """An exception is an error, everything else a success."""
    counted: list[tuple[str, str, bool]] = []

    class Counter:
        def count(self, provider: str, call: str, *, ok: bool) -> None:
            counted.append((provider, call, ok))

    spec: Any = PlainSpec()
    ctx: Context[Any] = Context(spec, context().auth, "g/v1", "Plain", "main", "team-a", calls=Counter())
    with ctx.api_call("Acme/KV", "Get"):
        pass
    with pytest.raises(TemporaryError), ctx.api_call("Acme/KV", "Get"):
        raise TemporaryError("away")

    assert counted == [("Acme/KV", "Get", True), ("Acme/KV", "Get", False)]


def test_a_caller_that_has_gone_ends_the_call() -> None:
    """Nobody waits for the answer: no backend call and no retry is to be begun for it."""
    there = True

    def call() -> None:
        nonlocal there
        start_call(10, lambda: there)
        assert remaining() > 0
        there = False
        remaining()

    with pytest.raises(DeadlineError, match="gone"):
        copy_context().run(call)


def test_no_call_takes_longer_than_the_longest() -> None:
    """Whatever deadline the caller sets, a far one or none."""
    for seconds in (None, 3600.0):
        with call_deadline(seconds):
            assert 29 < remaining() <= 30


def test_a_deadline_inside_of_another_is_put_back() -> None:
    """With the caller who may go."""

    def call() -> None:
        start_call(10, lambda: False)
        with call_deadline(5):
            assert 0 < remaining() <= 5
        remaining()

    with pytest.raises(DeadlineError, match="gone"):
        copy_context().run(call)


def test_changes_of_one_secret_wait_for_each_other_and_for_no_other() -> None:
    """Through whichever stores they come; who has no more time is told so, and leaves the others their turn."""
    first, second = context(), context()
    second = replace(second, shared_objects=first.shared_objects)
    with first.changing("kv", "db"):
        with second.changing("kv", "other"):
            reached = True
        with call_deadline(0.05), pytest.raises(DeadlineError), second.changing("kv", "db"):
            raise AssertionError("two changes at once")
    with second.changing("kv", "db"):
        assert reached


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        pytest.param(0.05, DeadlineError, id="caller's"),
        pytest.param(None, TemporaryError, id="longest call's"),
    ],
)
def test_a_lock_is_waited_for_within_the_callers_time(seconds, error, monkeypatch) -> None:
    """What nobody gives back must not hold every later call for ever."""
    monkeypatch.setattr("provider_common.context.LONGEST_CALL", 0.05)
    lock = threading.Lock()
    limit = nullcontext() if seconds is None else call_deadline(seconds)
    with held(lock, busy="in vain"):
        with limit, pytest.raises(error) as raised, held(lock, busy="in vain"):
            raise AssertionError("held twice")
        assert (raised.value.message == "in vain") is (seconds is None)
    assert not lock.locked()
