"""Pytest plugin: collects the checks when `--provider-endpoint` is given or a test class subclasses them, and never else.

It guards the run: a check that was skipped, removed or excused by pytest's own means makes the run fail, because what was
not judged must not look conformant. Checks left out on the command line (`-k`, `-m`, an id) are reported as not run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provider_conformance.verdict import Result, Status

if TYPE_CHECKING:
    from provider_conformance.registry import Check
    from provider_conformance.report import Report
    from provider_conformance.run import Suite
    from provider_conformance.target import Target

# The checks and grpc are loaded only when they are needed: this module is imported by every pytest run on the machine.

_PROPERTY = "provider-conformance"
_DOOR = Path(__file__).with_name("door.py")


class _Run:
    """What the run has seen so far; one per process, and the controller's is the one that counts."""

    def __init__(self) -> None:
        self.started = time.time()
        self.reports: dict[str, _Judged] = {}
        self.expected: set[str] = set()
        self.deselected: list[pytest.Item] = []
        self.unjudged: list[str] = []
        self.left_behind: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether any result of any target is a failure."""
        return any(r.status is Status.FAILED for judged in self.reports.values() for r in judged.results)

    def finished(self) -> list[Report]:
        """A report for every target that was judged."""
        from provider_conformance.report import Report

        return [
            Report.of(judged.results, started=self.started, left_behind=self.left_behind, **judged.about)
            for judged in self.reports.values()
        ]


class _Judged:
    """Results of one target, in one dialect and contract version."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about
        self.results: list[Result] = []


