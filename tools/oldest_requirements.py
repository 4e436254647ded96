"""Run the quick tests on the oldest versions that the distributions say they work with, in an environment of its own.

A lower bound that nobody tries is a guess: it stays where it was while the code begins to use what came later.
"""

from __future__ import annotations

import sys

from newest_python import QUICK, ROOT, UV, in_turn

ENV = ROOT / ".venv-oldest"
MEMBERS = [
    "proto", "provider-common", "provider-password", "provider-contrib", "provider-vault[iam,gcp]", "provider-aws",
    "provider-gcp", "eso-core", "conformance",
]  # fmt: skip
TOOLS = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "jsonschema"]


def main() -> int:
    """0 when the tests pass."""
    python = str(ENV / "bin" / "python")
    install = [UV, "pip", "install", "--quiet", "--python", python]
    steps = [
        [UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENV)],
        [*install, "--resolution", "lowest-direct", *(f"--editable=./{member}" for member in MEMBERS)],
        # What only the tests need comes as it is: it is no promise to anybody.
        [*install, *TOOLS],
        [*install, "--no-deps", "--editable=./e2e"],
        [python, "-m", "pytest", "-q", "-n", "2", "-m", "not real and not slow", *QUICK],
    ]
    return in_turn(steps)


if __name__ == "__main__":
    sys.exit(main())
