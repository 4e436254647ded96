"""The door for those who only have an address: `provider-conformance run`, and what explains and collects its reports."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TextIO

from provider_conformance.registry import AREAS, Profile, all_checks, find_check
from provider_conformance.report import (
    Report,
    as_html,
    as_junit,
    as_markdown,
    compare,
    matrix,
    report_schema,
    write_all,
)
from provider_conformance.run import reach, run, selected
from provider_conformance.target import Target, TargetError
from provider_conformance.targetfile import asked_otherwise, load_target, schema
from provider_conformance.verdict import Result, Status

_SIGNS = {
    Status.PASSED: ".",
    Status.FAILED: "F",
    Status.KNOWN: "k",
    Status.DIFFERENCE: "d",
    Status.NOT_APPLICABLE: "-",
    Status.NOT_RUN: "?",
}

_EXAMPLES = """examples:
  provider-conformance run --target target.yaml --endpoint localhost:8080 --tls-dir tls/ --report-dir out/
  provider-conformance explain get.missing-key
  provider-conformance compare before/report.json out/report.json

run ends with 0 when nothing failed, 1 when something did, 2 for wrong use or when nothing answers there.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="provider-conformance",
        description="Judges out-of-tree secret providers by their contract.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=metadata.version("provider-conformance"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the checks")
    listing.add_argument(
        "--json", action="store_true", help="as JSON, with area, profile and contract numbers"
    )
    explain = commands.add_parser("explain", help="tell what a check is about, and what to do when it fails")
    explain.add_argument("check", metavar="CHECK", help="id of a check, such as get.missing-key")
    judge = commands.add_parser("run", help="judge a provider")
    judge.add_argument(
        "--target", required=True, type=Path, metavar="FILE",
        help="target file: what exists there, and how to seed; `schema` prints its form",
    )  # fmt: skip
    judge.add_argument(
        "--endpoint", default="", metavar="HOST:PORT", help="address, in place of the target file's"
    )
    judge.add_argument(
        "--tls-dir", type=Path, metavar="DIR", help="folder with ca.crt, client.crt and client.key"
    )
    judge.add_argument("--plaintext", action="store_true", help="without TLS, for development")
    judge.add_argument(
        "--profile", choices=("core", "extended", "all"), default="all", help="which checks to run"
    )
    judge.add_argument(
        "--check", action="append", default=[], metavar="ID", help="only this check or area; repeatable"
    )
    judge.add_argument(
        "--dialect", choices=("v2", "s", "p"), help="how to ask, in place of the target file's"
    )
    judge.add_argument("--contract", metavar="MAJOR.MINOR", help="contract version of the run")
    judge.add_argument("--seed", type=int, help="seed of the fuzzing, to repeat an earlier run")
    judge.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="run N times in a row; stop at the first failure"
    )
    judge.add_argument("--no-slow", action="store_true", help="leave out the checks that have to wait")
    judge.add_argument(
        "--report-dir", type=Path, metavar="DIR", help="write JSON, JUnit, Markdown and HTML there"
    )
    judge.add_argument("--quiet", action="store_true", help="print the verdicts only")
    form = commands.add_parser("report", help="turn a JSON report into another form")
    form.add_argument("file", type=Path, metavar="REPORT.json")
    form.add_argument("--format", choices=("markdown", "html", "junit", "summary"), default="markdown")
    form.add_argument("--output", type=Path, metavar="FILE", help="write there, in place of standard output")
    two = commands.add_parser(
        "compare", help="show what changed between two reports; fails when something got worse"
    )
    two.add_argument("before", type=Path, metavar="BEFORE.json")
    two.add_argument("after", type=Path, metavar="AFTER.json")
    many = commands.add_parser("matrix", help="fold reports into the compatibility matrix")
    many.add_argument("files", type=Path, nargs="+", metavar="REPORT.json")
    many.add_argument("--output", type=Path, metavar="FILE", help="write there, in place of standard output")
    form_of = commands.add_parser("schema", help="print the JSON schema of target files, or of reports")
    form_of.add_argument("what", nargs="?", choices=("target", "report"), default="target")
    return parser


