"""Reports: every form tells the same, nothing of a value, and nothing that changes without reason in what is committed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema  # type: ignore[import-untyped]
import pytest
from provider_conformance.report import Report, as_html, as_junit, as_markdown, compare, matrix, report_schema
from provider_conformance.verdict import Call, Result, Status


def _result(
    check: str = "get.value", status: Status = Status.PASSED, reason: str = "", **kwargs: object
) -> Result:
    about: dict[str, object] = {
        "subject": "memory", "area": "read", "profile": "core", "contract": ("GET-1",), "seconds": 0.25,
        "calls": (Call("GetSecret", "OK", 0.2),),
    }  # fmt: skip
    return Result(check=check, status=status, reason=reason, **(about | kwargs))  # type: ignore[arg-type]


RESULTS = (
    _result(),
    _result(
        "get.missing-key", Status.FAILED, "GetSecret answered <OK> & \x1b[31m 'x' | y", contract=("GET-2",)
    ),
    _result("find.by-tags", Status.NOT_RUN, "not seeded: needs a hook", area="find", profile="extended"),
    _result("get.every-byte", Status.NOT_APPLICABLE, "backend limit: values text", profile="extended"),
    _result(
        "drain.exits-zero",
        Status.KNOWN,
        "a known one (seen)",
        subject="server",
        area="drain",
        profile="extended",
    ),
)


def _report(
    results: tuple[Result, ...] = RESULTS, name: str = "acme", contract: str = "1.1", **kwargs: Any
) -> Report:
    return Report(
        name, results, contract=contract, started="2030-01-01T00:00:00+00:00", seconds=12.5, **kwargs
    )


def test_the_json_form_matches_its_schema() -> None:
    """Others read it, so its form is a promise."""
    jsonschema.Draft202012Validator.check_schema(report_schema())
    jsonschema.validate(json.loads(_report().as_json()), report_schema())


def test_a_report_is_read_back_as_it_was() -> None:
    """compare, matrix and report work on files."""
    report = _report(seed=7, left_behind=("a: gone",))
    assert Report.from_json(report.as_json()) == report


@pytest.mark.parametrize("text", ["{}", "[]", '{"report": 2}'])
def test_another_format_is_refused(text: str) -> None:
    """A report of a later format must not be half understood."""
    with pytest.raises(ValueError, match="format 1"):
        Report.from_json(text)


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ((Status.PASSED, Status.NOT_APPLICABLE), "conformant"),
        ((Status.PASSED, Status.NOT_RUN), "incomplete"),
        ((Status.NOT_APPLICABLE,), "incomplete"),
        ((Status.PASSED, Status.KNOWN), "conformant with known failures"),
        ((Status.PASSED, Status.DIFFERENCE), "conformant with known differences"),
        ((Status.PASSED, Status.NOT_RUN, Status.FAILED), "not conformant"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value.replace(" ", "-"),
)
def test_a_verdict_claims_no_more_than_was_judged(statuses: tuple[Status, ...], word: str) -> None:
    """What was not tried is not passed."""
    report = _report(tuple(_result(status=status) for status in statuses))
    assert [verdict.word for verdict in report.verdicts()] == [word]


def test_junit_is_xml_with_failures_and_skips() -> None:
    """CI systems read it, whatever characters a reason has."""
    root = ET.fromstring(as_junit(_report()).encode())
    assert len(root.findall(".//testcase")) == len(RESULTS)
    (failure,) = root.findall(".//failure")
    assert "Likely cause" in (failure.text or "")
    assert {skip.get("message", "").partition(":")[0] for skip in root.findall(".//skipped")} == {
        "not-run", "not-applicable", "known-failure",
    }  # fmt: skip


def test_markdown_tells_failures_with_their_fix_and_all_reasons() -> None:
    """It is what stands in a pull request."""
    text = as_markdown(_report(left_behind=("key: refused",)))
    for part in ("**not conformant**", "### get.missing-key (memory)", "**Fix:**", "not seeded: needs a hook",
                 "backend limit: values text", "a known one", "key: refused", "&lt;OK> & "):  # fmt: skip
        assert part in text


def test_the_slowest_calls_are_of_different_checks() -> None:
    """The slowest come first; but hundreds of calls of a check about load would hide the one read that takes a second."""
    load = tuple(Call("GetSecret", "OK", seconds) for seconds in (2.0, 3.0, 2.5))
    report = _report((_result("concurrency.parallel-reads", calls=load), _result()))
    assert [(result.check, call.seconds) for result, call in report.slowest()] == [
        ("concurrency.parallel-reads", 3.0),
        ("get.value", 0.2),
    ]


class _Page(HTMLParser):
    """Collects what a page would load, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset"}]
        self.loads += [tag] * (tag in {"script", "link", "img", "iframe"})
        if tag not in {"meta", "i"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "i":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_well_formed_and_escaped() -> None:
    """It is opened from a CI's artefacts, where nothing can be loaded and nothing may run."""
    page = _Page()
    html = as_html(_report(name="<script>alert(1)</script>"))
    page.feed(html)
    assert page.loads == []
    assert page.open == []
    assert "url(" not in html
    for part in ("<script>alert(1)</script>", "not conformant", "GetSecret answered <OK> &", "not seeded: needs a hook",
                 "200 ms", "passed", "time"):  # fmt: skip
        assert part in page.text


def test_compare_shows_what_got_worse_first() -> None:
    """A change for the worse is what one looks for."""
    before = _report(
        (
            _result("get.value"),
            _result("get.nul", Status.FAILED),
            _result("get.large"),
            _result("get.version"),
        )
    )
    after = _report((
        _result("get.nul"), _result("get.value", Status.FAILED, "wrong"), _result("get.large", Status.NOT_RUN, "no seed"),
        _result("get.version"),
    ))  # fmt: skip
    changes = compare(before, after)
    assert [(change.check, change.worse) for change in changes] == [
        ("get.value", True), ("get.large", True), ("get.nul", False),
    ]  # fmt: skip
    assert changes[0].line() == "- get.value [memory]: passed -> failed: wrong"
    assert changes[2].line().startswith("+ get.nul")


def test_compare_shows_checks_that_disappeared() -> None:
    """A check that is no longer run is a change for the worse."""
    (change,) = compare(_report((_result(),)), _report(()))
    assert change.worse
    assert "passed -> absent" in change.line()


def test_the_matrix_has_verdicts_and_neither_times_nor_dates() -> None:
    """It is committed, so it must not change with every run."""
    faster = _report(
        tuple(
            _result(r.check, r.status, r.reason, subject=r.subject, profile=r.profile, seconds=9.0)
            for r in RESULTS
        )
    )
    other = _report(RESULTS[:1], name="beta", contract="1.0")
    text = matrix([_report(), other])
    assert text == matrix([other, faster])
    assert "| acme | memory |" in text
    assert "conformant, 1/1" in text
    assert "core, contract 1.1" in text
    assert "core, contract 1.0" in text
    assert "2030" not in text
