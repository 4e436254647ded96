"""Run the quick tests on the newest Python at hand, in an environment of its own.

When there is none newer than the one that runs this, the requirements are resolved and their wheels looked up for the newest
Python that is supported, and the report says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).parent / "uv")
NEWEST = (3, 14)
QUICK = [
    "proto/tests", "provider-common/tests/values", "provider-common/tests/wire", "provider-password/tests",
    "provider-contrib/tests",
]  # fmt: skip


def main() -> int:
    """0 when the tests pass, or when no newer Python is here and the requirements resolve for it."""
    for minor in range(NEWEST[1], sys.version_info.minor, -1):
        for candidate in _candidates(f"3.{minor}"):
            asked = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
            if asked.returncode == 0:  # a pyenv shim may be there for a version that is not
                return _test(f"3.{minor}", candidate)
    version = ".".join(map(str, NEWEST))
    print(
        f"no Python newer than 3.{sys.version_info.minor} is here: resolving the requirements for {version} instead"
    )
    command = [
        UV,
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--python-version",
        version,
        "-r",
        "requirements.lock",
    ]
    command += ["--target", "build/newest", "--only-binary", ":all:"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _candidates(version: str) -> list[str]:
    """Where a Python of that version may be: on PATH, or kept by pyenv."""
    on_path = shutil.which(f"python{version}")
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [
        *([on_path] if on_path else []),
        *(str(path / "bin" / "python") for path in sorted(kept.glob(f"{version}.*"))),
    ]


def _test(version: str, interpreter: str) -> int:
    env = ROOT / f".venv-{version}"
    python = str(env / "bin" / "python")
    members = ("proto", "provider-common", "provider-password", "provider-contrib", "conformance", "e2e")
    steps = [
        [UV, "venv", "--quiet", "--allow-existing", "--python", interpreter, str(env)],
        [UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", "requirements.lock"],
        [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--no-deps",
            *(f"--editable=./{m}" for m in members),
        ],
        [python, "-m", "pytest", "-q", "-n", "2", "-m", "not real and not slow", *QUICK],
    ]
    print(f"quick tests on Python {version}", flush=True)
    return in_turn(steps)


def in_turn(steps: Iterable[Sequence[str]]) -> int:
    """Run the commands one after the other, up to the first that fails; its exit status, 0 when none does."""
    codes = (subprocess.run(step, cwd=ROOT, check=False).returncode for step in steps)
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
