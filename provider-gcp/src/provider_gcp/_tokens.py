"""One access token per identity, kept until about five minutes before its end and fetched by one caller at a time.

A token is fresh, stale or spent. Fresh is used. Stale is still used while one caller fetches the next one. Spent blocks:
one caller fetches, the others wait and share the outcome, a refusal included: forty callers with a wrong key are one
request, not forty. How a token is fetched is the caller's affair; the manager knows neither Google nor HTTP.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from provider_common import DeadlineError, ProviderError, remaining
from provider_common.context import call_deadline, held

_log = logging.getLogger(__name__)

STALE_BEFORE_END = 300.0
"""Seconds before its end from which a token is to be replaced, or a fifth of its life if that is shorter."""
SPENT_BEFORE_END = 10.0
"""Seconds before its end from which a token is not used any more, or a tenth of its life if that is shorter."""
REFUSED_FOR = 5.0
"""Seconds for which a refused request is not made again."""
AWAY_FOR = 0.1
"""Seconds for which a request without an answer is not made again: those who come at the same time share it."""
RELOGIN_AFTER = 10.0
"""Seconds for which a token that Google refuses is not replaced again, when it came in the place of a refused one."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. Times are seconds since 1970."""

    value: str = field(repr=False)
    obtained: float
    expires: float

    def fresh(self, now: float) -> bool:
        """True while there is nothing to do."""
        return now < self.expires - min(STALE_BEFORE_END, (self.expires - self.obtained) / 5)

    def spent(self, now: float) -> bool:
        """True when it must not be used."""
        return now >= self.expires - min(SPENT_BEFORE_END, (self.expires - self.obtained) / 10)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks Google: everything the token depends on, and how a new one is had."""

    key: Hashable = field(repr=False)
    fetch: Callable[[], Token] = field(repr=False)
    quota_project: str = ""
    """Project that is charged, when the credentials name one."""


class TokenManager:
    """The token of one identity. Threads share it."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._failure: ProviderError | None = None
        self._failed_until = 0.0
        self._attempts = 0
        self._try_again_at = 0.0
        self._refused_until = 0.0

    def current(self, fetch: Callable[[], Token]) -> Token:
        """A token that can be used, fetched by `fetch` if there is none. Raises what `fetch` raises."""
        token, now = self._token, self._clock()
        if token is not None and not token.spent(now):
            if not token.fresh(now) and now >= self._try_again_at:
                self._replace(token, fetch)
                return self._token or token
            return token
        return self._new(fetch)

    def refused(self, token: Token) -> bool:
        """Google does not accept `token`: forget it. False when another one would change nothing, because this one was had
        for the same reason a moment ago.
        """
        with self._lock:
            if self._token is token:
                now = self._clock()
                if now < self._refused_until:
                    return False
                self._token, self._refused_until = None, now + RELOGIN_AFTER
            return True

    def _replace(self, token: Token, fetch: Callable[[], Token]) -> None:
        # Whoever comes while somebody fetches goes on with the old token: it is still good.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._token is token:
                now = self._clock()
                # Not at every call when it fails; and the next attempt leaves time for one more.
                self._try_again_at = now + min(30.0, (token.expires - now) / 3)
                # Of the caller's time half: the call goes on with the old token if this does not work out.
                with call_deadline(remaining() / 2):
                    self._token = fetch()
                self._try_again_at = 0.0
        except ProviderError as error:
            _log.warning("replacing an access token failed, the old one is used on: %s", error)
        finally:
            self._lock.release()

    def _new(self, fetch: Callable[[], Token]) -> Token:
        seen = self._attempts
        with held(self._lock, busy="Another call's request for an access token does not come to an end"):
            token, now = self._token, self._clock()
            if token is not None and not token.spent(now):
                return token
            if self._failure is not None and (self._attempts != seen or now < self._failed_until):
                raise type(self._failure)(self._failure.message, retry_after=self._failure.retry_after)
            self._token, self._failure = None, None
            self._attempts += 1
            try:
                self._token = made = fetch()
            except DeadlineError:
                raise
            except ProviderError as error:
                self._failure = error
                self._failed_until = self._clock() + (AWAY_FOR if error.retryable else REFUSED_FOR)
                raise
            return made


def digest(*parts: str) -> str:
    """A hash that stands for credentials in the key of a shared object."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
