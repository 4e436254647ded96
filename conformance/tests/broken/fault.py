"""What makes a class a fault: one override of the right provider, and beside it the checks that have to catch it.

    @caught_by("get.blanks-and-lines")
    class TrimsValues(Right):
        "Blanks at both ends of a value are cut off."

A subclass of `Right` means something wrong, a subclass of `Served` does something wrong on the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .right import Right
from .served import Served

Broken = TypeVar("Broken", bound=type[Right] | type[Served])


@dataclass(frozen=True)
class Fault:
    """A broken provider, and what the suite has to say of it."""

    name: str
    broken: type[Right | Served]
    caught_by: frozenset[str]
    """Ids of the checks that fail; all others pass or do not apply."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What its target declares in place of the right provider's limits."""
    target: Mapping[str, Any] = field(default_factory=dict)
    """What its target says otherwise."""
    only: tuple[str, ...] = ()
    """The ids, or beginnings of ids, of the checks it is judged by, where no others can be run."""

    def right(self) -> Right:
        """What calls mean."""
        return self.broken() if issubclass(self.broken, Right) else Right()

    @property
    def served(self) -> type[Served]:
        """How it is put on the network."""
        if issubclass(self.broken, Served):
            return self.broken
        return getattr(self.broken, "SERVED", Served)


FAULTS: dict[str, Fault] = {}


def caught_by(
    *checks: str,
    limits: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
    only: tuple[str, ...] = (),
) -> Callable[[Broken], Broken]:
    """The decorated class is a fault, which exactly these checks catch."""

    def add(broken: Broken) -> Broken:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", broken.__name__).lower()
        if name in FAULTS or not checks or not broken.__doc__:
            raise ValueError(f"{name}: a used name, no check that catches it, or no docstring")
        FAULTS[name] = Fault(name, broken, frozenset(checks), limits or {}, target or {}, only)
        return broken

    return add
