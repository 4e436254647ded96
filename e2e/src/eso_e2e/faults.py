"""What a fault proxy can do to a request, as plain values: tests read like the fault they describe.

A rule is a set of conditions, an optional delay and an optional fault. Nothing here opens a socket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class RecordedRequest:
    """One request that reached the proxy. Its repr holds neither headers nor bodies: they may carry credentials."""

    method: str
    host: str
    path: str
    """Path and query, as sent."""
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""
    body: bytes = field(repr=False)
    status: int | None = None
    """The status that the client was sent; None while there is none, and for good if it was sent none."""
    forwarded: bool = False
    """Whether the request reached the backend."""

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """A complete answer: of the backend, or made up in its place."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def json(cls, status: int, value: Any, headers: Mapping[str, str] | None = None) -> Self:
        """Return an answer whose body is `value` as JSON."""
        return cls(
            status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})}
        )


def too_many_requests(retry_after: int | None = None) -> Answer:
    """Return a 429, with or without a Retry-After header in seconds."""
    return Answer(429, b"", {} if retry_after is None else {"Retry-After": str(retry_after)})


@dataclass(frozen=True)
class Reset:
    """The connection is reset: before the backend hears of the request, or only after it has done what was asked."""

    after_backend: bool = False


@dataclass(frozen=True)
class Cut:
    """The backend's answer breaks off after so many bytes of its body."""

    keep: int


@dataclass(frozen=True)
class BlackHole:
    """No answer ever comes; the connection stays open until the client gives up."""


@dataclass(frozen=True)
class Rewrite:
    """The backend's answer is passed through a function."""

    change: Callable[[RecordedRequest, Answer], Answer]


@dataclass(frozen=True)
class Respond:
    """A function answers in the backend's place; where it returns None the request goes on to the backend."""

    answer: Callable[[RecordedRequest], Answer | None]


Fault = Answer | Reset | Cut | BlackHole | Rewrite | Respond


@dataclass
class Rule:
    """When to do what. Conditions are regular expressions that must be found; what is not named matches anything."""

    fault: Fault | None
    delay: float = 0.0
    """Seconds to wait before anything else is done."""
    method: str | None = None
    host: str | None = None
    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    skip: int = 0
    """So many matching requests pass untouched first."""
    times: int | None = None
    """So many are then hit; None = all."""
    seen: int = 0
    hits: int = 0

    def matches(self, request: RecordedRequest) -> bool:
        """Whether `request` meets every condition, whatever `skip` and `times` say."""
        return (
            (self.method is None or self.method == request.method)
            and _found(self.host, request.host)
            and _found(self.path, request.path)
            and _found(self.body, request.body.decode("latin-1"))
            and all(
                _found(value, request.headers.get(name.lower(), "")) for name, value in self.headers.items()
            )
        )

    def take(self) -> bool:
        """Count one matching request; return whether it is one of those to be hit."""
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


def _found(pattern: str | None, text: str) -> bool:
    return pattern is None or re.search(pattern, text) is not None
