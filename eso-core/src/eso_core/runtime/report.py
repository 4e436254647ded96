"""What came of a pass, for people and for programs. Names, counts and reasons; never a value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eso_core.reconcile.world import Readiness

_WIDEST = 48
_HEADER = ("NAMESPACE", "EXTERNALSECRET", "REASON", "KEYS", "MESSAGE")


@dataclass(frozen=True, slots=True)
class Row:
    """One ExternalSecret. `ready` is None when it belongs to another controller class."""

    namespace: str
    name: str
    reason: str
    ready: bool | None
    message: str
    keys: int = 0
    secret: Path | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreRow:
    """One store or generator that was asked about."""

    kind: str
    namespace: str
    name: str
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class Report:
    """One pass over a folder."""

    rows: Sequence[Row] = ()
    stores: Sequence[StoreRow] = ()
    problems: Sequence[str] = ()
    """What is wrong with the folder, or could not be done beside the ExternalSecrets."""
    notes: Sequence[str] = ()
    output: Path = field(default_factory=Path)

    @property
    def ok(self) -> bool:
        """True when everything that is ours is synced."""
        return not self.problems and all(row.ready is not False for row in self.rows)


def one_line(text: str) -> str:
    """`text` for a terminal: names come from manifests, and may hold line breaks and escape sequences."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def table(report: Report) -> str:
    """The rows as a table, with what is wrong below."""
    cells = [_HEADER] + [
        (row.namespace, row.name, row.reason, str(row.keys), row.message) for row in report.rows
    ]
    widths = [max(min(len(cell[column]), _WIDEST) for cell in cells) for column in range(len(_HEADER) - 1)]
    lines = [
        one_line(
            "  ".join(
                [*(text.ljust(width) for text, width in zip(cell, widths, strict=False)), cell[-1]]
            ).rstrip()
        )
        for cell in cells
    ]
    if not report.rows:
        lines = ["no ExternalSecrets"]
    lines += [one_line(f"problem: {text}") for text in report.problems]
    ours = [row for row in report.rows if row.ready is not None]
    synced = sum(row.ready is True for row in ours)
    lines += ["", f"{synced} of {len(ours)} synced; Secrets are in {report.output}"]
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """The report for programs, on one line."""
    content: dict[str, Any] = {
        "ok": report.ok,
        "output": str(report.output),
        "externalSecrets": [
            {
                "namespace": row.namespace,
                "name": row.name,
                "ready": row.ready,
                "reason": row.reason,
                "message": row.message,
                "keys": row.keys,
                "secret": None if row.secret is None else str(row.secret),
                "events": list(row.events),
            }
            for row in report.rows
        ],
        "stores": [
            {
                "kind": row.kind,
                "namespace": row.namespace,
                "name": row.name,
                "ready": row.readiness.ready,
                "reason": row.readiness.reason,
                "message": row.readiness.message,
                "capabilities": row.readiness.capabilities,
            }
            for row in report.stores
        ],
        "problems": list(report.problems),
        "notes": list(report.notes),
    }
    return json.dumps(content)
