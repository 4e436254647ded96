"""Runs checks and turns what they do into results. The three doors all come through here.

A check sees nothing of this: known failures, the dialect's differences, roles and contract versions are settled around
it. A known failure that passes is a failure: an excuse that is no longer true hides the next one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from provider_conformance.client import Code
from provider_conformance.differences import DIFFERENCES
from provider_conformance.judge import GeneratorJudge, ServerJudge, StoreJudge
from provider_conformance.registry import Check, Profile, all_checks
from provider_conformance.session import HEALTH, Session, health_request
from provider_conformance.target import Target, TargetError
from provider_conformance.verdict import Failed, NotApplicable, NotRun, Result, Status

Judge = ServerJudge | StoreJudge | GeneratorJudge
_READING = {"read", "map", "find"}


class Suite:
    """All checks against one target. A context manager: on leaving, what the suite made is removed."""

    def __init__(self, target: Target, *, seed: int | None = None, idle: bool = True) -> None:
        """`seed` repeats an earlier run's fuzzing. `idle` opens the connection that has to survive idling."""
        _known_failures_exist(target)
        self.target = target
        self.session = Session(target, seed=seed, idle=idle)
        self.stores = [StoreJudge(self.session, store) for store in target.stores]
        self.generators = [GeneratorJudge(self.session, generator) for generator in target.generators]
        self.server = ServerJudge(self.session, self.stores, self.generators)
        self.left_behind: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was made, also after a failure, and hang up. What could not be removed is in `left_behind`."""
        for store in self.stores:
            self.left_behind += store.seeds.cleanup()
        for generator in self.generators:
            self.left_behind += generator.tidy()
        self.session.close()

    def judges(self, check: Check) -> Sequence[Judge]:
        """The subjects that the check concerns."""
        if check.role == "server":
            return [self.server]
        return self.generators if check.role == "generator" else self.stores

    def run(self, check: Check) -> list[Result]:
        """The check's results, one for each subject; one that is not applicable when there is no such subject."""
        judges = self.judges(check)
        if not judges:
            kind = "generator" if check.role == "generator" else "store"
            return [_result(check, "server", Status.NOT_APPLICABLE, f"the target has no {kind}")]
        return [self._run(check, judge) for judge in judges]

    def _run(self, check: Check, judge: Judge) -> Result:
        client = self.session.client
        before = len(client.calls)
        started = time.perf_counter()
        status, reason = self._judge(check, judge)
        status, reason = self._excused(check, judge.subject, status, reason)
        return Result(
            check=check.id,
            subject=judge.subject,
            area=check.area,
            profile=check.profile,
            contract=check.contract,
            status=status,
            reason=reason,
            seconds=time.perf_counter() - started,
            calls=tuple(client.calls[before:]),
        )

    def _judge(self, check: Check, judge: Judge) -> tuple[Status, str]:
        try:
            _concerns(check, judge, self.target)
            check.body(judge)
        except NotApplicable as reason:
            return Status.NOT_APPLICABLE, str(reason)
        except NotRun as reason:
            return Status.NOT_RUN, str(reason)
        except Failed as reason:
            return Status.FAILED, str(reason)
        except Exception as problem:  # noqa: BLE001 - a check that breaks is a failed check, and the run goes on
            return Status.FAILED, f"the check could not be finished: {type(problem).__name__}: {problem}"
        return Status.PASSED, ""

    def _excused(self, check: Check, subject: str, status: Status, reason: str) -> tuple[Status, str]:
        known = self.target.known_failures
        excuse = known.get(f"{check.id}[{subject}]") or known.get(check.id)
        if excuse is not None:
            if status is Status.FAILED:
                return Status.KNOWN, f"{excuse} ({reason})"
            if status is Status.PASSED:
                return Status.FAILED, f"it passes, but the target calls it a known failure: {excuse}"
        difference = DIFFERENCES.get(self.target.differences_of, {}).get(check.id)
        if difference is not None and status is Status.FAILED:
            return Status.DIFFERENCE, f"{difference} ({reason})"
        return status, reason


def _known_failures_exist(target: Target) -> None:
    """Raises TargetError for an excuse of a check or subject that there is not: it would excuse the wrong thing later."""
    checks = {check.id for check in all_checks()}
    for named in target.known_failures:
        id_, _, subject = named.removesuffix("]").partition("[")
        if id_ not in checks:
            raise TargetError(f"known_failures.{named}: there is no check {id_!r}")
        if subject and subject not in target.subjects:
            raise TargetError(f"known_failures.{named}: the target names no {subject!r}")


def reach(target: Target) -> None:
    """Raises TargetError when nothing answers at the endpoint: each check would only say so again."""
    with contextlib.closing(Session(target, idle=False)) as session:
        answer = session.client.call(health_request(), path=HEALTH)
    if answer.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
        raise TargetError(f"endpoint: no provider answers at {target.endpoint}: {answer.text}")


def _concerns(check: Check, judge: Judge, target: Target) -> None:
    """Raises NotApplicable when the check does not concern this judge's subject."""
    if check.since > target.contract:
        raise NotApplicable(
            f"promised since contract {check.since[0]}.{check.since[1]}; this run is"
            f" by {target.contract[0]}.{target.contract[1]}"
        )
    if isinstance(judge, StoreJudge):
        if check.role == "writable" and not judge.writable:
            raise NotApplicable("unsupported: Capabilities says READ_ONLY")
        if check.area in _READING and judge.capability == "WRITE_ONLY":
            raise NotApplicable("unsupported: Capabilities says WRITE_ONLY")


def _result(check: Check, subject: str, status: Status, reason: str) -> Result:
    return Result(check.id, subject, check.area, check.profile, check.contract, status, reason)


def selected(
    profiles: Iterable[Profile] = ("core", "extended"), *, only: Sequence[str] = (), slow: bool = True
) -> list[Check]:
    """The checks of these profiles; `only` narrows to ids, or areas of ids (`get`, `get.missing-key`)."""
    wanted = set(profiles)
    return [
        check
        for check in all_checks()
        if check.profile in wanted
        and (slow or not check.slow)
        and (
            not only
            or any(check.id == name or check.id.startswith(f"{name}.") or check.area == name for name in only)
        )
    ]


def run(
    target: Target,
    checks: Sequence[Check],
    *,
    seed: int | None = None,
    progress: Callable[[Result], None] = lambda _: None,
) -> tuple[list[Result], list[str]]:
    """Run the checks one after the other. Answers the results, and what the suite could not remove."""
    results: list[Result] = []
    suite = Suite(target, seed=seed, idle=any(check.id == IDLE_CHECK for check in checks))
    with contextlib.closing(suite):
        for result in _each(suite, checks):
            results.append(result)
            progress(result)
    return results, suite.left_behind


IDLE_CHECK = "transport.idle-connection"
"""The check that judges the connection opened at the start."""


def _each(suite: Suite, checks: Sequence[Check]) -> Iterator[Result]:
    for check in checks:
        yield from suite.run(check)
