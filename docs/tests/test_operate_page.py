"""docs/operate.md and docs/settings.md: the commands they show run, and the metrics they name are served."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hello import HelloStore, PinGenerator
from provider_common.testing import ProviderHarness

DOCS = Path(__file__).resolve().parents[1]
PAGE = (DOCS / "operate.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition(" |")[0]
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("provider-vault ")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str, tmp_path: Path) -> None:
    """As it stands there, in an empty folder."""
    words = [sys.executable, "-m", "provider_vault", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_page_has_commands() -> None:
    """Otherwise the test above would pass for nothing."""
    assert {command.split()[1] for command in COMMANDS} == {"crds", "rbac", "certs"}


@pytest.mark.parametrize("page", ["operate.md", "settings.md"])
def test_every_metric_named_is_served(page: str) -> None:
    """An alert on a metric that is not there never fires."""
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:eso_provider|grpc_server|externalsecret)_\w+)", text))
    with ProviderHarness(HelloStore, PinGenerator) as harness:
        served = set(re.findall(r"^# HELP (\w+)", harness.metrics(), re.MULTILINE))

    assert named
    assert named <= served
