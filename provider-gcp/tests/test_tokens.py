"""The token manager, with a clock of the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from provider_common import CredentialsError, DeadlineError, ProviderError, TemporaryError, remaining
from provider_common.context import call_deadline
from provider_gcp._tokens import Token, TokenManager


class Source:
    """Gives out numbered tokens, or raises."""

    def __init__(self, *, life: float = 3600) -> None:
        self.now = 1000.0
        self.life = life
        self.made = 0
        self.error: ProviderError | None = None
        self.before: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.now

    def fetch(self) -> Token:
        self.made += 1
        number = self.made
        self.before()
        if self.error is not None:
            raise self.error
        return Token(f"t{number}", self.now, self.now + self.life)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def manager(source: Source) -> TokenManager:
    return TokenManager(clock=source.clock)


@pytest.mark.parametrize(
    ("life", "later", "expected"),
    [
        (3600, 0, "t1"),
        (3600, 3299, "t1"),
        (3600, 3301, "t2"),
        (3600, 4000, "t2"),
        (60, 47, "t1"),
        (60, 49, "t2"),
    ],
)
def test_a_token_is_replaced_about_five_minutes_before_its_end(
    life: float, later: float, expected: str
) -> None:
    """Or after four fifths of its life, where that is shorter than 25 minutes."""
    source = Source(life=life)
    manager = TokenManager(clock=source.clock)
    assert manager.current(source.fetch).value == "t1"

    source.now += later

    assert manager.current(source.fetch).value == expected


def test_forty_callers_share_one_request(source: Source, manager: TokenManager) -> None:
    gate = threading.Event()
    source.before = lambda: gate.wait(10)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(manager.current(source.fetch).value)) for _ in range(40)
    ]
    for thread in threads:
        thread.start()

    gate.set()
    for thread in threads:
        thread.join()

    assert (source.made, found) == (1, ["t1"] * 40)


def test_a_stale_token_is_used_while_it_is_replaced(source: Source, manager: TokenManager) -> None:
    """Nobody waits for a replacement while what is there is good."""
    manager.current(source.fetch)
    source.now += 3400
    seen: list[str] = []
    source.before = lambda: seen.append(manager.current(source.fetch).value)

    assert manager.current(source.fetch).value == "t2"
    assert seen == ["t1"]


def test_a_replacement_that_fails_leaves_the_old_token_and_is_not_tried_at_every_call(
    source: Source, manager: TokenManager
) -> None:
    manager.current(source.fetch)
    source.now += 3400
    source.error = TemporaryError("away")

    assert [manager.current(source.fetch).value for _ in range(5)] == ["t1"] * 5
    assert source.made == 2

    source.error = None
    source.now += 31
    assert manager.current(source.fetch).value == "t3"


def test_a_replacement_does_not_take_the_callers_time(source: Source, manager: TokenManager) -> None:
    """A token service that hangs is no reason to fail a call that has a good token: half of its time is left for it."""
    manager.current(source.fetch)
    source.now += 3400
    given: list[float] = []
    source.before = lambda: given.append(remaining())
    source.error = DeadlineError("over")

    with call_deadline(8):
        assert manager.current(source.fetch).value == "t1"
        assert given[0] <= 4
        assert remaining() > 4


def test_a_spent_token_is_not_used_when_there_is_no_other(source: Source, manager: TokenManager) -> None:
    manager.current(source.fetch)
    source.now += 3595
    source.error = TemporaryError("away")

    with pytest.raises(TemporaryError):
        manager.current(source.fetch)


@pytest.mark.parametrize(
    ("error", "pause"),
    [(CredentialsError("no"), 5.0), (TemporaryError("away"), 0.1)],
    ids=["refused", "away"],
)
def test_a_failure_stands_for_a_while(
    source: Source, manager: TokenManager, error: ProviderError, pause: float
) -> None:
    """Asking again at once changes nothing, and a token service counts failures."""
    source.error = error
    for _ in range(3):
        with pytest.raises(type(error)):
            manager.current(source.fetch)
    assert source.made == 1

    source.now += pause
    source.error = None
    assert manager.current(source.fetch).value == "t2"


def test_a_refused_token_is_forgotten_once(source: Source, manager: TokenManager) -> None:
    """Of many calls that are refused with the same token only the first leads to a new one."""
    old = manager.current(source.fetch)
    assert manager.refused(old)
    new = manager.current(source.fetch)
    assert manager.refused(old)

    assert manager.current(source.fetch) is new


def test_a_token_that_replaced_a_refused_one_is_not_replaced_at_once(
    source: Source, manager: TokenManager
) -> None:
    """An identity that is not accepted would cost a login per call."""
    manager.refused(manager.current(source.fetch))
    new = manager.current(source.fetch)

    assert not manager.refused(new)
    source.now += 11
    assert manager.refused(new)
