"""The plain forms of a report: JUnit for CI, Markdown for people and pull requests, and a folder with all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from provider_conformance.registry import AREAS, find_check
from provider_conformance.report.html import as_html
from provider_conformance.report.model import Report
from provider_conformance.verdict import Result, Status

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: Report) -> str:
    """JUnit XML: one suite per area, one case per check and subject; what was not judged is skipped, with its reason."""
    root = ET.Element("testsuites", name=f"provider-conformance: {report.name}")
    for area, rows in report.areas():
        suite = ET.SubElement(
            root,
            "testsuite",
            name=area,
            tests=str(len(rows)),
            failures=str(sum(row.status is Status.FAILED for row in rows)),
            skipped=str(sum(row.status not in {Status.FAILED, Status.PASSED} for row in rows)),
            time=f"{sum(row.seconds for row in rows):.3f}",
        )
        for row in rows:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=f"{report.name}.{row.subject}",
                name=row.check,
                time=f"{row.seconds:.3f}",
            )
            reason = _NOT_XML.sub("?", row.reason)
            if row.status is Status.FAILED:
                ET.SubElement(case, "failure", message=reason).text = _help(row)
            elif row.status is not Status.PASSED:
                ET.SubElement(case, "skipped", message=f"{row.status}: {reason}")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _help(row: Result) -> str:
    check = find_check(row.check)
    return (
        f"{check.summary}\nIf this fails: {check.lost}\nLikely cause: {check.cause}\nFix: {check.fix}\n"
        f"Contract: {', '.join(row.contract)}"
    )


def as_markdown(report: Report) -> str:
    """Verdicts, failures with what to do, and what was not judged and why."""
    lines = [
        f"# Conformance of {report.name}",
        "",
        f"Contract {report.contract}, dialect {report.dialect}, suite {report.suite}.",
        "",
        "| subject | profile | verdict | passed | failed | known | not applicable | not run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for verdict in report.verdicts():
        n = verdict.counts
        known = n[Status.KNOWN] + n[Status.DIFFERENCE]
        lines.append(
            f"| {verdict.subject} | {verdict.profile} | **{verdict.word}** | {n[Status.PASSED]} | {n[Status.FAILED]}"
            f" | {known} | {n[Status.NOT_APPLICABLE]} | {n[Status.NOT_RUN]} |"
        )
    lines += ["", "| area | passed | failed | other |", "|---|---|---|---|"]
    for area, rows in report.areas():
        passed = sum(row.status is Status.PASSED for row in rows)
        failed = sum(row.status is Status.FAILED for row in rows)
        lines.append(f"| {AREAS[area]} | {passed} | {failed} | {len(rows) - passed - failed} |")
    lines += _failures(row for row in report.results if row.status is Status.FAILED)
    for status, title in _OTHERS.items():
        lines += _reasons(report, status, title)
    if report.left_behind:
        lines += ["", "## Left behind", "", *(f"- {_cell(entry)}" for entry in report.left_behind)]
    return "\n".join(lines) + "\n"


_OTHERS = {
    Status.KNOWN: "Known failures",
    Status.DIFFERENCE: "Known differences of the dialect",
    Status.NOT_RUN: "Not run",
    Status.NOT_APPLICABLE: "Not applicable",
}


def _failures(rows: Iterable[Result]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        check = find_check(row.check)
        lines += [
            "",
            f"### {row.check} ({row.subject})",
            "",
            check.summary,
            "",
            f"- **Seen:** {_cell(row.reason)}",
            f"- **If this fails:** {check.lost}",
            f"- **Likely cause:** {check.cause}",
            f"- **Fix:** {check.fix}",
            f"- **Contract:** {', '.join(row.contract)}",
        ]
    return ["", "## Failures", *lines] if lines else []


def _reasons(report: Report, status: Status, title: str) -> list[str]:
    grouped = report.reasons(status)
    if not grouped:
        return []
    lines = ["", f"## {title}", ""]
    for reason, rows in grouped:
        names = ", ".join(
            f"`{row.check}`" if row.subject == "server" else f"`{row.check}` ({row.subject})" for row in rows
        )
        lines.append(f"- {_cell(reason)}: {names}")
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def write_all(report: Report, folder: Path) -> list[Path]:
    """Write report.json, junit.xml, report.md and report.html into the folder; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    forms = {
        "report.json": report.as_json(),
        "junit.xml": as_junit(report),
        "report.md": as_markdown(report),
        "report.html": as_html(report),
    }
    for name, text in forms.items():
        (folder / name).write_text(text)
    return [folder / name for name in forms]
