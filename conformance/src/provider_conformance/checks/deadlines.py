"""Deadlines and cancellation: a caller that has gone must not cost those who come after it."""

from __future__ import annotations

import threading
import time

from google.protobuf.message import Message

from provider_conformance.client import Code, Pending
from provider_conformance.judge import ServerJudge, StoreJudge, together
from provider_conformance.registry import check
from provider_conformance.target import Hang
from provider_conformance.verdict import Failed, NotRun

CALLS = 64
"""More calls than a server usually has threads, so that held ones show."""

CORE_DEADLINE = 30.0
"""What the core gives every call."""

LEAST_HANG = 6.0
"""A backend that hangs for less could be done by itself before anybody has looked."""


def _hang(judge: StoreJudge) -> Hang:
    hang = judge.store.faults.hang
    if hang is None:
        raise NotRun("not seeded: needs a key whose reading hangs (faults.hang)")
    if hang.seconds < LEAST_HANG:
        raise NotRun(f"not seeded: faults.hang.seconds has to be at least {LEAST_HANG:.0f}")
    return hang


def _patience(hang: Hang) -> float:
    """How long an answer may take: a slow machine has this time, and a held server is still held by then."""
    return hang.seconds / 2


def _begin(judge: StoreJudge, hang: Hang) -> list[Pending[Message]]:
    """Many calls that hang; the server has them when this returns, and they hang for longer than anybody is patient."""
    pending = [judge.begin_get(hang.key, timeout=hang.seconds + 5) for _ in range(CALLS)]
    _arrived(judge, hang.seconds / 4)
    return pending


def _arrived(judge: StoreJudge, patience: float) -> bool:
    """Waits until what was sent before has arrived: calls of one connection reach the server in their order.

    Asked a few times, as a server with threads begins calls in their order and goes on with them in any. Whether an
    answer comes at all is not judged here: calls that hang may hold the whole server.
    """
    request = judge.capabilities_request()
    return all(judge.client.call(request, timeout=patience).code is Code.OK for _ in range(4))


def _served(judge: StoreJudge, what: str, patience: float | None = None) -> None:
    """Fails unless a plain call is answered soon, although others hang or hung.

    A refusal as overload is tried again, as a core would: the server may need a moment to see that callers have gone.
    """
    request = judge.get_request(judge.absent())
    patience = patience or judge.client.timeout
    deadline = time.monotonic() + patience
    while True:
        answer = judge.client.call(request, timeout=patience)
        unknown = judge.target.differences_of == "p" and answer.text.endswith("Secret does not exist")
        if answer.code is Code.NOT_FOUND or unknown:
            return
        if answer.code is not Code.RESOURCE_EXHAUSTED or time.monotonic() > deadline:
            raise Failed(f"a call {what} answered {answer.said()} within {patience:.0f} s")
        threading.Event().wait(0.05)


@check("deadlines.answers-in-time", area="deadlines", profile="core", contract=("TIME-1",))
def answers_in_time(judge: StoreJudge) -> None:
    """Every kind of call is answered well before the core's deadline of 30 s.

    If this fails: the core gives calls up, and tries them again and again.
    Likely cause: retries or timeouts towards the backend that add up to more than 30 s.
    Fix: bound the whole call by the caller's deadline.
    """
    for request in judge.data_requests().values():
        answer = judge.client.call(request, timeout=min(judge.client.timeout * 2, CORE_DEADLINE - 5))
        if answer.code is Code.DEADLINE_EXCEEDED:
            raise Failed(f"{answer.method} gave no answer within {answer.seconds:.0f} s")


@check(
    "deadlines.short-deadline", area="deadlines", profile="core", contract=("TIME-1", "TIME-2"), alone=True
)
def short_deadline(judge: StoreJudge) -> None:
    """Calls with hardly any time do no harm: later calls are served.

    If this fails: impatient callers bring the server down for all.
    Likely cause: a call that is over before it begins leaves something locked.
    Fix: look at the remaining time before work begins, and release in `finally`.
    """
    together([lambda: judge.client.call(judge.get_request("conformance-hurry"), timeout=0.002)] * CALLS)
    _served(judge, "after many with hardly any time")


@check("deadlines.cancelled-calls", area="deadlines", profile="core", contract=("TIME-2",), alone=True)
def cancelled_calls(judge: StoreJudge) -> None:
    """Calls that are cancelled at once do no harm: later calls are served.

    If this fails: a core that restarts often brings the provider down.
    Likely cause: a cancelled call leaves something locked.
    Fix: release in `finally`.
    """
    for _ in range(CALLS):
        judge.begin_get("conformance-cancelled", timeout=10).cancel()
    _served(judge, "after many that were cancelled")


