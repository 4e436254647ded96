"""Several reports at once: what changed between two, and the matrix of all providers for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provider_conformance.report.model import Report
from provider_conformance.verdict import Status

_BAD = {Status.FAILED}
_JUDGED = {Status.PASSED, Status.FAILED, Status.KNOWN, Status.DIFFERENCE}


@dataclass(frozen=True, slots=True)
class Change:
    """A check that ended in another way than before. None: it was not there."""

    check: str
    subject: str
    before: Status | None
    after: Status | None
    reason: str

    @property
    def worse(self) -> bool:
        """It failed and had not, or it was judged and no longer is."""
        if self.after in _BAD:
            return self.before not in _BAD
        return self.before in _JUDGED and self.after not in _JUDGED

    def line(self) -> str:
        """The change in one line."""
        sign = "-" if self.worse else "+" if self.before in _BAD else " "
        return (
            f"{sign} {self.check} [{self.subject}]: {self.before or 'absent'} -> {self.after or 'absent'}"
            + (f": {self.reason}" if self.reason else "")
        )


def compare(before: Report, after: Report) -> list[Change]:
    """What changed, the worse first."""
    old = {(result.check, result.subject): result for result in before.results}
    new = {(result.check, result.subject): result for result in after.results}
    changes = []
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        then, since = was.status if was else None, now.status if now else None
        if then is not since:
            changes.append(Change(*key, then, since, now.reason if now else ""))
    return sorted(changes, key=lambda change: not change.worse)


def matrix(reports: Sequence[Report]) -> str:
    """The compatibility matrix in Markdown: providers and subjects by profile and contract version. No timings, no dates."""
    versions = sorted({report.contract for report in reports}, reverse=True)
    columns = [(version, profile) for version in versions for profile in ("core", "extended")]
    cells: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    notes: dict[str, None] = {}
    for report in sorted(reports, key=lambda r: (r.name, r.dialect)):
        for verdict in report.verdicts():
            dialect = "" if report.dialect == "v2" else f" (dialect {report.dialect})"
            row = cells.setdefault((f"{report.name}{dialect}", verdict.subject), {})
            counts = verdict.counts
            judged = sum(counts[status] for status in _JUDGED)
            rest = f", {counts[Status.NOT_RUN]} not run" if counts[Status.NOT_RUN] else ""
            row[report.contract, verdict.profile] = f"{verdict.word}, {counts[Status.PASSED]}/{judged}{rest}"
        for result in report.results:
            if result.status in {Status.KNOWN, Status.FAILED}:
                notes[
                    f"- {report.name}, `{result.check}` [{result.subject}], {result.status}: {_short(result.reason)}"
                ] = None
    head = " | ".join(f"{profile}, contract {version}" for version, profile in columns)
    lines = [
        "# Compatibility matrix",
        "",
        "Made by `provider-conformance matrix` from the reports of a run; not edited by hand. A cell says the verdict, and how",
        "many of the checks that could be judged passed. What a backend cannot do by its nature is not counted.",
        "",
        f"| provider | subject | {head} |",
        f"|---|---|{'---|' * len(columns)}",
        *(
            f"| {name} | {subject} | {' | '.join(row.get(column, '') for column in columns)} |"
            for (name, subject), row in cells.items()
        ),
    ]
    if notes:
        lines += ["", "## Known failures", "", *notes]
    return "\n".join(lines) + "\n"


def _short(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= 200 else f"{text[:200]}..."
