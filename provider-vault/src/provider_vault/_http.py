"""One HTTP request to a Vault, and its answer. hvac's adapter does the request; this module bounds it in time and size.

hvac's exceptions carry answers' bodies, so they are switched off: what an answer means is decided in `_errors`, in our own
words.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from hvac.adapters import RawAdapter
from provider_common import (
    CredentialsError,
    InvalidSpecError,
    PermanentError,
    TemporaryError,
    TooLargeError,
    remaining,
)
from provider_common.values import decode_json, go_json

from provider_vault._consistency import Consistency
from provider_vault._errors import LostAnswerError
from provider_vault._session import bare_session, proxies_for

LONGEST_READ = 25.0
"""Seconds to wait for an answer: below the 30 s after which a caller has gone."""
LONGEST_CONNECT = 10.0
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer: twice what Vault takes as a request, and a list of some hundred thousand names."""
_PIECE = 64 * 1024
_REDIRECTS = frozenset({301, 302, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """What Vault said. `body` is the JSON object, None when the answer is not one. Never shown."""

    status: int
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    retry_after: float | None = None
    asked: float = 0.0
    """When the request went out, by time.monotonic: what the answer says of lifetimes counts from there at the earliest."""

    @property
    def ok(self) -> bool:
        """True for 2xx, if it is Vault's: a gateway's login page is one of those, too."""
        return 200 <= self.status < 300 and self.body is not None

    @property
    def errors(self) -> tuple[str, ...] | None:
        """Vault's `errors`; None when the answer has none. For decisions only: the texts are not ours to show."""
        found = (self.body or {}).get("errors")
        return tuple(str(item) for item in found) if isinstance(found, list) else None

    @property
    def warned(self) -> bool:
        """True when Vault adds warnings."""
        return bool((self.body or {}).get("warnings"))

    def says(self, text: str) -> bool:
        """True when `text` is part of one of the errors or warnings."""
        found = [*(self.errors or ()), *((self.body or {}).get("warnings") or ())]
        return any(text in str(item) for item in found)

    def part(self, name: str) -> Mapping[str, Any] | None:
        """An object of the answer, such as `data` or `auth`; None when it is not there."""
        found = (self.body or {}).get(name)
        return found if isinstance(found, Mapping) else None


class VaultHttp:
    """Requests to one server over connections of its own. Threads may share it."""

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        consistency: Consistency | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self._consistency = consistency or Consistency()
        session = self._session = bare_session(tls)
        session.headers.update(headers or {})
        adapter: Any = RawAdapter  # hvac has no types
        self._adapter = adapter(
            base_uri=self.server,
            token="",
            verify=True,
            proxies=proxies_for(self.server),
            allow_redirects=False,
            session=session,
            strict_http=True,
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        namespace: str = "",
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one request to `/v1/<path>`; `path` is quoted already.

        Raises TemporaryError when no answer comes, LostAnswerError when the request may have been carried out all the
        same, CredentialsError when TLS fails, InvalidSpecError for an address or header that can't be sent, TooLargeError
        for an answer beyond all bounds, DeadlineError when the call's time is over.
        """
        left, asked = remaining(), time.monotonic()
        headers: dict[str, str | bytes] = dict(self._consistency.headers())
        if token:
            headers["X-Vault-Token"] = token
        if namespace:
            headers["X-Vault-Namespace"] = namespace.encode()
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = go_json(body, escape_html=False)  # of any depth, where json would run out of stack
        timeout = (min(left, LONGEST_CONNECT), min(left, LONGEST_READ))
        try:
            answer = self._follow(
                method, f"/v1/{path}", headers=headers, timeout=timeout, data=data, params=dict(params or {})
            )
            content = _content_of(answer)
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
            raise self._no_tls(error) from None
        except requests.exceptions.ConnectTimeout:
            remaining()
            raise TemporaryError(f"{self.server} does not accept a connection in time") from None
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            remaining()
            raise LostAnswerError(f"{self.server} does not answer in time") from None
        except requests.exceptions.ConnectionError as error:
            raise self._unreachable(error) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError):
            raise InvalidSpecError(
                f"A request to {self.server!r} can't be written: check server, headers and namespace, and that the token is one"
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise LostAnswerError(f"{self.server} answers what is no HTTP ({type(error).__name__})") from None
        self._consistency.learn(answer.headers.get("X-Vault-Index"))
        return Answer(answer.status_code, _body_of(content), _retry_after(answer), asked)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _follow(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        # requests' own redirects would carry the token to any host over any scheme. A standby sends to the active
        # node, once, and never from https to http.
        answer: requests.Response = self._adapter.request(
            method.lower(), path, raise_exception=False, stream=True, **kwargs
        )
        target = answer.headers.get("Location")
        if answer.status_code not in _REDIRECTS or not target:
            return answer
        target = urljoin(f"{self.server}{path}", target)
        if urlsplit(target).scheme != urlsplit(self.server).scheme:
            raise InvalidSpecError(
                f"{self.server} redirects to another scheme; `server` has to name the address itself"
            )
        again = {key: value for key, value in kwargs.items() if key != "params"}
        verb = "get" if method.lower() == "list" else method.lower()
        headers = {**kwargs["headers"], "X-Vault-Request": "true"}
        answer.close()
        return self._session.request(
            verb,
            target,
            **{**again, "headers": headers},
            allow_redirects=False,
            stream=True,
            proxies=proxies_for(target),
        )

    def _no_tls(self, error: Exception) -> CredentialsError | LostAnswerError:
        # A server that stops, or a balancer without one, ends the handshake without a word: that is an outage.
        if any(isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) for cause in _causes(error)):
            return LostAnswerError(f"The connection to {self.server} broke")
        return CredentialsError(
            f"TLS to {self.server} fails: check caBundle or caProvider, the server's name, and the client certificate"
        )

    def _unreachable(self, error: Exception) -> TemporaryError:
        # A new connection that failed carried nothing; one that broke may have carried the whole request.
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        if type(reason).__name__ in {"NewConnectionError", "NameResolutionError", "ProxyError"}:
            return TemporaryError(f"{self.server} can't be reached")
        return LostAnswerError(f"The connection to {self.server} broke")


def _content_of(answer: requests.Response) -> bytes:
    # Piece by piece: a read time-out begins anew with every byte that drips in, and the call's time does not.
    content = bytearray()
    try:
        while piece := answer.raw.read1(_PIECE, decode_content=True):
            content += piece
            if len(content) > LARGEST_ANSWER:
                raise TooLargeError(f"The answer has more than {LARGEST_ANSWER} bytes: ask for less")
            remaining()
    except BaseException:
        answer.close()
        raise
    answer.raw.release_conn()
    return bytes(content)


def _body_of(content: bytes) -> Mapping[str, Any] | None:
    if not content:
        return {}
    try:
        found = decode_json(content, what="the answer")
    except PermanentError:
        return None
    return found if isinstance(found, dict) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what is behind it: requests keeps urllib3's error as an argument, urllib3 keeps the cause as `reason`."""
    seen: BaseException | None = error
    while isinstance(seen, BaseException):
        yield seen
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
