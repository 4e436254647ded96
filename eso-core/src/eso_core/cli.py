"""The command line: `eso-core sync`, `eso-core dev`, `eso-core version`.

What takes long to import is imported by the command that needs it. Standard output is for the result (a table, or JSON),
standard error for everything else.
"""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eso_core.runtime.report import Report
    from eso_core.runtime.running import Job

_QUIET_FOR = 1.0  # seconds of work before progress is told
_EXIT_CODES = """
exit status:
  0  every ExternalSecret is synced
  1  something is not synced; the table says what and why
  2  the command line is wrong, or the folder, the output or the certificates can't be used
"""
_DEV = """
Start the providers that the folder's kinds need, as child processes on loopback with mutual TLS, and sync.

The manifests stay as they are in a cluster: an address such as provider-contrib.default.svc:8080 leads to the child that serves
the store's kind, whose certificate carries that name. Providers have to be installed (pip install provider-contrib).
"""
_SYNC = """
Make one pass over a folder of manifests by providers that run already.

DIR holds stores, generators, ExternalSecrets, Namespaces and Secrets as YAML or JSON, as they would be applied to a cluster.
Providers are called at the address in the manifest, or where --endpoint says, with mutual TLS.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line, and exit the process."""
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "version":
        sys.stdout.write(f"eso-core {_version()}\n")
        return 0
    # The library's own words about broken connections: the table says the same, with a next step.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files need not be text, and a terminal need not know every character.
            stream.reconfigure(errors="backslashreplace")
    _configure_logging(verbose=arguments.verbose)
    signal.signal(signal.SIGTERM, _terminated)
    heard = threading.Event()
    signal.signal(signal.SIGINT, lambda number, _frame: _interrupted(number, heard))
    try:
        return _dev(arguments) if arguments.command == "dev" else _sync(arguments)
    except KeyboardInterrupt:
        heard.set()
        _say("interrupted: what was written is complete, the rest is as before")
        return 130
    except _UsageError as error:
        _say(f"eso-core: {error}")
        return 2


class _UsageError(Exception):
    """What the user asked for can't be done as it is."""


