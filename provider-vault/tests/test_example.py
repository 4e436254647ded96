"""The demonstration does what it says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "vault" / "demo.py"


@pytest.mark.real
def test_the_demonstration_syncs_and_pushes_back(go_binary: Callable[[str], Path]) -> None:
    """`make demo-vault` is the first thing that somebody with a Vault will try."""
    go_binary("vault")
    done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 synced" in done.stdout
    assert "push over a foreign secret  FAILED_PRECONDITION" in done.stdout
