"""A report: results and what is needed to understand them. Its JSON form is published as `report.schema.json`."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Any, Self

from provider_conformance.registry import AREAS
from provider_conformance.verdict import Call, Result, Status

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a profile came to for one subject."""

    subject: str
    profile: str
    counts: Counter[Status]

    @property
    def word(self) -> str:
        """`conformant`; `conformant with known failures`; `incomplete` (something could not be judged); `not conformant`."""
        if self.counts[Status.FAILED]:
            return "not conformant"
        if not self.counts[Status.PASSED] or self.counts[Status.NOT_RUN]:
            return "incomplete"
        if self.counts[Status.KNOWN] or self.counts[Status.DIFFERENCE]:
            return (
                "conformant with known failures"
                if self.counts[Status.KNOWN]
                else "conformant with known differences"
            )
        return "conformant"

    def line(self) -> str:
        """The verdict in one line."""
        parts = ", ".join(f"{self.counts[status]} {status}" for status in Status if self.counts[status])
        return f"{self.subject}, {self.profile}: {self.word} ({parts})"


@dataclass(frozen=True)
class Report:
    """One run."""

    name: str
    results: tuple[Result, ...]
    contract: str = "1.1"
    dialect: str = "v2"
    seed: int | None = None
    started: str = ""
    seconds: float = 0.0
    left_behind: tuple[str, ...] = ()
    suite: str = field(default_factory=lambda: metadata.version("provider-conformance"))

    @classmethod
    def of(
        cls,
        results: Iterable[Result],
        *,
        name: str,
        started: float,
        left_behind: Iterable[str] = (),
        **about: Any,
    ) -> Self:
        """A report of a run that began at `started` (seconds since the epoch) and ends now."""
        now = dt.datetime.now(dt.UTC)
        begun = dt.datetime.fromtimestamp(started, dt.UTC)
        return cls(
            name=name,
            results=tuple(results),
            started=begun.isoformat(timespec="seconds"),
            seconds=(now - begun).total_seconds(),
            left_behind=tuple(left_behind),
            **about,
        )

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(result.status is Status.FAILED for result in self.results)

    def counts(self) -> Counter[Status]:
        """How many results have each status."""
        return Counter(result.status for result in self.results)

    def subjects(self) -> list[str]:
        """The subjects, the server first, then in the target's order."""
        return list(dict.fromkeys(["server"] * any(r.subject == "server" for r in self.results))) + [
            subject
            for subject in dict.fromkeys(result.subject for result in self.results)
            if subject != "server"
        ]

    def verdicts(self) -> list[Verdict]:
        """A verdict for every subject and profile that has results."""
        found = []
        for subject in self.subjects():
            for profile in ("core", "extended"):
                rows = [r for r in self.results if r.subject == subject and r.profile == profile]
                if rows:
                    found.append(Verdict(subject, profile, Counter(row.status for row in rows)))
        return found

    def areas(self) -> list[tuple[str, Sequence[Result]]]:
        """Results by area, in the order of the areas; areas without results are left out."""
        grouped = [(area, [result for result in self.results if result.area == area]) for area in AREAS]
        return [(area, rows) for area, rows in grouped if rows]

    def slowest(self, count: int = 10) -> list[tuple[Result, Call]]:
        """The slowest calls, one of each result: a check that makes hundreds of them would fill the list alone."""
        each = [
            (result, max(result.calls, key=lambda call: call.seconds))
            for result in self.results
            if result.calls
        ]
        return sorted(each, key=lambda pair: -pair[1].seconds)[:count]

    def reasons(self, status: Status) -> list[tuple[str, list[Result]]]:
        """Reasons of the results with this status, the most frequent first."""
        grouped: dict[str, list[Result]] = {}
        for result in self.results:
            if result.status is status:
                grouped.setdefault(result.reason, []).append(result)
        return sorted(grouped.items(), key=lambda pair: -len(pair[1]))

    def summary_lines(self) -> list[str]:
        """One line per verdict."""
        return [f"{self.name}: {verdict.line()}" for verdict in self.verdicts()]

    def as_json(self) -> str:
        """The JSON form."""
        document = {
            "report": FORMAT,
            "suite": self.suite,
            "name": self.name,
            "contract": self.contract,
            "dialect": self.dialect,
            "seed": self.seed,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "left_behind": list(self.left_behind),
            "verdicts": [
                {
                    "subject": verdict.subject,
                    "profile": verdict.profile,
                    "verdict": verdict.word,
                    "counts": {str(status): verdict.counts[status] for status in Status},
                }
                for verdict in self.verdicts()
            ],
            "results": [result.as_json() for result in self.results],
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A report read back. Raises ValueError for another format."""
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("report") != FORMAT:
            raise ValueError(f"not a conformance report of format {FORMAT}")
        return cls(
            name=document["name"],
            results=tuple(Result.from_json(row) for row in document["results"]),
            contract=document["contract"],
            dialect=document["dialect"],
            seed=document["seed"],
            started=document["started"],
            seconds=document["seconds"],
            left_behind=tuple(document["left_behind"]),
            suite=document["suite"],
        )


def report_schema() -> dict[str, Any]:
    """The JSON schema of reports."""
    text = resources.files("provider_conformance").joinpath("report/report.schema.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded
