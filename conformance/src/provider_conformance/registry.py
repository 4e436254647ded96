"""The one list of checks. A module below `checks/` adds its own with `@check`; the doors only read the list.

An id is for ever: reports, known failures and dashboards refer to it. A check is bound to at least one numbered
promise of docs/contract.md, and its docstring tells what to do when it fails.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

Role = Literal["server", "store", "writable", "generator"]
"""Whom a check judges: the server as such (once), every store, every store that can be written, every generator."""

Profile = Literal["core", "extended"]

AREAS: dict[str, str] = {
    "transport": "Transport and TLS",
    "read": "Reading a value",
    "map": "Reading a map",
    "find": "Finding",
    "write": "Writing",
    "delete": "Deleting",
    "exists": "Existence",
    "validate": "Validation",
    "capabilities": "Capabilities and description",
    "generator": "Generators and cleanup",
    "errors": "Errors",
    "namespaces": "Authentication scope and namespaces",
    "deadlines": "Deadlines and cancellation",
    "concurrency": "Concurrency and tenants",
    "idempotence": "Idempotence",
    "skew": "Version skew",
    "hostile": "Hostile payloads",
    "metrics": "Metrics endpoint",
    "drain": "Drain",
}
"""Areas in the order in which they run and are reported. The ones that disturb the server come last."""

_ID = re.compile(r"[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)+")
_PARTS = re.compile(
    r"^(?P<summary>.+?)\n\s*\nIf this fails: (?P<lost>.+?)\sLikely cause: (?P<cause>.+?)\sFix: (?P<fix>.+)$",
    re.DOTALL,
)

Body = TypeVar("Body", bound=Callable[[Any], None])


@dataclass(frozen=True, slots=True)
class Check:
    """One promise put to the test."""

    id: str
    area: str
    profile: Profile
    role: Role
    contract: tuple[str, ...]
    since: tuple[int, int]
    """Contract version that made the promise; a peer of an older version is not held to it."""
    slow: bool
    """It has to wait for more than about a second."""
    alone: bool
    """It loads or counts, so that other checks at the same time would be in its way, or it in theirs."""
    disturbs: bool
    """It changes the server for everybody (certificates, stop and start): it runs alone, and last."""
    body: Callable[[Any], None]

    @property
    def method_name(self) -> str:
        """Name of the test method that runs it: `get.missing-key` is `test_get_missing_key`."""
        return "test_" + re.sub(r"[.-]", "_", self.id)

    @property
    def summary(self) -> str:
        """The promise in one sentence."""
        return self._part("summary")

    @property
    def lost(self) -> str:
        """What a user loses when it fails."""
        return self._part("lost")

    @property
    def cause(self) -> str:
        """The likely cause of a failure."""
        return self._part("cause")

    @property
    def fix(self) -> str:
        """What to do about a failure."""
        return self._part("fix")

    def _part(self, name: str) -> str:
        found = _PARTS.match(inspect.cleandoc(self.body.__doc__ or ""))
        assert found is not None, (
            f"{self.id}: the docstring lacks 'If this fails: ... Likely cause: ... Fix: ...'"
        )
        return " ".join(found[name].split())

    def as_json(self) -> dict[str, Any]:
        """The row of `provider-conformance list --json`."""
        return {
            "id": self.id,
            "area": self.area,
            "profile": self.profile,
            "role": self.role,
            "contract": list(self.contract),
            "since": f"{self.since[0]}.{self.since[1]}",
            "slow": self.slow,
            "summary": self.summary,
        }


_CHECKS: dict[str, Check] = {}


def check(
    id: str,  # noqa: A002 - it is the check's id
    *,
    area: str,
    contract: tuple[str, ...],
    role: Role = "store",
    profile: Profile = "extended",
    since: tuple[int, int] = (1, 0),
    slow: bool = False,
    alone: bool = False,
    disturbs: bool = False,
) -> Callable[[Body], Body]:
    """Add the decorated function to the list. It gets a judge of its role, and passes by returning."""

    def add(body: Body) -> Body:
        if not _ID.fullmatch(id) or id in _CHECKS or area not in AREAS:
            raise ValueError(f"check {id!r} in area {area!r}: a malformed or used id, or an unknown area")
        _CHECKS[id] = Check(id, area, profile, role, contract, since, slow, alone or disturbs, disturbs, body)
        return body

    return add


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order in which they run: by area, and the disturbing and the waiting ones last."""
    from provider_conformance import checks

    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    areas = list(AREAS)
    # Within an area the order is that of the source, which the sort keeps.
    return tuple(sorted(_CHECKS.values(), key=lambda c: (c.disturbs, c.slow, areas.index(c.area))))


def find_check(id: str) -> Check:  # noqa: A002
    """The check with this id. Raises KeyError, whose text names ids that begin alike."""
    for candidate in all_checks():
        if candidate.id == id:
            return candidate
    stem = id.partition(".")[0]
    alike = ", ".join(c.id for c in all_checks() if c.id.partition(".")[0] == stem)
    raise KeyError(f"there is no check {id!r}" + (f"; there are: {alike}" if alike else ""))
