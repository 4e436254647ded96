"""Who gets a slot, by a clock that the test moves."""

from contextlib import AbstractContextManager

import pytest
from provider_common import AccessDeniedError, DeadlineError, OverloadedError, TemporaryError
from provider_common._admission import HANGS_AFTER, RETRY_AFTER, Admission
from provider_common.context import call_deadline

LATE = HANGS_AFTER + 0.1


class Desk:
    """An admission whose time stands still, and the slots that were taken from it."""

    def __init__(self, slots: int) -> None:
        self.now = 1000.0
        self.admission = Admission(slots, clock=lambda: self.now)
        self.held: dict[str, list[AbstractContextManager[None]]] = {}

    def takes(self, store: str) -> bool:
        """One more slot of `store`, if it may have one."""
        slot = self.admission.slot(store, f"Store {store}")
        try:
            with call_deadline(30):
                slot.__enter__()
        except OverloadedError:
            return False
        self.held.setdefault(store, []).append(slot)
        return True

    def takes_all(self, store: str) -> int:
        """As many slots as `store` may have."""
        taken = 0
        while self.takes(store):
            taken += 1
        return taken

    def ends(self, store: str, error: Exception | None = None) -> None:
        """The oldest call of `store` ends, by `error` or with an answer."""
        slot = self.held[store].pop(0)
        if error is None:
            slot.__exit__(None, None, None)
        else:
            assert not slot.__exit__(type(error), error, None)

    def ends_all(self, error: Exception | None = None) -> None:
        for store, slots in self.held.items():
            for _ in tuple(slots):
                self.ends(store, error)


def test_a_store_leaves_as_much_free_as_it_takes_and_a_quarter_for_those_that_have_none() -> None:
    desk = Desk(16)
    assert [desk.takes_all(store) for store in "abcdefghi"] == [6, 3, 2, 1, 1, 1, 1, 1, 0]
    desk.ends_all()
    assert (desk.admission.used, desk.admission.overdue(), desk.admission.hanging()) == (0, 0, 0)
    assert desk.takes_all("i") == 6


def test_a_hundred_busy_stores_leave_slots_as_soon_as_it_shows_that_they_hang() -> None:
    """They are written off: spare threads stand in for theirs."""
    desk = Desk(120)
    assert sum(desk.takes_all(f"hanging-{number}") for number in range(100)) == 120
    assert not desk.takes("healthy")
    desk.now += LATE
    assert desk.takes_all("healthy") == 15
    assert desk.admission.hanging() == sum(bool(slots) for slots in desk.held.values()) - 1


def test_a_wave_of_hanging_stores_after_the_other_leaves_slots() -> None:
    """Each gets at most half of what the one before left, and there is one trial at a time for those that hang."""
    desk = Desk(120)
    for wave in range(4):
        for number in range(200):
            desk.takes_all(f"hanging-{wave}-{number}")
        desk.now += LATE
        assert desk.takes("healthy")
        desk.ends("healthy")
    assert desk.admission.used <= 2 * 120


def test_a_store_that_hangs_with_its_share_gets_nothing_but_trials() -> None:
    desk = Desk(16)
    desk.takes_all("a")
    desk.now += LATE
    assert [desk.takes("a"), desk.takes("a")] == [True, False], "a trial, and no second one at once"
    desk.now += LATE
    assert desk.takes_all("a") == 1


def test_a_slow_store_is_served_beside_those_that_hang() -> None:
    """A long find is no reason to refuse the reads beside it; who never answers leaves room for that."""
    desk = Desk(32)
    for store in ("slow", "hangs"):
        desk.takes(store)
    desk.now += LATE
    assert desk.admission.hanging() == 2
    assert desk.takes_all("hangs") > 5
    assert desk.takes("slow")


def test_trials_never_take_more_than_the_spare_threads() -> None:
    desk = Desk(8)
    for number in range(8):
        assert desk.takes(f"hanging-{number}")
    for _ in range(5):
        desk.now += LATE
        for number in range(8):
            desk.takes(f"hanging-{number}")
    assert desk.admission.used == 8
    assert desk.takes("healthy")


