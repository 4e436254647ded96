"""Resolve requirements.lock: every distribution's dependencies and the development tools, for all platforms and Pythons."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Write the lock. Our own distributions are left out: they are installed from the checkout."""
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    names = [tomllib.loads((ROOT / m / "pyproject.toml").read_text())["project"]["name"] for m in members]
    command = [
        str(Path(sys.executable).parent / "uv"),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--generate-hashes",
        "--all-extras",
        "--no-emit-index-url",
        "--python-version=3.11",
        "--custom-compile-command=make lock",
        "--output-file=requirements.lock",
        *(f"--no-emit-package={name}" for name in names),
        "--group=dev",
        *(f"{member}/pyproject.toml" for member in members),
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
