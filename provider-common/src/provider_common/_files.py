"""Reading a file that somebody else names: never waits for a pipe, never follows a device to its end, never takes all memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class UnfitFileError(Exception):
    """What is wrong with it, in words that go after its name."""


def read_file(path: Path, *, largest: int, advice: str) -> bytes:
    """The content of a regular file of at most `largest` bytes; `advice` ends the text for one that is larger.

    Raises UnfitFileError, OSError.
    """
    # Not blocking: nobody may ever write into what turns out to be a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnfitFileError("is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(largest + 1)
    finally:
        os.close(descriptor)
    if len(content) > largest:
        raise UnfitFileError(f"has more than {largest} bytes{advice}")
    return content
