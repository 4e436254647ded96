"""The plugin as a test author meets it: skips that say what to do, failures where servers are required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

USES_ETCD = """
def test_needs_a_server(go_binary):
    assert go_binary("etcd").exists()
"""

USES_NOTHING = """
import sys

def test_needs_none():
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"kubernetes", "moto", "boto3", "cryptography", "urllib3"}
"""


def run(folder: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file on a machine where no server can be had."""
    (folder / "test_it.py").write_text(code)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "eso_e2e.fixtures",
        "-p",
        "no:cacheprovider",
        "-rs",
        "test_it.py",
    ]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ESO_E2E_", "PYTEST_"))}
    clean |= {"PATH": str(folder), "XDG_CACHE_HOME": str(folder), "ESO_E2E_BUILD": "0"}
    clean |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "REQUIRE_REAL_SERVERS": "", **env}
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_missing_server_skips_and_says_what_would_end_the_skip(tmp_path: Path) -> None:
    """A skip without a way out is a test that never runs."""
    done = run(tmp_path, USES_ETCD)

    assert done.returncode == 0
    assert "1 skipped" in done.stdout
    assert "python -m eso_e2e build etcd" in done.stdout


def test_a_missing_server_fails_where_real_servers_are_required(tmp_path: Path) -> None:
    """CI must not be green because everything was skipped."""
    done = run(tmp_path, USES_ETCD, REQUIRE_REAL_SERVERS="1")

    assert done.returncode == 1
    assert "REQUIRE_REAL_SERVERS is set, and no etcd on this machine" in done.stdout


@pytest.mark.parametrize("value", ["", "0"])
def test_required_can_be_switched_off(tmp_path: Path, value: str) -> None:
    """0 means no, as people expect."""
    assert run(tmp_path, USES_ETCD, REQUIRE_REAL_SERVERS=value).returncode == 0


def test_the_plugin_alone_loads_nothing_heavy(tmp_path: Path) -> None:
    """It is loaded in every test run of the workspace, also in those that need no server."""
    done = run(tmp_path, USES_NOTHING)

    assert "1 passed" in done.stdout, done.stdout
