"""Drain: the provider ends like a good neighbour, and comes back. These checks stop and start it, so they run last."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from provider_conformance import seed
from provider_conformance.client import Answer, Client, Code, Pending
from provider_conformance.judge import ServerJudge, StoreJudge
from provider_conformance.registry import check
from provider_conformance.session import HEALTH, health_request
from provider_conformance.target import Hang, Process
from provider_conformance.verdict import Failed, NotRun

GRACE = 40.0

ANNOUNCED = 8.0
"""A drain is announced at once; a slow machine has this time for it."""


def _process(judge: ServerJudge | StoreJudge) -> Process:
    if judge.target.process is None:
        raise NotRun("not reachable: needs commands that stop and start the provider (process)")
    return judge.target.process


class _Stopped:
    """The provider is stopped on entering, in the background, and started again on leaving."""

    def __init__(self, judge: ServerJudge | StoreJudge) -> None:
        self._judge = judge
        self._process = _process(judge)
        self._pool = ThreadPoolExecutor(1)
        self.exit: Future[int]

    def __enter__(self) -> Self:
        self.exit = self._pool.submit(self._process.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self.exit.exception(GRACE)
        self._pool.shutdown()
        self._process.start()
        _wait_until_serving(self._judge)


def _slow(judge: StoreJudge) -> Hang:
    if judge.store.faults.slow is None:
        raise NotRun("not seeded: needs a key whose reading takes a while and succeeds (faults.slow)")
    return judge.store.faults.slow


def _under_way(judge: StoreJudge, hold: Hang, count: int) -> list[Pending[Message]]:
    """Calls that are in the backend when this returns: one that was sent after them, and took the same way, is answered.

    Raises NotRun when they are over by then: stopping the provider would prove nothing.
    """
    pending = [judge.begin_get(hold.key, timeout=hold.seconds + 10) for _ in range(count)]
    judge.client.call(judge.get_request(judge.absent()))
    if any(call.done for call in pending):
        raise NotRun(f"not seeded: on this machine the reading of {hold.key!r} has to take longer")
    return pending


def _wait_until_serving(judge: ServerJudge | StoreJudge) -> None:
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        judge.session.reconnect()
        if judge.session.serving(timeout=5):
            return
    raise Failed(f"the provider does not serve {GRACE:.0f} s after it was started again")


@check("drain.exits-zero", area="drain", role="server", contract=("DRN-3", "DRN-4"), disturbs=True)
def exits_zero(judge: ServerJudge) -> None:
    """Stopped while idle the provider ends with status 0, and serves again when it is started.

    If this fails: every rollout shows crashed containers, and alerts fire.
    Likely cause: the signal is not handled.
    Fix: handle SIGTERM and SIGINT, drain, and return.
    """
    with _Stopped(judge) as stopped:
        status = stopped.exit.result(GRACE)
        if status != 0:
            raise Failed(f"the exit status is {status}")
    judge.client.call(judge.harmless()).ok("after it was started again")


@check("drain.finishes-calls", area="drain", contract=("DRN-1",), slow=True, disturbs=True)
def finishes_calls(judge: StoreJudge) -> None:
    """Calls that are under way when the provider is stopped are answered.

    If this fails: every rollout makes some syncs fail.
    Likely cause: the server is stopped without a grace period.
    Fix: stop accepting, wait for what is under way, then end.
    """
    slow = _slow(judge)
    stopping = _Stopped(judge)
    pending = _under_way(judge, slow, 4)
    with stopping:
        answers = [call.answer(slow.seconds + 15) for call in pending]
    lost = [answer for answer in answers if answer.code is not Code.OK]
    if lost:
        raise Failed(f"{len(lost)} of {len(answers)} calls under way were cut off: {lost[0].said()}")


@check("drain.loses-nothing", area="drain", role="server", contract=("DRN-1", "DRN-2"), disturbs=True)
def loses_nothing(judge: ServerJudge) -> None:
    """Under load every call is answered, or refused with UNAVAILABLE.

    If this fails: a rollout makes calls end in ways that a core does not try again.
    Likely cause: connections are cut while calls are on them.
    Fix: say GOAWAY or NOT_SERVING first, let calls finish, and end then.
    """
    stopping = _Stopped(judge)
    stop = threading.Event()
    results: list[Answer[Message]] = []

    def load(client: Client) -> None:
        while not stop.is_set():
            answer = client.call(judge.harmless(), timeout=20)
            results.append(answer)
            if answer.code is not Code.OK:
                return

    with judge.session.connection() as client, ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(load, client) for _ in range(4)]
        while len(results) < 20 and not any(worker.done() for worker in workers):
            threading.Event().wait(0.01)
        try:
            with stopping:
                pass
        finally:
            stop.set()
        for worker in workers:
            worker.result(GRACE)
    # A server that ends can't tell a call that never reached a handler from one that did: gRPC reports it as cancelled.
    odd = [answer for answer in results if answer.code not in {Code.OK, Code.UNAVAILABLE, Code.CANCELLED}]
    if odd:
        raise Failed(f"under load, a call ended with {odd[0].said()}")


@check("drain.refuses-new-calls", area="drain", contract=("DRN-2",), slow=True, disturbs=True)
def refuses_new_calls(judge: StoreJudge) -> None:
    """While calls under way finish, health is NOT_SERVING or the connection is refused.

    If this fails: a rollout keeps sending calls to a provider that is about to end.
    Likely cause: health stays SERVING until the end.
    Fix: set health to NOT_SERVING as the first step of the drain.
    """
    # What hangs leaves a slow machine more time than what is only slow; it is given up as soon as health has said so.
    hold = judge.store.faults.hang or _slow(judge)
    stopping = _Stopped(judge)
    pending = _under_way(judge, hold, 2)
    refused = False
    with stopping as stopped:
        # Only a refusal that comes soon, and before the answers, counts: later the server has ended anyway.
        deadline = time.monotonic() + ANNOUNCED
        while not refused and time.monotonic() < deadline:
            if stopped.exit.done() or any(call.done for call in pending):
                break
            refused = _refuses_health(judge)
        for call in pending:
            call.cancel()
    if not refused:
        raise Failed("health was SERVING until the end")


def _refuses_health(judge: StoreJudge) -> bool:
    """Whether a new connection, or the server over it, says no. Saying nothing is not saying no."""
    with judge.session.connection() as client:
        answer = client.call(health_request(), path=HEALTH, timeout=5)
    if answer.code is not Code.OK:
        return answer.code is not Code.DEADLINE_EXCEEDED
    status = health_pb2.HealthCheckResponse.FromString(answer.payload or b"").status
    return status != health_pb2.HealthCheckResponse.SERVING


@check("drain.same-after-restart", area="drain", contract=("DRN-4",), disturbs=True)
def same_after_restart(judge: StoreJudge) -> None:
    """After a restart the same secret is read.

    If this fails: something that is needed lived in the memory of the earlier process.
    Likely cause: state that is kept in the process.
    Fix: keep it in the backend. A backend that lives in the provider's memory names existing keys in the target.
    """
    _process(judge)
    entry = next((entry for entry in judge.store.keys if not entry.version), None)
    if entry is None and judge.store.seed == "push":
        raise NotRun("not seeded: needs an existing key that does not live in the provider's memory (keys)")
    item = (
        judge.item(seed.TEXT)
        if entry is None
        else seed.Item(entry.key, entry.value, entry.property, ours=False)
    )
    judge.same(item, judge.read(item))
    with _Stopped(judge):
        pass
    judge.same(item, judge.read(item))
