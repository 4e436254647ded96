"""What can come out of a check, and nothing else: six statuses, the exceptions that lead to them, one result row.

A check passes by returning. It never reports a pass for something it did not try: what is outside a declared limit is
`not-applicable`, what could not be tried is `not-run`, and both say why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How one check ended for one subject."""

    PASSED = "passed"
    FAILED = "failed"
    KNOWN = "known-failure"
    """It failed, and the target says why that is known."""
    DIFFERENCE = "known-difference"
    """It failed in the way that the peer's dialect is documented to differ."""
    NOT_APPLICABLE = "not-applicable"
    """Outside a limit that the target declares, or of a role or contract version that the subject does not have."""
    NOT_RUN = "not-run"
    """It could have been judged, had there been the seed, the file or the address that it needs."""


class Failed(AssertionError):  # noqa: N818 - the word a report uses; pytest shows assertion errors well
    """The provider broke the promise that the check judges."""


class NotApplicable(Exception):  # noqa: N818
    """The promise does not concern this subject; the text says which declared limit, role or version it is."""


class NotRun(Exception):  # noqa: N818
    """The check lacks something; the text says what would let it run."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a check made, for the list of slow calls. It holds names only, never a value."""

    method: str
    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """How one check ended for one subject (a store, a generator, or the server itself)."""

    check: str
    subject: str
    area: str
    profile: str
    contract: tuple[str, ...]
    status: Status
    reason: str = ""
    seconds: float = 0.0
    calls: tuple[Call, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """The row of the JSON report."""
        row = asdict(self)
        row["status"] = str(self.status)
        row["seconds"] = round(self.seconds, 4)
        row["contract"] = list(self.contract)
        row["calls"] = [
            {"method": call.method, "status": call.status, "seconds": round(call.seconds, 4)}
            for call in self.calls
        ]
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Result:
        """A row of a JSON report, read back."""
        return cls(
            check=row["check"],
            subject=row["subject"],
            area=row["area"],
            profile=row["profile"],
            contract=tuple(row["contract"]),
            status=Status(row["status"]),
            reason=row["reason"],
            seconds=row["seconds"],
            calls=tuple(Call(**call) for call in row["calls"]),
        )
