"""The suite shares no code with what it judges."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import provider_conformance
import pytest

SOURCES = sorted(Path(provider_conformance.__file__).parent.rglob("*.py"))
ALLOWED = {
    "cryptography", "google", "grpc", "grpc_health", "grpc_reflection", "provider_conformance", "provider_proto", "pytest", "yaml",
}  # fmt: skip


def _imports(source: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_module_imports_the_contract_and_libraries_only(source: Path) -> None:
    """A suite that shares code with what it judges shares its bugs; and every dependency is one more to install."""
    assert _imports(source) <= ALLOWED | set(sys.stdlib_module_names)


def test_the_whole_suite_loads_without_the_sdk() -> None:
    """Also what a library or an entry point might load behind our back."""
    program = (
        "import sys, provider_conformance.cli, provider_conformance.suite, provider_conformance.plugin;"
        "from provider_conformance.registry import all_checks; all_checks();"
        "print(sorted(m for m in sys.modules if m.startswith(('provider_common', 'pydantic', 'kubernetes'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_plugin_costs_nothing_where_it_is_not_used() -> None:
    """It is imported by every pytest run on the machine, so grpc and the checks wait until they are needed."""
    program = (
        "import sys, provider_conformance.plugin;"
        "print(sorted({'grpc', 'yaml', 'cryptography', 'provider_conformance.suite'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
