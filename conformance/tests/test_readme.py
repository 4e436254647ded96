"""The README shows what works."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import provider_conformance
import pytest
import yaml
from provider_conformance.cli import main
from provider_conformance.registry import all_checks
from provider_conformance.targetfile import load_target

README = (Path(__file__).parents[1] / "README.md").read_text()


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_target_file_it_shows_is_read(tmp_path: Path) -> None:
    """Every field of it exists."""
    (tmp_path / "tls").mkdir()
    for name in ("ca.crt", "ca.key", "client.crt", "client.key"):
        (tmp_path / "tls" / name).write_text(name)
    (tmp_path / "target.yaml").write_text(_block("yml"))
    target = load_target(tmp_path / "target.yaml")
    assert target.stores[0].limits.find == ("name", "tags")


def test_the_checks_it_names_exist() -> None:
    """A misspelled id helps nobody."""
    ids = {check.id for check in all_checks()}
    known = set(yaml.safe_load(_block("yml"))["known_failures"])
    assert known <= ids
    assert "get.missing-key" in ids


def test_the_subclass_it_shows_has_at_most_ten_lines_of_code() -> None:
    """What a provider has to add to its tests."""
    code = [line for line in _block("python").splitlines() if line.strip()]
    ast.parse("\n".join(code))
    assert len(code) <= 10


def test_what_the_subclass_imports_is_public() -> None:
    """A reader can't know where else to look."""
    for node in ast.walk(ast.parse(_block("python"))):
        if isinstance(node, ast.ImportFrom) and node.module == "provider_conformance":
            for name in node.names:
                assert name.name in provider_conformance.__all__
                assert getattr(provider_conformance, name.name) is not None


@pytest.mark.parametrize("line", re.findall(r"^\$ provider-conformance (\w+)", README, re.MULTILINE))
def test_the_commands_it_shows_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each ends well."""
    with pytest.raises(SystemExit) as ended:
        main([line, "--help"])
    assert ended.value.code == 0
    assert line in capsys.readouterr().out
