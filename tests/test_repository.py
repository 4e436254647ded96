"""Promises of the repository as a whole."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split("\n")
MEMBERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
PUBLISHED = [member for member in MEMBERS if member != "e2e"]


def _project(member: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
    return project


@pytest.mark.parametrize("member", PUBLISHED)
def test_a_distribution_is_complete_in_its_folder(member: str) -> None:
    for needed in ("README.md", "CHANGELOG.md", "pyproject.toml", "tests", "src"):
        assert (ROOT / member / needed).exists(), f"{member} has no {needed}"


@pytest.mark.parametrize("member", PUBLISHED)
def test_requirements_are_ranges_not_pins(member: str) -> None:
    project = _project(member)
    for requirement in project["dependencies"]:
        assert "==" not in requirement
        assert ">=" in requirement
    assert project["requires-python"] == ">=3.11"


def test_the_oldest_protobuf_allowed_runs_the_stubs() -> None:
    """Stubs refuse a runtime that is older than the compiler which made them, so a lower bound below it is a lie."""
    made = {
        tuple(map(int, version.groups()))
        for stub in (ROOT / "proto/src").rglob("*_pb2.py")
        if (
            version := re.search(
                r"Protobuf Python Version: (\d+)\.(\d+)\.(\d+)", stub.read_text(encoding="utf-8")
            )
        )
    }
    bounds = {
        tuple(map(int, bound.groups()))
        for member in PUBLISHED
        for requirement in _project(member)["dependencies"]
        if (bound := re.match(r"protobuf>=(\d+)\.(\d+)\.(\d+)", requirement))
    }
    assert made
    assert bounds == made


@pytest.mark.parametrize("member", PUBLISHED)
def test_a_distribution_says_what_it_is(member: str) -> None:
    """Licence and long description travel in the wheel; the classifiers are the supported Pythons."""
    project = _project(member)
    assert project["readme"] == "README.md"
    assert project["license"] == "Apache-2.0"
    assert (ROOT / member / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert project["classifiers"] == [
        "Development Status :: 3 - Alpha",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(11, 14)),
        "Typing :: Typed",
    ]


def test_no_file_names_a_download_host_or_a_machine_path() -> None:
    """The lock holds hashes, never hosts."""
    words = (
        "pypi" + r"\.org",
        "pythonhost" + "ed",
        "proxy" + r"\.golang",
        "registry" + r"\.npmjs",
        "/" + "work/main",
        "/" + r"root/\.",
    )
    pattern = re.compile("|".join(words))
    found = []
    for name in filter(None, TRACKED):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 2_000_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


def test_every_python_file_of_the_source_has_a_docstring() -> None:
    import ast

    missing = [
        name
        for name in TRACKED
        if name.endswith(".py") and "/src/" in name and "_pb2" not in name and (ROOT / name).stat().st_size
        and ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) is None
    ]  # fmt: skip
    assert missing == []


def test_no_property_has_to_hold_in_time() -> None:
    """Hypothesis fails an example that takes longer than 200 ms, unless it is told not to."""
    timed = []
    for name in TRACKED:
        folder = name.partition("/tests/")[0]
        if (
            name.endswith(".py")
            and "/tests/" in name
            and "@given" in (ROOT / name).read_text(encoding="utf-8")
        ):
            conftests = (ROOT / folder / "tests").rglob("conftest.py")
            if not any("deadline=None" in path.read_text(encoding="utf-8") for path in conftests):
                timed.append(name)
    assert timed == []


def test_entry_points_name_what_each_provider_serves() -> None:
    """The core reads them without importing the provider: they must not lie."""
    import importlib

    from provider_common.catalog import Catalog

    declared: dict[str, set[str]] = {}
    for entry in metadata.entry_points(group="external_secrets.kinds"):
        declared.setdefault(entry.module.split(".")[0], set()).add(entry.name)
    assert declared
    for package, names in declared.items():
        kinds = importlib.import_module(package).KINDS
        assert names == {kind.title for kind in Catalog(*kinds)}, package


def test_the_lock_holds_every_requirement() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    ours = {_project(member)["name"] for member in MEMBERS}
    for member in MEMBERS:
        for requirement in _project(member)["dependencies"]:
            name = re.split(r"[\s\[<>=!~;]", requirement)[0].lower().replace("_", "-")
            assert name in ours or name in locked, f"{member} needs {name}: run make lock"


def test_google_cloud_is_imported_by_its_own_provider_only() -> None:
    """The layer contracts can't name a part of a namespace package, so it is held here."""
    pattern = re.compile(r"^\s*(?:from|import) google\.(?:cloud|auth|oauth2|api_core)\b", re.MULTILINE)
    found = [
        name
        for name in TRACKED
        if name.endswith(".py")
        and "/src/" in name
        and not name.startswith(("provider-gcp/", "provider-vault/", "e2e/"))
        and pattern.search((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []
