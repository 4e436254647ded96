"""A watch's answer, read line by line, which another thread can end at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import urllib3
from urllib3 import exceptions as http

_CHUNK = 65536


class Stream:
    """The lines of a streamed answer. What breaks it is raised as `translate` says."""

    def __init__(
        self, response: urllib3.BaseHTTPResponse, translate: Callable[[BaseException], Exception]
    ) -> None:
        self._response = response
        self._translate = translate
        self._chunks = response.stream(_CHUNK, decode_content=True)

    def __iter__(self) -> Iterator[bytes]:
        """Whole lines, as they come."""
        rest = b""
        while (chunk := self._next()) is not None:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line.strip())

    def interrupt(self) -> None:
        """Make the thread that reads see the end."""
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            return  # it has ended by itself

    def close(self) -> None:
        """Let go of the connection: it is not used again."""
        self._response.close()

    def _next(self) -> bytes | None:
        try:
            return next(self._chunks, None)
        # ValueError and AttributeError: what the layers below make of a connection that `interrupt` took from them.
        except (http.HTTPError, OSError, ValueError, AttributeError) as error:
            failure = self._translate(error)
        raise failure