def _terminated(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _interrupted(number: int, heard: threading.Event) -> None:
    """Raise KeyboardInterrupt, and come back until it is `heard`: raised inside a callback of gRPC's, or while a module is
    being imported by it, an exception ends there.
    """

    def again() -> None:
        # Long enough for the children to be stopped in good order, which is done before it is heard.
        if not heard.wait(8.0):
            os.kill(os.getpid(), number)

    threading.Thread(target=again, daemon=True).start()
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _version() -> str:
    try:
        return version("eso-core")
    except PackageNotFoundError:
        return "(not installed)"


def _configure_logging(*, verbose: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(levelname)s %(message)s",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="eso-core",
        description="Turn ExternalSecrets into Secrets by providers that run out of tree.",
        epilog="Start with: eso-core dev examples/quickstart",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    dev = commands.add_parser(
        "dev",
        help="start the providers a folder needs, and sync it",
        description=_DEV,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(dev)
    dev.add_argument(
        "--watch",
        action="store_true",
        help="go on: sync again when a manifest changes and when something is due",
    )
    dev.add_argument(
        "--metrics-port",
        type=_port,
        metavar="PORT",
        help="with --watch: serve the core's metrics at http://127.0.0.1:PORT/metrics",
    )
    sync = commands.add_parser(
        "sync",
        help="sync a folder once, by providers that run already",
        description=_SYNC,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(sync)
    sync.add_argument(
        "--tls-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with ca.crt, client.crt and client.key (a provider's `certs` command makes one)",
    )
    sync.add_argument(
        "--endpoint",
        action="append",
        default=[],
        type=_endpoint,
        metavar="ADDRESS=HOST:PORT",
        help="call the provider at ADDRESS of the manifests at HOST:PORT instead (as after kubectl port-forward); the "
        "certificate is still verified for ADDRESS. May be repeated",
    )
    commands.add_parser("version", help="print the version")
    return parser


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", type=Path, metavar="DIR", help="the folder of manifests; it is never written to"
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="folder for the result: Secrets go to OUT/secrets/NAMESPACE/NAME.yaml (default: build/ and the name of DIR)",
    )
    command.add_argument(
        "--json", action="store_true", help="print the result as JSON, one line for each pass"
    )
    command.add_argument(
        "--refresh",
        action="store_true",
        help="take everything as due: also make generated values anew, and sync what says to be synced once",
    )
    command.add_argument(
        "--controller-class",
        default="default",
        metavar="CLASS",
        help="act on stores whose spec.controller is this or empty (default: %(default)s)",
    )
    command.add_argument(
        "--dialect",
        choices=("secret-store", "provider"),
        default="secret-store",
        help="how providers name store kinds: SecretStore and ClusterSecretStore, or Provider and ClusterProvider; an annotation "
        "eso-core.external-secrets.io/dialect on a store wins (default: %(default)s)",
    )
    command.add_argument(
        "--verbose", action="store_true", help="log every decision, and show the logs of started providers"
    )


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError("has to be a port from 1 to 65535")
    return int(text)


def _endpoint(text: str) -> tuple[str, str]:
    address, equals, target = text.partition("=")
    if not equals or ":" not in address or ":" not in target:
        raise argparse.ArgumentTypeError(
            "has to be ADDRESS=HOST:PORT, such as provider-aws.external-secrets.svc:8080=127.0.0.1:8080"
        )
    return address, target


def _job(arguments: argparse.Namespace) -> Job:
    from eso_core.reconcile.routing import Settings
    from eso_core.runtime.output import PARTS
    from eso_core.runtime.running import Job

    folder: Path = arguments.folder
    if not folder.is_dir():
        raise _UsageError(f"{folder} is not a folder: name one with manifests")
    output: Path = arguments.output or Path("build") / folder.resolve().name
    source, target = folder.resolve(), output.resolve()
    if target.is_relative_to(source):
        raise _UsageError(
            f"the output {output} lies inside {folder}, where it would be read as manifests: name a folder outside with --output"
        )
    if any(source.is_relative_to(target / part) for part in PARTS):
        raise _UsageError(
            f"{folder} lies inside the output {output}, and would be written over: name another folder with --output"
        )
    return Job(
        folder=folder,
        output=output,
        settings=Settings(controller_class=arguments.controller_class, dialect=arguments.dialect),
        refresh=arguments.refresh,
        progress=_Progress(),
        say=_say,
    )


class _Progress:
    """Tells how far a long pass is, once a second."""

    def __init__(self) -> None:
        self._told = math.inf

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        # Counted from the first one that is done: until then, providers are starting.
        self._told = min(self._told, now)
        if done < total and now - self._told >= _QUIET_FOR:
            self._told = now
            _say(f"{done} of {total} ExternalSecrets done")


def _show(report: Report, *, as_json: bool) -> None:
    from eso_core.runtime import report as reports

    for note in report.notes:
        _say(reports.one_line(note))
    try:
        sys.stdout.write((reports.as_json(report) if as_json else reports.table(report)) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _UsageError("standard output was closed before the result was written") from None
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _UsageError(f"the result can't be written to standard output: {error.strerror}") from None


def _guarded(work: Callable[[], Report]) -> Report:
    """Run `work`; what a user can cause before anything is synced is a usage error."""
    from eso_core.reconcile.calls import CallError
    from eso_core.runtime.output import OutputError

    try:
        return work()
    except (CallError, OutputError) as error:
        raise _UsageError(str(error)) from None
    except OSError as error:
        raise _UsageError(f"{error.filename or 'the output'}: {error.strerror}") from None


def _sync(arguments: argparse.Namespace) -> int:
    job = _job(arguments)
    from eso_core.runtime.running import sync

    report = _guarded(lambda: sync(job, tls_dir=arguments.tls_dir, redirects=dict(arguments.endpoint)))
    _show(report, as_json=arguments.json)
    return 0 if report.ok else 1


def _dev(arguments: argparse.Namespace) -> int:
    job = _job(arguments)
    from eso_core.runtime.running import Dev

    if not arguments.watch:
        if arguments.metrics_port is not None:
            raise _UsageError("--metrics-port goes with --watch: nothing could be scraped from a single pass")
        report = _guarded(Dev(job, verbose=arguments.verbose).once)
        _show(report, as_json=arguments.json)
        return 0 if report.ok else 1
    shown: list[Callable[[Report], None]] = [lambda report: _show(report, as_json=arguments.json)]
    if arguments.metrics_port is not None:
        from eso_core.runtime.metrics import CoreMetrics

        metrics = CoreMetrics()
        try:
            metrics.serve(arguments.metrics_port)
        except OSError as error:
            raise _UsageError(
                f"--metrics-port {arguments.metrics_port}: {error.strerror}: name another one"
            ) from None
        job = replace(job, observer=metrics.called)
        shown.append(metrics.synced)
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        # The first one ends after the pass that is under way, the second one at once.
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)

    def tell(report: Report) -> None:
        for listener in shown:
            listener(report)

    report = _guarded(lambda: Dev(job, verbose=arguments.verbose).watch(tell, stop))
    return 0 if report.ok else 1
