"""The demonstration does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "gcp" / "demo.py"


@pytest.mark.slow
def test_the_demonstration_syncs_and_pushes_back() -> None:
    """It runs where nobody has a project of Google's, with the manifests that are shown."""
    done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("4 of 4 synced", "push over a foreign secret  FAILED_PRECONDITION  1", "its user is kept"):
        assert said in done.stdout
    assert "not-a-real-password" not in done.stdout + done.stderr
