"""The list of checks is a product: ids are for ever, and each is bound to a promise and says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from provider_conformance.differences import DIFFERENCES
from provider_conformance.registry import AREAS, Check, all_checks, check, find_check

CONTRACT = Path(__file__).parents[2] / "docs" / "contract.md"
IDS = Path(__file__).with_name("ids.json")
CHECKS = all_checks()


def _promises() -> list[str]:
    return re.findall(r"^- \*\*([A-Z]+-\d+)\*\*", CONTRACT.read_text(), re.MULTILINE)


def test_there_are_at_least_120_checks_in_every_area() -> None:
    """What the suite promises to be."""
    assert len(CHECKS) >= 120
    assert {found.area for found in CHECKS} == set(AREAS)


def test_no_id_disappears_or_changes_its_profile() -> None:
    """Reports, known failures and dashboards refer to ids. A new check is added to ids.json; none is ever taken out."""
    kept = json.loads(IDS.read_text())
    assert {found.id: found.profile for found in CHECKS} == kept


@pytest.mark.parametrize("found", CHECKS, ids=lambda found: found.id)
def test_a_check_explains_itself(found: Check) -> None:
    """Each says in a sentence what it judges, what a user would lose, the likely cause and the fix."""
    assert found.summary.endswith(".")
    assert "\n" not in found.summary
    for text in (found.lost, found.cause, found.fix):
        assert text.endswith(".")
        assert len(text) >= 8


@pytest.mark.parametrize("found", CHECKS, ids=lambda found: found.id)
def test_a_check_judges_promises_that_exist(found: Check) -> None:
    """The number leads back to the reason for the check."""
    assert found.contract
    assert set(found.contract) <= set(_promises())


def test_promises_are_numbered_once() -> None:
    """A number that means two things means nothing."""
    promises = _promises()
    assert len(promises) == len(set(promises))


def test_promises_are_numbered_without_gaps() -> None:
    """A number that is missing was taken out, and the page says that none ever is."""
    numbers: dict[str, list[int]] = {}
    for promise in _promises():
        stem, _, number = promise.partition("-")
        numbers.setdefault(stem, []).append(int(number))
    assert numbers == {stem: list(range(1, len(found) + 1)) for stem, found in numbers.items()}


def test_every_number_that_the_contract_refers_to_is_there() -> None:
    """A reference that leads nowhere leaves its reader alone with the hardest part."""
    stems = "|".join(sorted({promise.partition("-")[0] for promise in _promises()}))
    mentioned = set(re.findall(rf"\b(?:{stems})-\d+\b", CONTRACT.read_text()))
    assert mentioned - set(_promises()) == set()


def test_every_promise_is_judged() -> None:
    """A promise that nobody checks is a wish."""
    judged = {number for found in CHECKS for number in found.contract}
    assert set(_promises()) - judged == set()


def test_checks_that_disturb_run_last_and_alone() -> None:
    """A provider that is being restarted can't be judged for anything else."""
    disturbing = [found.disturbs for found in CHECKS]
    assert disturbing == sorted(disturbing)
    assert all(found.alone for found in CHECKS if found.disturbs)


def test_method_names_are_unique() -> None:
    """Two checks must not share a test method."""
    names = [found.method_name for found in CHECKS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("dialect", DIFFERENCES)
def test_known_differences_are_of_checks_that_exist(dialect: str) -> None:
    """A difference of a misspelled check would excuse nothing, or the wrong thing later."""
    assert set(DIFFERENCES[dialect]) <= {found.id for found in CHECKS}


def test_an_unknown_check_is_told_its_neighbours() -> None:
    """A misspelled id should not cost a search."""
    with pytest.raises(KeyError, match=r"get\.missing-key"):
        find_check("get.mising-key")


@pytest.mark.parametrize(
    ("id_", "area"), [("get.value", "read"), ("NotAnId", "read"), ("get.new", "no-such-area")]
)
def test_a_malformed_or_used_id_is_refused(id_: str, area: str) -> None:
    """Ids are for ever, so a bad one must not get in."""
    with pytest.raises(ValueError, match="malformed or used"):
        check(id_, area=area, contract=("GET-1",))(lambda judge: None)
