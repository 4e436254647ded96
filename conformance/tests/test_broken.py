"""The judge is judged: each provider with one fault is caught by exactly the checks that stand beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from broken.fault import Fault
from broken.judged import FAULTS, checks_of, failed, judge, start, target_of
from broken.right import Right
from broken.served import Served
from broken.target import Certificates
from provider_conformance.registry import all_checks, find_check
from provider_conformance.run import IDLE_CHECK, Suite
from provider_conformance.verdict import Result, Status

pytestmark = pytest.mark.slow

RIGHT = Fault("right", Right, frozenset())

CAUGHT_BY_NONE: dict[str, str] = {}
"""Checks that no broken provider here can trip, with the reason."""


def by_name(faults: list[Fault]) -> list[object]:
    return [pytest.param(fault, id=fault.name) for fault in faults]


# The idle connection has to wait for 26 s, so all providers of its area wait together; first, as another worker goes on.


@dataclass(frozen=True)
class Waiting:
    """Providers whose idle connections were opened at the same time."""

    suites: dict[str, Suite]

    def judge(self, fault: Fault) -> Result:
        """How the connection has fared."""
        (result,) = self.suites[fault.name].run(find_check(IDLE_CHECK))
        return result


IDLING = [
    RIGHT,
    *(
        fault
        for fault in FAULTS.values()
        if not fault.only and any(find_check(name).area == "transport" for name in fault.caught_by)
    ),
]


@pytest.fixture(scope="module")
def waiting(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    suites = {}
    with ExitStack() as stack:
        for fault in IDLING:
            running = start(fault, certificates, tmp_path_factory.mktemp("idle") / "server")
            stack.callback(running.stop)
            suite = Suite(target_of(fault, running, certificates))
            stack.callback(suite.close)
            suites[fault.name] = suite
        yield Waiting(suites)


@pytest.mark.xdist_group("idle")
@pytest.mark.parametrize("fault", by_name(IDLING))
def test_an_idle_connection_is_lost_where_the_fault_says_so(fault: Fault, waiting: Waiting) -> None:
    """The slow check of the transport's area, for every fault of that area."""
    result = waiting.judge(fault)

    wanted = Status.FAILED if IDLE_CHECK in fault.caught_by else Status.PASSED
    assert result.status is wanted, result.reason


@pytest.mark.parametrize("fault", by_name([RIGHT, *FAULTS.values()]))
def test_exactly_the_named_checks_catch(fault: Fault, certificates: Certificates, tmp_path: Path) -> None:
    """A check that misses its fault is worth nothing; one that fails beside it sends people looking in the wrong place."""
    running = start(fault, certificates, tmp_path / "server")
    try:
        found = failed(judge(fault, running, certificates, checks_of(fault)))
    finally:
        running.stop()

    named = fault.caught_by - {IDLE_CHECK}
    assert sorted(named - found.keys()) == [], "checks that should have caught it"
    assert {name: reason for name, reason in found.items() if name not in named} == {}


def test_the_right_provider_passes_every_check_that_applies(
    served: Served, certificates: Certificates
) -> None:
    """With nothing failed, passing could still mean that nothing was tried."""
    results = judge(RIGHT, served, certificates, [check for check in all_checks() if not check.slow])

    others = {result.check: result.reason for result in results if result.status is not Status.PASSED}
    assert others == {
        "find.unsupported-selector": "every selector is supported: find by tags",
        "capabilities.read-only-refuses-writes": "Capabilities says READ_WRITE",
    }


# The table itself


def test_there_are_at_least_fifty_faults() -> None:
    """A suite is as good as the faults it was tried on."""
    assert len(FAULTS) >= 50


@pytest.mark.parametrize("fault", by_name(list(FAULTS.values())))
def test_a_fault_names_checks_that_there_are(fault: Fault) -> None:
    """A misspelled id would look like a check that misses its fault."""
    assert fault.caught_by <= {check.id for check in all_checks()}


@pytest.mark.parametrize("check", [check.id for check in all_checks()])
def test_every_check_is_tripped_by_some_fault(check: str) -> None:
    """A check that nothing trips may be one that nothing can trip."""
    tripped = any(check in fault.caught_by for fault in FAULTS.values())

    assert tripped is (check not in CAUGHT_BY_NONE), CAUGHT_BY_NONE.get(check, "no fault trips it")
