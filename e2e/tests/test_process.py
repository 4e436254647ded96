"""Servers end when they are told to, when the test run ends, and when the test run is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from eso_e2e.process import ServerError, ServerProcess, free_port, wait_until

# A server that starts a child of its own, says who both are, and goes on for ever.
FAMILY = """
import subprocess, sys, time, os
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + FAMILY

# A test run that starts such a server and then waits.
RUN = """
import sys, time
from pathlib import Path
from eso_e2e.process import ServerProcess
log, folder = Path(sys.argv[1]), Path(sys.argv[2])
server = ServerProcess([sys.executable, "-c", sys.argv[3]], log=log, remove=folder)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet collected by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def family(log: Path) -> list[int]:
    wait_until(
        lambda: log.exists() and log.read_text().endswith("\n"), seconds=60, what="the server has started"
    )
    return [int(pid) for pid in log.read_text().split()]


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="needs /proc (Linux) to look at processes"
)


@needs_proc
@pytest.mark.parametrize("code", [FAMILY, STUBBORN], ids=["polite", "ignores-sigterm"])
def test_stop_ends_the_server_and_its_children(tmp_path: Path, code: str) -> None:
    """Nothing of the group is left, whatever the server does with SIGTERM; a second stop does nothing."""
    server = ServerProcess([sys.executable, "-c", code], log=tmp_path / "log")
    pids = family(tmp_path / "log")
    assert all(alive(pid) for pid in pids)

    server.stop(seconds=0.5)
    server.stop()

    assert not server.running
    wait_until(lambda: not any(alive(pid) for pid in pids), seconds=60, what="the whole family has ended")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["sigterm", "sigkill"])
def test_a_killed_test_run_takes_its_servers_along(tmp_path: Path, number: signal.Signals) -> None:
    """Even SIGKILL, which nobody can react to, leaves neither a process nor the server's folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    run = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / "log"), str(folder), FAMILY])
    pids = family(tmp_path / "log")

    run.send_signal(number)
    run.wait()

    wait_until(lambda: not any(alive(pid) for pid in pids), seconds=60, what="the servers have ended")
    wait_until(lambda: not folder.exists(), seconds=60, what="the server's folder is gone")


def test_a_server_that_dies_is_reported_with_its_own_words(tmp_path: Path) -> None:
    """The log's end is in the error: no search in temporary folders."""
    code = "import sys; print('the port is taken'); sys.exit(3)"

    with (
        ServerProcess([sys.executable, "-c", code], log=tmp_path / "log") as server,
        pytest.raises(ServerError, match=r"code 3:\nthe port is taken"),
    ):
        server.wait_ready(lambda: False)


def test_a_server_that_never_answers_is_reported(tmp_path: Path) -> None:
    """The wait has an end."""
    code = "import time; print('thinking', flush=True); time.sleep(600)"
    with ServerProcess([sys.executable, "-c", code], log=tmp_path / "log") as server:
        family_started: Callable[[], bool] = lambda: "thinking" in server.log_tail()  # noqa: E731
        wait_until(family_started, seconds=60, what="started")

        with pytest.raises(ServerError, match=r"not ready within 0\.1 s:\nthinking"):
            server.wait_ready(lambda: False, seconds=0.1)


def test_a_developers_credentials_do_not_reach_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test server must never talk to a real cluster or account."""
    for name in ("VAULT_TOKEN", "KUBECONFIG", "AWS_PROFILE"):
        monkeypatch.setenv(name, "canary")
    code = "import os; print(dict(os.environ), flush=True)"

    with ServerProcess([sys.executable, "-c", code], log=tmp_path / "log", env={"OURS": "1"}) as server:
        wait_until(lambda: not server.running, seconds=60, what="ended")

    assert "'OURS': '1'" in server.log_tail()
    assert "canary" not in server.log_tail()


def test_free_ports_are_below_the_clients_range() -> None:
    """A port that a client may get as its own could be taken while a server restarts."""
    lowest_of_clients = 32768  # Linux' default

    assert all(1024 < free_port() < lowest_of_clients for _ in range(50))
