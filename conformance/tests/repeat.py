"""Judges provider-contrib many times in a row and prints each round: `python conformance/tests/repeat.py 100`.

Ends with 1 at the first failure. Checks that only wait are left out, as waiting a hundred times proves nothing more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from processes import running
from provider_conformance.run import run, selected
from provider_conformance.verdict import Status


def main(rounds: int) -> int:
    """Run the rounds against one process; 1 when a check failed."""
    with tempfile.TemporaryDirectory() as folder, running("contrib", Path(folder)) as target:
        for number in range(1, rounds + 1):
            started = time.monotonic()
            results, left = run(target, selected(slow=False))
            counts = Counter(str(result.status) for result in results)
            seconds = time.monotonic() - started
            print(f"round {number} of {rounds}, {seconds:.1f} s: {dict(counts)}", flush=True)
            failed = [f"{r.check} [{r.subject}]: {r.reason}" for r in results if r.status is Status.FAILED]
            if failed or left:
                print("\n".join([*failed, *left]))
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
