"""An API server, or a proxy before it, that answers what no API server answers. A real one does not do that, so this one is
made up.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from provider_common._kube_api import UnreachableError
from provider_common._kube_watch import Follower, Pace
from provider_common.kube import ServedType

from .conftest import eventually

THING = ServedType("g/v1", "Thing", "things")
PACE = Pace(first_pause=0.01, longest_pause=0.05)


def thing(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "team-a", "name": name, **metadata}, "spec": {}}


class OddApi:
    """Answers `page` to the first list and `line` in the first watch, and is in order afterwards."""

    def __init__(self, *, page: Any = None, line: bytes = b"") -> None:
        self.page, self.line = page, line
        self.closed = threading.Event()

    def list(self, served: ServedType, *, limit: int, token: str) -> Any:
        page, self.page = self.page, None
        return {"items": [thing("main")], "metadata": {"resourceVersion": "1"}} if page is None else page

    def watch(self, served: ServedType, *, version: str, seconds: int, silence: float) -> OddStream:
        line, self.line = self.line, b""
        return OddStream(self.closed, line)


class OddStream:
    """One odd line, or one good object, and silence."""

    def __init__(self, closed: threading.Event, line: bytes) -> None:
        self._closed, self._line = closed, line

    def __iter__(self) -> Iterator[bytes]:
        good = json.dumps({"type": "ADDED", "object": thing("later", resourceVersion="2")}).encode()
        yield self._line or good
        self._closed.wait(30)

    def interrupt(self) -> None:
        self._closed.set()

    def close(self) -> None:
        return


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"page": {"items": [5], "metadata": {}}}, id="an item that is a number"),
        pytest.param({"page": {"items": 5}}, id="items that are a number"),
        pytest.param({"page": {"items": [thing("x", generation="new")]}}, id="a generation that is text"),
        pytest.param({"page": {"items": [{"metadata": ["x"]}]}}, id="metadata that is a list"),
        pytest.param({"page": {"metadata": "x"}}, id="metadata of the list that is text"),
        pytest.param({"line": b"half"}, id="half an event"),
        pytest.param({"line": b'{"type": "ADDED", "object": 5}'}, id="an object that is a number"),
        pytest.param(
            {"line": b'{"type": "ADDED", "object": {"metadata": 5}}'}, id="metadata that is a number"
        ),
        pytest.param(
            {"line": b'{"type": "MODIFIED", "object": {"metadata": {"generation": "x"}}}'},
            id="an odd generation",
        ),
        pytest.param({"line": b'{"type": "ERROR", "object": {"code": "x"}}'}, id="an error without a number"),
        pytest.param({"line": b"[" * 100_000}, id="brackets in brackets"),
    ],
)
def test_an_answer_that_makes_no_sense_is_asked_for_again(odd: dict[str, Any]) -> None:
    """The thread that follows would end, and nothing after that would ever be seen."""
    api: Any = OddApi(**odd)
    follower = Follower(api, THING, pace=PACE)
    follower.start()
    try:
        eventually(lambda: follower.get(("team-a", "later")), seconds=20)
        assert follower.get(("team-a", "main"))
        assert (follower.listed, follower.problem) == (True, "")
    finally:
        follower.stop()
        follower.join(5)


def test_answers_that_never_make_sense_are_a_problem_that_is_told() -> None:
    class Nonsense(OddApi):
        def list(self, served: ServedType, *, limit: int, token: str) -> Any:
            return {"items": ["c4nary"]}

    api: Any = Nonsense()
    follower = Follower(api, THING, pace=PACE)
    follower.start()
    try:
        eventually(lambda: follower.problem, seconds=20)
        assert "things" in follower.problem
        assert "is there a proxy between?" in follower.problem
        assert "c4nary" not in follower.problem
    finally:
        follower.stop()
        follower.join(5)


def test_the_errors_of_the_api_are_what_they_were() -> None:
    """What can't be reached is told as that, and not as nonsense."""

    class Away(OddApi):
        def list(self, served: ServedType, *, limit: int, token: str) -> Any:
            raise UnreachableError("it can't be reached")

    api: Any = Away()
    follower = Follower(api, THING, pace=PACE)
    follower.start()
    try:
        eventually(lambda: follower.problem, seconds=20)
        assert follower.problem == "the API server can't be asked for things: it can't be reached"
    finally:
        follower.stop()
        follower.join(5)
