"""Type-check all source with mypy --strict, for the oldest and the newest Python we support.

Tests are checked where typing is the point: `*/typing_tests`, code that has to type-check, and code that must not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    *sorted(
        str(path.relative_to(ROOT))
        for path in ROOT.glob("*/src/*")
        if path.is_dir() and path.suffix != ".egg-info"
    ),
    "tools",
    *(folder for folder in ("benchmarks", "examples") if any((ROOT / folder).rglob("*.py"))),
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/typing_tests")),
]


def main() -> int:
    """0 when every source is clean under both versions."""
    worst = 0
    for version in ("3.11", "3.14"):
        command = [
            sys.executable,
            "-m",
            "mypy",
            f"--python-version={version}",
            "--no-error-summary",
            *SOURCES,
        ]
        command.insert(3, f"--cache-dir=.mypy_cache/{version}")
        worst = max(worst, subprocess.run(command, cwd=ROOT, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