def main(arguments: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Run a command. The exit status: 0 fine, 1 not conformant or got worse, 2 wrong use."""
    options = _parser().parse_args(arguments)
    out = out or sys.stdout
    try:
        status = _COMMANDS[options.command](options, out)
        out.flush()
        return status
    except BrokenPipeError:
        # Whoever read along has seen enough (`| head`): what is still in the buffer must not be told at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (TargetError, KeyError, ValueError, OSError) as problem:
        text = problem.args[0] if isinstance(problem, KeyError) else problem
        print(f"provider-conformance: {text}", file=sys.stderr)  # noqa: T201 - a command line's voice
        return 2


def _list(options: argparse.Namespace, out: TextIO) -> int:
    if options.json:
        out.write(json.dumps([check.as_json() for check in all_checks()], indent=1) + "\n")
        return 0
    for area, title in AREAS.items():
        out.write(f"\n{title}\n")
        for check in all_checks():
            if check.area == area:
                out.write(f"  {check.id:38} {check.profile:8} {check.summary}\n")
    return 0


def _explain(options: argparse.Namespace, out: TextIO) -> int:
    check = find_check(options.check)
    out.write(
        f"{check.id}: {check.summary}\n\n"
        f"If this fails: {check.lost}\nLikely cause:  {check.cause}\nFix:           {check.fix}\n\n"
        f"Area {check.area}, profile {check.profile}, judges: {check.role}.\n"
        f"Contract: {', '.join(check.contract)} in docs/contract.md (since {check.since[0]}.{check.since[1]}).\n"
    )
    return 0


def _target(options: argparse.Namespace) -> Target:
    target = load_target(
        options.target, endpoint=options.endpoint, tls_dir=options.tls_dir, plaintext=options.plaintext
    )
    return asked_otherwise(target, contract=options.contract, dialect=options.dialect)


class _Progress:
    """One sign per result, with the area in front and, after a failure, its reason on a line of its own."""

    def __init__(self, out: TextIO, total: int, *, quiet: bool) -> None:
        self._out, self._total, self._quiet = out, total, quiet
        self._checks: dict[str, None] = {}
        self._area = ""

    def __call__(self, result: Result) -> None:
        self._checks[result.check] = None
        if self._quiet:
            return
        if result.area != self._area:
            self._area = result.area
            self._out.write(f"\n[{len(self._checks):3}/{self._total}] {self._area:14} ")
        self._out.write(_SIGNS[result.status])
        if result.status is Status.FAILED:
            self._out.write(f"\n          {result.check} [{result.subject}]: {result.reason}\n{'':26}")
        self._out.flush()


def _run(options: argparse.Namespace, out: TextIO) -> int:
    target = _target(options)
    profiles: tuple[Profile, ...] = ("core", "extended") if options.profile == "all" else (options.profile,)
    checks = selected(profiles, only=options.check, slow=not options.no_slow)
    if not checks:
        raise TargetError("--check: nothing matches; see provider-conformance list")
    reach(target)
    status = 0
    for round_ in range(1, options.repeat + 1):
        started = time.time()
        seed = secrets.randbits(32) if options.seed is None else options.seed
        results, left = run(
            target, checks, seed=seed, progress=_Progress(out, len(checks), quiet=options.quiet)
        )
        report = Report.of(
            results,
            name=target.name,
            started=started,
            left_behind=left,
            contract=f"{target.contract[0]}.{target.contract[1]}",
            dialect=target.dialect,
            seed=seed,
        )
        out.write("\n\n" if not options.quiet else "")
        if options.repeat > 1:
            out.write(f"round {round_} of {options.repeat}, {report.seconds:.1f} s: ")
        out.write("\n".join(report.summary_lines()) + "\n")
        if not options.quiet:
            out.writelines(_not_run(report))
            out.write(f"seed of the fuzzing: {seed}\n")
        out.writelines(f"left behind: {entry}\n" for entry in left)
        if options.report_dir:
            out.writelines(f"{file}\n" for file in write_all(report, options.report_dir))
        if report.failed:
            status = 1
            break
    return status


def _not_run(report: Report) -> list[str]:
    """What is missing for a verdict on everything, and which checks wait for it."""
    return [
        f"not run: {', '.join(dict.fromkeys(row.check for row in rows))}: {reason}\n"
        for reason, rows in report.reasons(Status.NOT_RUN)
    ]


def _read(file: Path) -> Report:
    try:
        return Report.from_json(file.read_text())
    except (ValueError, KeyError, TypeError) as problem:
        raise TargetError(f"{file}: not a report of this suite: {problem}") from None


def _emit(text: str, file: Path | None, out: TextIO) -> int:
    if file is None:
        out.write(text)
    else:
        file.write_text(text)
    return 0


def _report(options: argparse.Namespace, out: TextIO) -> int:
    report = _read(options.file)
    forms: dict[str, Callable[[Report], str]] = {
        "markdown": as_markdown,
        "html": as_html,
        "junit": as_junit,
        "summary": lambda report: "\n".join(report.summary_lines()) + "\n",
    }
    return _emit(forms[options.format](report), options.output, out)


def _compare(options: argparse.Namespace, out: TextIO) -> int:
    changes = compare(_read(options.before), _read(options.after))
    out.writelines(change.line() + "\n" for change in changes)
    worse = sum(change.worse for change in changes)
    out.write(f"{len(changes)} changes, {worse} for the worse\n")
    return 1 if worse else 0


def _matrix(options: argparse.Namespace, out: TextIO) -> int:
    return _emit(matrix([_read(file) for file in options.files]), options.output, out)


def _schema(options: argparse.Namespace, out: TextIO) -> int:
    out.write(json.dumps(report_schema() if options.what == "report" else schema(), indent=2) + "\n")
    return 0


_COMMANDS = {
    "list": _list,
    "explain": _explain,
    "run": _run,
    "report": _report,
    "compare": _compare,
    "matrix": _matrix,
    "schema": _schema,
}

if __name__ == "__main__":
    sys.exit(main())
