"""Runs one server as a child and takes it down when whoever asked for it is gone.

A test run that is killed cannot clean up after itself. The guard holds the reading end of a pipe whose writing
end only the test process has: however that process ends, the pipe closes, and the guard ends the server.
Linux' parent-death signal was not used: it fires when the *thread* that started the child ends, and exists on no
other system. Imports only the standard library: it runs before every server.

    python guard.py [--remove DIR] -- command args...
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

GRACE_SECONDS = 5.0


def main(argv: list[str]) -> int:
    """Run the command after `--` until it ends or standard input closes; return its exit code."""
    split = argv.index("--")
    options, command = argv[:split], argv[split + 1 :]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    orphaned = threading.Event()

    def forward(signum: int, frame: FrameType | None) -> None:
        del frame
        child.send_signal(signum)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the test run, which then stops its servers
    threading.Thread(target=_watch_the_pipe, args=(child, orphaned), daemon=True).start()
    code = child.wait()
    if orphaned.is_set():
        if "--remove" in options:
            shutil.rmtree(options[options.index("--remove") + 1], ignore_errors=True)
        os.killpg(
            0, signal.SIGKILL
        )  # the guard leads the group: this ends what the server may have left behind
    return code


def _watch_the_pipe(child: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    orphaned.set()
    child.terminate()
    time.sleep(GRACE_SECONDS)
    child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
