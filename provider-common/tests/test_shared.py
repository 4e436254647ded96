"""What outlives a store, and when it leaves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from provider_common import DeadlineError, SharedObjects, TemporaryError
from provider_common.context import Holder, call_deadline

HOUR = 3600.0


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Thing:
    """Something to close."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_what_nobody_uses_is_closed_after_an_hour() -> None:
    clock = Clock()
    shared = SharedObjects(clock=clock)
    holder = Holder()
    thing = shared.get("k", Thing, holder=holder)
    shared.release(holder)

    clock.now += HOUR - 1
    shared.sweep()
    assert (thing.closed, shared.get("k", Thing)) == (0, thing)

    clock.now += HOUR
    shared.sweep()
    assert (thing.closed, len(shared)) == (1, 0)


def test_what_is_in_use_is_never_closed() -> None:
    """By one of two holders, by one that asked for it more than once, after any time."""
    clock = Clock()
    shared, first, second = SharedObjects(clock=clock), Holder(), Holder()
    thing = shared.get("k", Thing, holder=first)
    for _ in range(3):
        assert shared.get("k", Thing, holder=second) is thing
    shared.release(first)

    clock.now += 100 * HOUR
    shared.sweep()
    assert thing.closed == 0

    shared.release(second)
    clock.now += HOUR
    shared.sweep()
    assert thing.closed == 1


def test_what_is_kept_stays_until_the_drain() -> None:
    clock = Clock()
    shared = SharedObjects(clock=clock)
    thing = shared.get("count", Thing, keep=True)
    clock.now += 100 * HOUR
    shared.sweep()
    assert thing.closed == 0
    shared.close()
    assert thing.closed == 1


def test_of_many_that_nobody_uses_the_oldest_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provider_common.context._MOST_UNUSED", 3)
    clock = Clock()
    shared, holder = SharedObjects(clock=clock), Holder()
    used = shared.get("used", Thing, holder=holder)
    things = []
    for number in range(5):
        clock.now += 1
        things.append(shared.get(number, Thing))
    shared.sweep()
    assert [thing.closed for thing in (used, *things)] == [0, 1, 1, 0, 0, 0]


def test_what_is_discarded_while_in_use_is_closed_by_its_last_user() -> None:
    """The next one gets a new one at once."""
    shared, first, second = SharedObjects(), Holder(), Holder()
    thing = shared.get("k", Thing, holder=first)
    shared.get("k", Thing, holder=second)

    shared.discard("k")

    assert thing.closed == 0
    assert shared.get("k", Thing) is not thing
    shared.release(first)
    assert thing.closed == 0
    shared.release(second)
    assert (thing.closed, len(shared)) == (1, 1)


def test_the_drain_closes_also_what_was_discarded_while_in_use() -> None:
    shared = SharedObjects()
    thing = shared.get("k", Thing, holder=Holder())
    shared.discard("k")
    shared.close()
    assert thing.closed == 1


def test_who_has_ended_holds_nothing_any_more() -> None:
    """Code of an author that outlives its store may still ask."""
    clock = Clock()
    shared, holder = SharedObjects(clock=clock), Holder()
    shared.release(holder)
    thing = shared.get("k", Thing, holder=holder)
    clock.now += HOUR
    shared.sweep()
    assert thing.closed == 1


def test_a_shared_object_that_can_not_be_made_is_tried_again_and_leaves_nothing_behind() -> None:
    shared = SharedObjects()

    def fail() -> None:
        raise TemporaryError("away")

    for i in range(10):
        with pytest.raises(TemporaryError):
            shared.get(("k", i), fail)

    assert len(shared._making) == 0
    assert shared.get(("k", 0), lambda: "made") == "made"


def test_who_waits_for_a_shared_object_waits_no_longer_than_its_own_time() -> None:
    """The one who makes it may hang."""
    shared, began, go = SharedObjects(), threading.Event(), threading.Event()

    def hang() -> str:
        began.set()
        go.wait(10)
        return "made"

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(shared.get, "k", hang)
        assert began.wait(10)
        with call_deadline(0.05), pytest.raises(DeadlineError):
            shared.get("k", hang)
        go.set()
        assert hanging.result() == "made"


def test_a_shared_object_that_is_discarded_is_closed_and_made_anew() -> None:
    closed = []

    class Thing:
        def close(self) -> None:
            closed.append(self)
            raise OSError("it does not want to")

    shared = SharedObjects()
    first = shared.get("k", Thing)
    shared.discard("k")
    shared.discard("never there")

    assert closed == [first]
    assert shared.get("k", Thing) is not first


def test_shared_objects_are_made_once_and_closed_newest_first() -> None:
    closed = []

    class Thing:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    shared = SharedObjects()
    assert shared.get("a", lambda: Thing("a")) is shared.get("a", lambda: Thing("other"))
    shared.get("b", lambda: Thing("b"))
    shared.close()
    assert closed == ["b", "a"]
