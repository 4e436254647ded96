"""Judges one fault as the suite would judge any provider, and says which checks failed and why."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from provider_conformance.registry import Check, all_checks
from provider_conformance.run import IDLE_CHECK, Suite
from provider_conformance.target import Target
from provider_conformance.verdict import Result, Status

from . import describing, failing, finding, generating, reading, scoping, serving, timing, writing
from .fault import FAULTS, Fault
from .served import Served
from .target import Certificates, target

__all__ = ["FAULTS", "checks_of", "failed", "judge", "start", "target_of"]

MODULES = (reading, finding, writing, describing, generating, failing, scoping, timing, serving)
"""Importing them fills FAULTS."""

_SEED = 20_260_101
"""Fuzzing is the same in every run: what catches a fault today catches it tomorrow."""

_IDLE_AGAIN = 20.0


def checks_of(fault: Fault) -> list[Check]:
    """The checks that need no waiting, and the slow ones of the areas that ought to catch the fault."""
    areas = {check.area for check in all_checks() if check.id in fault.caught_by}
    return [
        check
        for check in all_checks()
        if (not check.slow or check.area in areas)
        and check.id != IDLE_CHECK
        and (not fault.only or check.id.startswith(fault.only))
    ]


def start(fault: Fault, certificates: Certificates, folder: Path) -> Served:
    """The broken provider, running."""
    certificates.write(folder)
    running = fault.served(fault.right(), folder)
    running.start()
    return running


def target_of(fault: Fault, running: Served, certificates: Certificates) -> Target:
    """What the suite is told of it: the same as of the right provider, but for what the fault declares."""
    made = replace(target(running, certificates), name=fault.name, **fault.target)
    stores = tuple(replace(store, limits=replace(store.limits, **fault.limits)) for store in made.stores)
    return replace(made, stores=stores)


def judge(fault: Fault, running: Served, certificates: Certificates, checks: Sequence[Check]) -> list[Result]:
    """Run the checks; between two of them wait until no call of the first is under way any more."""
    suite = Suite(target_of(fault, running, certificates), seed=_SEED, idle=False)
    results: list[Result] = []
    try:
        for check in checks:
            results += suite.run(check)
            _settle(running)
    finally:
        suite.close()
    return results


def _settle(running: Served) -> None:
    deadline = time.monotonic() + _IDLE_AGAIN
    while any(running.right.busy.values()) and time.monotonic() < deadline:
        threading.Event().wait(0.02)


def failed(results: Sequence[Result]) -> dict[str, str]:
    """Id and reason of what failed."""
    return {result.check: result.reason for result in results if result.status is Status.FAILED}
