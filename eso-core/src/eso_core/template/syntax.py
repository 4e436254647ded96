"""The parts of a parsed template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b`, or `.` when `path` is empty; below `base` when there is one: `$x.a`, `(...).a`."""

    path: tuple[str, ...]
    place: str
    base: Variable | Pipeline | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x`; `$` is the data of the whole template."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    name: str
    place: str


Operand: TypeAlias = "Literal | Field | Variable | Function | Pipeline"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each a function with arguments or a value; `$x := ...` declares, `$x = ...` assigns."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Text that stays as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` and `range`, with what stands under them and under `else`."""

    word: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node: TypeAlias = "Text | Pipeline | Branch"