_RUN = pytest.StashKey[_Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this door."""
    group = parser.getgroup("provider-conformance", "conformance of secret providers")
    group.addoption("--provider-endpoint", metavar="HOST:PORT", help="judge the provider at this address")
    group.addoption("--provider-tls-dir", metavar="DIR", help="folder with ca.crt, client.crt and client.key")
    group.addoption(
        "--provider-target", metavar="FILE", help="target file: what exists there, and how to seed"
    )
    group.addoption(
        "--provider-profile", choices=("core", "extended", "all"), default="all", help="which checks to run"
    )
    group.addoption(
        "--provider-report-dir",
        metavar="DIR",
        help="write each target's reports (JSON, JUnit, Markdown, HTML) below it",
    )
    group.addoption("--provider-contract", metavar="MAJOR.MINOR", help="contract version of the run, as 1.0")
    group.addoption("--provider-dialect", choices=("v2", "s", "p"), help="how to ask")
    group.addoption("--provider-seed", type=int, help="seed of the fuzzing, to repeat an earlier run")


def pytest_configure(config: pytest.Config) -> None:
    """Take note of the run, and add the door when an endpoint is given."""
    config.stash[_RUN] = _Run()
    if config.getoption("--provider-endpoint"):
        if not config.getoption("--provider-target"):
            raise pytest.UsageError("--provider-endpoint needs --provider-target FILE")
        explicit = config.args_source is pytest.Config.ArgsSource.ARGS
        if str(_DOOR) not in config.args:
            config.args[:] = [*(config.args if explicit else []), str(_DOOR)]
        looks_only = any(config.getoption(name) for name in ("help", "--collect-only"))
        if not (looks_only or hasattr(config, "workerinput")):
            _reach(config)


def _reach(config: pytest.Config) -> None:
    """One error in place of one for each check, when the file is wrong or nothing answers."""
    from provider_conformance.run import reach
    from provider_conformance.target import TargetError

    try:
        reach(target_of_command_line(config))
    except TargetError as problem:
        raise pytest.UsageError(f"provider-conformance: {problem}") from None


def target_of_command_line(config: pytest.Config) -> Target:
    """The target file, with what the command line says instead. Raises TargetError, naming the field."""
    from provider_conformance.targetfile import load_target

    folder = config.getoption("--provider-tls-dir")
    return load_target(
        Path(config.getoption("--provider-target")),
        endpoint=config.getoption("--provider-endpoint") or "",
        tls_dir=Path(folder) if folder else None,
    )


def _check_of(item: pytest.Item) -> Check | None:
    from provider_conformance.suite import ATTRIBUTE

    return getattr(getattr(item, "function", None), ATTRIBUTE, None)


def _is_ours(item: pytest.Item) -> bool:
    cls = getattr(item, "cls", None)
    # Without an import: a class that is ours has imported the suite already.
    return cls is not None and any(base.__module__ == "provider_conformance.suite" for base in cls.__mro__)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note what was collected before any other plugin changes the list; then apply the profile, and set the order."""
    ours = [item for item in items if _is_ours(item) and _check_of(item) is not None]
    if not ours:
        return
    profile = config.getoption("--provider-profile")
    out = [item for item in ours if profile not in {"all", getattr(_check_of(item), "profile", "")}]
    if out:
        config.hook.pytest_deselected(items=out)
        dropped = set(out)
        items[:] = [item for item in items if item not in dropped]
    config.stash[_RUN].expected = {item.nodeid for item in ours} - {item.nodeid for item in out}


def pytest_deselected(items: list[pytest.Item]) -> None:
    """What the command line left out is known, and reported as not run."""
    for item in items:
        if _is_ours(item):
            item.config.stash[_RUN].deselected.append(item)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Whatever is missing now, and was not deselected, was removed."""
    run = session.config.stash[_RUN]
    if not run.expected:
        return
    here = {item.nodeid for item in session.items} | {item.nodeid for item in run.deselected}
    run.unjudged += [f"{nodeid}: removed from the run" for nodeid in sorted(run.expected - here)]
    for item in session.items:
        check = _check_of(item) if _is_ours(item) else None
        if check is not None and getattr(item.cls, "checks", {}).get(check.method_name) is not item.function:  # type: ignore[attr-defined]
            run.unjudged.append(f"{item.nodeid}: overridden")


@pytest.fixture(scope="class")
def conformance_suite(request: pytest.FixtureRequest, target: Target) -> Iterator[Suite]:
    """The running suite of one class: connections, seeds, and the tidying up at the end."""
    from provider_conformance.run import Suite, reach
    from provider_conformance.target import TargetError
    from provider_conformance.targetfile import asked_otherwise

    options = request.config.getoption
    try:
        target = asked_otherwise(
            target, contract=options("--provider-contract"), dialect=options("--provider-dialect")
        )
        reach(target)
        suite = Suite(target, seed=options("--provider-seed"))
    except TargetError as problem:
        pytest.fail(str(problem), pytrace=False)
    try:
        yield suite
    finally:
        suite.close()
        request.config.stash[_RUN].left_behind += suite.left_behind


@pytest.fixture
def conformance(request: pytest.FixtureRequest, conformance_suite: Suite) -> Callable[[Check], None]:
    """Runs one check for all its subjects, notes the results, and passes, fails or skips accordingly."""

    def judge(check: Check) -> None:
        with _alone(conformance_suite.target.endpoint, exclusive=check.alone):
            results = conformance_suite.run(check)
        target, seed = conformance_suite.target, conformance_suite.session.seed
        about = {
            "name": target.name,
            "contract": f"{target.contract[0]}.{target.contract[1]}",
            "dialect": target.dialect,
            "seed": seed,
        }
        said = {"about": about, "rows": [result.as_json() for result in results]}
        request.node.user_properties.append((_PROPERTY, json.dumps(said)))
        _tell(check, results)

    return judge


def _tell(check: Check, results: list[Result]) -> None:
    failed = [result for result in results if result.status is Status.FAILED]
    if failed:
        said = "\n".join(f"{result.subject}: {result.reason}" for result in failed)
        pytest.fail(
            f"{check.id}: {check.summary}\n\n{said}\n\nIf this fails: {check.lost}\nLikely cause: {check.cause}\n"
            f"Fix: {check.fix}\nContract: {', '.join(check.contract)} in docs/contract.md",
            pytrace=False,
        )
    known = [result for result in results if result.status in {Status.KNOWN, Status.DIFFERENCE}]
    if known:
        pytest.xfail("; ".join(f"{result.status}: {result.reason}" for result in known))
    if not any(result.status is Status.PASSED for result in results):
        pytest.skip("; ".join(dict.fromkeys(f"{result.status}: {result.reason}" for result in results)))


@contextmanager
def _alone(endpoint: str, *, exclusive: bool) -> Iterator[None]:
    """Checks that load, count or disturb run alone, also when xdist has spread them over processes."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    name = hashlib.sha256(f"{endpoint} {run}".encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"provider-conformance-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the results in the process that reports: xdist's controller, or the only one."""
    run = _current
    if run is None:
        return
    for name, value in report.user_properties:
        if name == _PROPERTY and report.when == "call":
            said = json.loads(str(value))
            about = said["about"]
            key = f"{about['name']}-{about['contract']}-{about['dialect']}"
            judged = run.reports.setdefault(key, _Judged(about))
            judged.results += [Result.from_json(row) for row in said["rows"]]


_current: _Run | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """`pytest_runtest_logreport` gets no config: remember the run of the session that begins."""
    global _current  # noqa: PLW0603 - pytest's hook leaves no other way
    _current = session.config.stash[_RUN]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001 - pytest's signature
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A check of ours that ended without results was skipped or excused by other means than its target."""
    report = yield
    if _is_ours(item) and _check_of(item) is not None:
        judged = any(name == _PROPERTY for name, _ in report.user_properties)
        if report.when == "call" and not judged and report.passed:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: passed without being judged"
        if report.when == "setup" and report.skipped:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: skipped by a marker; a known failure belongs into the target, with its reason"
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run for failed results that something else excused, and write the reports."""
    run = session.config.stash[_RUN]
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["provider_conformance"] = {  # type: ignore[attr-defined]
            "unjudged": run.unjudged,
            "left_behind": run.left_behind,
        }
        return
    if (run.failed or run.unjudged) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    folder = session.config.getoption("--provider-report-dir")
    if folder:
        from provider_conformance.report import write_all

        for report in run.finished():
            write_all(report, Path(folder, f"{report.name}-{report.contract}-{report.dialect}"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001 - xdist's hook
    """Take over what a worker noted."""
    said = getattr(node, "workeroutput", {}).get("provider_conformance", {})
    run = node.config.stash[_RUN]
    run.unjudged += [entry for entry in said.get("unjudged", ()) if entry not in run.unjudged]
    run.left_behind += said.get("left_behind", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A verdict per subject and profile."""
    run = config.stash[_RUN]
    if not (run.reports or run.unjudged):
        return
    terminalreporter.section("provider conformance")
    for report in run.finished():
        for line in report.summary_lines():
            terminalreporter.write_line(line)
    if run.deselected:
        terminalreporter.write_line(
            f"{len(run.deselected)} checks were left out on the command line: not run"
        )
    for line in (*run.unjudged, *(f"left behind: {entry}" for entry in run.left_behind)):
        terminalreporter.write_line(line, red=True)