@check("deadlines.frees-server", area="deadlines", contract=("TIME-2",), alone=True)
def frees_server(judge: StoreJudge) -> None:
    """Calls whose deadline is over stop holding the server, although the backend still hangs.

    If this fails: one slow backend takes the provider down for as long as it is slow.
    Likely cause: the deadline is not passed on to the backend call, and threads wait on.
    Fix: give each backend call the time that the caller has left.
    """
    hang = _hang(judge)
    # A call that is over before it reaches the server proves nothing: on a slow machine it gets more time.
    for seconds in (0.25, hang.seconds / 8, hang.seconds / 4):
        pending = [judge.begin_get(hang.key, timeout=seconds) for _ in range(CALLS)]
        arrived = _arrived(judge, seconds)
        for call in pending:
            call.answer(seconds + judge.client.timeout)
        if arrived:
            break
    _served(judge, "after many whose deadline was over", _patience(hang))


@check("deadlines.cancel-frees-server", area="deadlines", contract=("TIME-2",), alone=True)
def cancel_frees_server(judge: StoreJudge) -> None:
    """Hanging calls that are cancelled stop holding the server.

    If this fails: a core that restarts while a backend is slow makes the provider unusable.
    Likely cause: cancellation is not noticed while a call waits.
    Fix: watch for it, or bound each wait.
    """
    hang = _hang(judge)
    for call in _begin(judge, hang):
        call.cancel()
    _served(judge, "after many that were cancelled while they hung", _patience(hang))


@check("deadlines.health-while-hanging", area="deadlines", contract=("TIME-3",), alone=True)
def health_while_hanging(judge: StoreJudge) -> None:
    """Health and Capabilities answer while many calls hang.

    If this fails: a slow backend makes the kubelet restart the provider, which helps nobody.
    Likely cause: health shares the threads of the calls.
    Fix: give health and Capabilities threads of their own.
    """
    hang = _hang(judge)
    patience = _patience(hang)
    pending = _begin(judge, hang)
    try:
        with judge.session.connection() as other:
            if not judge.session.serving(other, timeout=patience):
                raise Failed(
                    f"health does not answer SERVING within {patience:.0f} s while {CALLS} calls hang"
                )
            answer = other.call(judge.capabilities_request(), timeout=patience)
        answer.refused(Code.OK, why=f"Capabilities while {CALLS} calls hang")
    finally:
        for call in pending:
            call.cancel()
    _served(judge, "after the hanging calls were cancelled", _patience(hang))


@check("deadlines.other-store-while-hanging", area="deadlines", contract=("TIME-4",), alone=True)
def other_store_while_hanging(judge: StoreJudge) -> None:
    """A store answers while many calls of another store hang.

    If this fails: one team's slow backend stops the secrets of all teams.
    Likely cause: one pool for all, first come first served.
    Fix: bound the calls under way per store.
    """
    hang = _hang(judge)
    second = judge.by(judge.object("second"))
    pending = _begin(judge, hang)
    try:
        with judge.session.connection() as other:
            answer = other.call(judge.get_request(judge.absent(), asker=second), timeout=_patience(hang))
        answer.refused(
            Code.NOT_FOUND, why=f"the other store's key is absent, while {CALLS} calls hang in this one"
        )
    finally:
        for call in pending:
            call.cancel()
    _served(judge, "after the hanging calls were cancelled", _patience(hang))


@check("deadlines.flood", area="deadlines", role="server", contract=("TIME-5", "CON-1"), alone=True)
def flood(judge: ServerJudge) -> None:
    """A flood of calls is answered, or refused as overload; afterwards the server serves as before.

    If this fails: a burst after a core's restart takes the provider down.
    Likely cause: an unbounded queue, or an error of its own under load.
    Fix: bound what is accepted, and refuse the rest with RESOURCE_EXHAUSTED.
    """
    pending = [judge.client.send(judge.harmless(), timeout=CORE_DEADLINE) for _ in range(400)]
    for call in pending:
        answer = call.answer()
        if answer.code not in {Code.OK, Code.RESOURCE_EXHAUSTED}:
            raise Failed(f"a call of a burst of {len(pending)} answered {answer.said()}")
    judge.client.call(judge.harmless()).ok("a call after the burst")
