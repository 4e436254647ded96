"""HTTP to Google's token services, in the shape that google-auth asks for: bounded by the call's deadline, counted, with
no redirects and no second tries of its own.

What fails raises the SDK's errors right through google-auth, which would otherwise try again by itself. Only while it looks
for default credentials it has to see its own class of error, to go on to the next place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from google.auth import exceptions, transport
from provider_common import Context, TemporaryError, remaining

PROVIDER = "GCP/SecretManager"
LONGEST_REQUEST = 10.0
"""Seconds that one request may take, if the call has as many left."""
LARGEST_ANSWER = 1 << 20


class Answer(transport.Response):
    """What google-auth wants to know of an answer."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._parts = (status, headers, data)

    @property
    def status(self) -> int:
        """The status code."""
        return self._parts[0]

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return self._parts[1]

    @property
    def data(self) -> bytes:
        """The body."""
        return self._parts[2]


class Http(transport.Request):
    """Requests of one store. Connections are shared by all stores."""

    def __init__(self, ctx: Context[Any], *, looking: bool = False) -> None:
        """`looking`: raise google-auth's TransportError in place of TemporaryError."""
        self._ctx = ctx
        self._session = ctx.shared("gcp-http", _session)
        self._looking = looking

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> Answer:
        """The answer, whatever its status below 500 but 429. Raises TemporaryError, DeadlineError."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        left, started = remaining(), time.monotonic()
        end = started + min(left, timeout or LONGEST_REQUEST, LONGEST_REQUEST)
        try:
            with (
                self._ctx.api_call(PROVIDER, _call_of(host, parts.path)),
                self._session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    timeout=end - started,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                data = _body(answer, end)
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise TemporaryError(
                        f"{host} answers {answer.status_code}", retry_after=_retry_after(answer)
                    )
                return Answer(answer.status_code, answer.headers, data)
        except TemporaryError as error:
            failure = error
        except requests.Timeout:
            if time.monotonic() - started >= left:
                remaining()
            failure = TemporaryError(f"{host} does not answer in time")
        except requests.exceptions.SSLError:
            failure = TemporaryError(f"{host} can't be reached: its certificate is not trusted here")
        except (requests.RequestException, OSError) as error:
            failure = TemporaryError(f"{host} can't be reached ({type(error).__name__})")
        if self._looking:
            raise exceptions.TransportError(failure.message)
        raise failure


def _body(answer: requests.Response, end: float) -> bytes:
    """All of it, in time and of bearable size: the time-outs of sockets are for each piece."""
    data = bytearray()
    for piece in answer.iter_content(65536):
        data += piece
        if len(data) > LARGEST_ANSWER:
            raise requests.RequestException
        if time.monotonic() > end:
            raise requests.Timeout
    return bytes(data)


def _session() -> requests.Session:
    session = requests.Session()
    # Without this a ~/.netrc would add credentials of its own.
    session.auth = _as_it_is
    # What one address sets is not for another store that asks it.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
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
