"""HTTP to Google's token services, in the shape that google-auth asks for: bounded by the call's deadline, counted, with
no redirects and no second tries of its own.

`Away` is a TransportError because google-auth looks for that class where it may go on without an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from google.auth import exceptions, transport
from provider_common import Context, TemporaryError, remaining

PROVIDER = "GCP/SecretManager"
LONGEST_REQUEST = 10.0
"""Seconds that one request may take, if the call has as many left."""
LARGEST_ANSWER = 1 << 20


class Away(exceptions.TransportError):
    """There is no answer, or one that says "later". The text is fit for users."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)  # type: ignore[no-untyped-call]
        self.error = TemporaryError(message, retry_after=retry_after)


class Answer(transport.Response):
    """What google-auth wants to know of an answer."""

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        """The status code."""
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return self._answer.headers

    @property
    def data(self) -> bytes:
        """The body."""
        return self._answer.content


class Http(transport.Request):
    """Requests of one store. Connections are shared by all stores."""

    def __init__(self, ctx: Context[Any]) -> None:
        self._ctx = ctx
        self._session = ctx.shared("gcp-http", _session)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> Answer:
        """The answer, whatever its status below 500 but 429. Raises Away, DeadlineError."""
        left = remaining()
        seconds = min(left, timeout or LONGEST_REQUEST, LONGEST_REQUEST)
        parts = urlsplit(url)
        host = parts.hostname or ""
        started = time.monotonic()
        try:
            with self._ctx.api_call(PROVIDER, _call_of(host, parts.path)):
                answer = self._session.request(
                    method, url, data=body, headers=headers, timeout=seconds, allow_redirects=False
                )
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise Away(f"{host} answers {answer.status_code}", retry_after=_retry_after(answer))
        except requests.Timeout:
            if time.monotonic() - started >= left:
                remaining()
            raise Away(f"{host} does not answer in time") from None
        except requests.exceptions.SSLError:
            raise Away(f"{host} can't be reached: its certificate is not trusted here") from None
        except (requests.RequestException, OSError) as error:
            raise Away(f"{host} can't be reached ({type(error).__name__})") from None
        return Answer(answer)


def _session() -> requests.Session:
    session = requests.Session()
    # Without this a ~/.netrc would add credentials of its own.
    session.auth = _as_it_is
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _call_of(host: str, path: str) -> str:
    """The name under which a request is counted; the first two are those that dashboards know."""
    if host.startswith("securetoken."):
        return "GenerateIDBindToken"
    if path.endswith(":generateAccessToken"):
        return "GenerateAccessToken"
    if path.startswith("/computeMetadata/"):
        return "ReadMetadata"
    return "ExchangeToken"
