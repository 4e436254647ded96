"""The providers of this repository, judged as processes from outside: the reports that the compatibility matrix is made from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from processes import TARGETS, running
from provider_conformance.report import Report, write_all
from provider_conformance.run import run, selected
from provider_conformance.target import Target
from provider_conformance.verdict import Result, Status

REPORTS = Path(__file__).parents[2] / "build" / "conformance"
NAMES = sorted(folder.name for folder in TARGETS.iterdir())


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """One provider, running."""
    with running(request.param, tmp_path) as target:
        yield target


def _failures(results: list[Result]) -> list[str]:
    return [
        f"{result.check} [{result.subject}]: {result.reason}"
        for result in results
        if result.status is Status.FAILED
    ]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("contract", [(1, 1), (1, 0)], ids=["contract-1.1", "contract-1.0"])
def test_a_provider_passes_both_profiles(target: Target, contract: tuple[int, int]) -> None:
    """As our core asks, and as a baseline core does. What is left behind counts, too.

    The waits do not depend on the contract's version, so that they are waited for once.
    """
    target = replace(target, contract=contract)
    started = time.time()
    results, left = run(target, selected(slow=contract == (1, 1)))
    version = f"{contract[0]}.{contract[1]}"
    report = Report.of(results, name=target.name, started=started, left_behind=left, contract=version)
    write_all(report, REPORTS / f"{target.name}-{version}-{target.dialect}")
    assert _failures(results) == []
    assert left == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_runs_in_a_row_agree(target: Target) -> None:
    """A check that fails now and then is worse than none. `python conformance/tests/repeat.py 100` makes more of them."""
    checks = selected(slow=False)
    rounds = [run(target, checks)[0] for _ in range(3)]
    assert [_failures(results) for results in rounds] == [[], [], []]
    statuses = [[(result.check, result.subject, result.status) for result in results] for results in rounds]
    assert statuses[0] == statuses[1] == statuses[2]


@pytest.mark.parametrize("dialect", ["s", "p"])
def test_a_provider_passes_core_in_both_go_dialects(target: Target, dialect: str) -> None:
    """The Go cores ask in two ways, and get what they need from both."""
    asked = replace(target, dialect=dialect, contract=(1, 0))  # type: ignore[arg-type]
    checks = selected(("core",), slow=False)
    results, left = run(asked, checks)
    assert _failures(results) == []
    assert left == []