@pytest.mark.parametrize(
    ("error", "well"),
    [
        pytest.param(None, True, id="an answer"),
        pytest.param(AccessDeniedError("no"), True, id="a refusal"),
        pytest.param(RuntimeError("bug"), True, id="a bug"),
        pytest.param(TemporaryError("read timed out"), False, id="the backend's time-out"),
        pytest.param(DeadlineError("over"), False, id="the caller's deadline"),
    ],
)
def test_what_ends_late_is_an_answer_unless_it_is_a_time_out(error, well) -> None:
    """A slow backend that answers in the end gets its whole share again; one that does not stays under suspicion."""
    desk = Desk(16)
    desk.takes("a")
    desk.now += LATE
    desk.ends("a", error)
    assert desk.takes_all("a") == (6 if well else 4)


@pytest.mark.parametrize(
    ("error", "well"),
    [
        pytest.param(TemporaryError("connection refused"), True, id="a quick failure holds no thread"),
        pytest.param(DeadlineError("over"), False, id="a short deadline says nothing about the backend"),
    ],
)
def test_what_ends_early(error, well) -> None:
    desk = Desk(16)
    desk.takes("a")
    desk.now += 0.7 * HANGS_AFTER
    desk.takes("a")
    desk.now += 0.25 * HANGS_AFTER
    desk.held["a"].reverse()
    desk.ends("a", error)
    desk.now += 0.1 * HANGS_AFTER
    assert (desk.admission.hanging() == 0) is well


def test_calls_that_end_by_their_short_deadlines_one_after_the_other_do_not_hide_a_store_that_hangs() -> None:
    desk = Desk(16)
    desk.takes("a")
    for _ in range(3):
        desk.takes("a")
        desk.now += HANGS_AFTER / 2
        desk.ends("a", DeadlineError("over"))
    assert desk.admission.hanging() == 1


def test_a_lost_thread_does_not_close_its_store() -> None:
    """One call hangs for ever; the store answers all others, and has all but its one slot."""
    desk = Desk(16)
    desk.takes("a")
    desk.now += 600
    assert desk.takes("a"), "the trial"
    desk.held["a"].reverse()
    desk.ends("a")
    assert desk.takes_all("a") == 5


def test_one_slow_call_beside_answers_changes_nothing() -> None:
    desk = Desk(16)
    desk.takes("a")
    for _ in range(20):
        assert desk.takes("a")
        desk.now += 1
        desk.held["a"].reverse()
        desk.ends("a")
    assert desk.admission.hanging() == 0
    assert desk.takes_all("a") == 5


def test_what_hung_is_forgotten_after_a_while() -> None:
    desk = Desk(16)
    desk.takes("a")
    desk.now += LATE
    desk.ends("a", DeadlineError("over"))
    desk.now += 3600
    assert desk.takes_all("a") == 6


def test_the_memory_of_those_that_hung_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr("provider_common._admission._MOST_REMEMBERED", 10)
    desk = Desk(16)
    for number in range(100):
        desk.takes(f"a-{number}")
        desk.now += LATE
        desk.ends(f"a-{number}", DeadlineError("over"))
    assert len(desk.admission._hanging) <= 10


@pytest.mark.parametrize(
    ("late", "words", "retry_after"),
    [
        pytest.param(
            False, r"Store a has 6 calls waiting for its backend, which is its share", RETRY_AFTER, id="busy"
        ),
        pytest.param(
            True, r"Store a has waited 5 s for its backend without an answer", HANGS_AFTER, id="hangs"
        ),
    ],
)
def test_a_refusal_names_the_store_the_reason_and_when_to_come_back(late, words, retry_after) -> None:
    desk = Desk(16)
    desk.takes_all("a")
    if late:
        desk.now += LATE
        desk.takes("a")
    with pytest.raises(OverloadedError, match=words) as error, desk.admission.slot("a", "Store a"):
        pass
    assert error.value.retry_after == retry_after
