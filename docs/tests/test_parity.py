"""docs/parity.md names a test for every row, and each of these tests exists. Tests are found by reading, not by importing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| ([a-z]+-\d+) \| (.+?) \| (ours|bug fixed) \| (\S+) \|$")


def tables() -> dict[str, list[tuple[str, str]]]:
    """Per heading the rows as (id, test)."""
    found: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    for line in (ROOT / "docs/parity.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("|") and not line.startswith(("| id |", "|---")):
            row = ROW.match(line)
            assert row is not None, f"not a row with id, statement, kind and test: {line}"
            found.setdefault(heading, []).append((row[1], row[4]))
    return found


ROWS = [pytest.param(test, id=name) for rows in tables().values() for name, test in rows]


@cache
def names_of(path: str) -> frozenset[str]:
    """`test_x` and `TestClass::test_x` of one file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return frozenset(name for name in names if name.rpartition("::")[2].startswith("test_"))


@pytest.mark.parametrize("test", ROWS)
def test_every_row_is_held_by_a_test_that_exists(test: str) -> None:
    """A renamed or removed test takes its promise along; here somebody notices."""
    path, _, name = test.partition("::")

    assert name in names_of(path), f"{path} has no test {name}"


def test_ids_are_unique_and_tables_sorted() -> None:
    """So that two people who add a row do not meet, and a reference stays good."""
    ids = [name for rows in tables().values() for name, _ in rows]

    assert len(ids) == len(set(ids))
    for heading, rows in tables().items():
        names = [name for name, _ in rows]
        assert names == sorted(names), heading


def test_the_areas_so_far_are_there() -> None:
    """An empty page would pass everything above."""
    assert {"Shared by all providers", "provider-password", "provider-contrib: Fake", "eso-core"} <= set(
        tables()
    )
