"""One small HTTPS client for the fixtures' own errands: set a server up, ask it how it is.

Tests of a provider use the provider's own client library; this one only sees to what a test needs beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from eso_e2e.pki import KeyPair


class AnswerError(Exception):
    """A server answered with an error status: `status`, and what it said in `body`."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        super().__init__(f"{method} {path}: {status} {body}")
        self.status = status
        self.body = body


class JsonClient:
    """Requests with JSON in and out to one address, over TLS when `ca_file` is given."""

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        client: KeyPair | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare the client; nothing is sent yet."""
        self.url = url
        self._headers = dict(headers or {})
        options: dict[str, Any] = {"retries": False, "timeout": urllib3.Timeout(connect=10, read=60)}
        if url.startswith("https:"):
            options |= {"cert_reqs": "CERT_REQUIRED", "ca_certs": str(ca_file) if ca_file else None}
            if client is not None:
                options |= {"cert_file": str(client.cert), "key_file": str(client.key)}
        self._pool = urllib3.PoolManager(**options)

    def __call__(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send one request and return the decoded answer (None if empty). Raises AnswerError from status 400 on."""
        content = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json", **self._headers, **(headers or {})}
        answer = self._pool.request(method, self.url + path, body=content, headers=sent)
        decoded = _decode(answer.data)
        if answer.status >= 400:
            raise AnswerError(method, path, answer.status, decoded)
        return decoded

    def answers(self, path: str) -> bool:
        """Whether the server answers `path` with a status below 400."""
        try:
            self("GET", path)
        except (AnswerError, urllib3.exceptions.HTTPError):
            return False
        return True

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()


def _decode(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
