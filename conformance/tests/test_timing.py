"""Checks about time and load: they judge the provider, and not the machine that both run on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from broken.right import Backend, Right
from broken.served import Served
from grpc_health.v1 import health_pb2
from provider_conformance.checks import deadlines, drain
from provider_conformance.client import Answer, Code, Pending
from provider_conformance.registry import find_check
from provider_conformance.run import run
from provider_conformance.session import HEALTH
from provider_conformance.target import Target
from provider_conformance.verdict import Result, Status


def _result(target: Target, id_: str) -> Result:
    ((result,), _) = run(target, [find_check(id_)])
    return result


class Noting(Right):
    """Notes which key each read asks for, in the order in which handlers begin; Capabilities and Validate as their names."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def answer(self, method: str, payload: bytes, context: Any) -> bytes:
        request = self.parse(method, payload)
        self.asked.append(request.remote_ref.key if method == "GetSecret" else method)  # type: ignore[attr-defined]
        return super().answer(method, payload, context)


@pytest.mark.parametrize(
    "id_",
    [
        "deadlines.frees-server",
        "deadlines.cancel-frees-server",
        "deadlines.health-while-hanging",
        "deadlines.other-store-while-hanging",
    ],
)
def test_calls_that_hang_have_arrived_before_anything_is_judged_by_them(
    served: Served, right_target: Target, id_: str
) -> None:
    """A call that was given up before it reached the server held nothing, and its check proved nothing."""
    served.right = noting = Noting()
    hang = right_target.stores[0].faults.hang
    assert hang is not None

    result = _result(right_target, id_)

    assert (result.status, result.reason) == (Status.PASSED, "")
    absent = next(n for n, asked in enumerate(noting.asked) if asked.endswith("absent"))
    # Not all of them for certain: a server with threads drops what is cancelled before a thread has taken it up.
    assert noting.asked[:absent].count(hang.key) > deadlines.CALLS // 2


class Entries(Right):
    """A store of maps, as Vault's: what is not a map of texts comes back with its numbers rounded."""

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        if not path:
            with contextlib.suppress(ValueError):
                value = json.dumps(json.loads(value, parse_int=float), sort_keys=True).encode()
        super().store(backend, key, path, value)


def test_a_store_of_maps_is_read_in_parallel_as_what_it_is(served: Served, right_target: Target) -> None:
    """Whether it keeps a document's digits is another check's question, and there it may be a known failure."""
    served.right = Entries()
    store = right_target.stores[0]
    store = replace(store, seed="push", limits=replace(store.limits, values="object"))
    maps = replace(right_target, stores=(store,))

    assert _result(maps, "get.whole-document").status is Status.FAILED
    assert _result(maps, "concurrency.parallel-reads").reason == ""


class CountsOnceMore(Right):
    """Of the first call that is counted, another one is counted late: it was given up by its caller long ago."""

    TIMES = 1

    def count(self, path: str, seconds: float, *, ok: bool) -> None:
        for _ in range(1 + (self.TIMES > 0 and path.endswith("/GetSecret"))):
            super().count(path, seconds, ok=ok)
        self.TIMES -= path.endswith("/GetSecret")  # type: ignore[misc]


class CountsTwice(CountsOnceMore):
    """Every call is counted twice."""

    TIMES = 1_000_000


@pytest.mark.parametrize(
    ("right", "status"),
    [(CountsOnceMore, Status.PASSED), (CountsTwice, Status.FAILED)],
    ids=["late", "twice"],
)
def test_a_late_count_is_told_from_a_wrong_one(
    served: Served, right_target: Target, right: type[Right], status: Status
) -> None:
    """A call that was cancelled in an earlier check may end, and be counted, in this one."""
    served.right = right()
    assert _result(right_target, "metrics.counts-errors").status is status


def _health(code: Code, status: int = health_pb2.HealthCheckResponse.UNKNOWN) -> Answer[Any]:
    payload = health_pb2.HealthCheckResponse(status=status).SerializeToString()  # type: ignore[arg-type]
    return Answer(HEALTH, code, "", payload if code is Code.OK else None, (), 0.1)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (_health(Code.OK, health_pb2.HealthCheckResponse.SERVING), False),
        (_health(Code.OK, health_pb2.HealthCheckResponse.NOT_SERVING), True),
        (_health(Code.UNAVAILABLE), True),
        (_health(Code.DEADLINE_EXCEEDED), False),
    ],
    ids=["serving", "not-serving", "connection-refused", "no-answer"],
)
def test_a_provider_that_says_nothing_has_not_refused(answer: Answer[Any], refused: bool) -> None:
    """On a slow machine health may take long, which is no reason to believe that a drain has been announced."""

    @contextlib.contextmanager
    def connection() -> Iterator[Any]:
        yield SimpleNamespace(call=lambda *_, **__: answer)

    judge: Any = SimpleNamespace(session=SimpleNamespace(connection=connection))
    assert drain._refuses_health(judge) is refused


def test_a_drain_is_not_judged_by_calls_that_are_over(
    right_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading that is too short for the machine says nothing about the provider: not run, and why."""
    monkeypatch.setattr(Pending, "done", True)
    result = _result(right_target, "drain.finishes-calls")
    assert (result.status, "has to take longer" in result.reason) == (Status.NOT_RUN, True)
