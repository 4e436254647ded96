"""One token per identity: logged in once, renewed before it ends, replaced when it does, revoked when nobody holds it.

The manager knows the lease of its token, so it never has to ask Vault whether the token is still good. What it cannot
know, a revocation by somebody else, Vault says with 403; then it logs in again, once. It talks to Vault only through the
`Door` of whoever asks, because calls have deadlines and the manager has none.

A token is fresh, stale or spent. Fresh is used. Stale is still used, while one caller renews it. Spent blocks: one caller
logs in, the others wait for that login and share its outcome, failure included: forty callers with a wrong password
are one login, not forty (Vault locks users out).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from provider_common import DeadlineError, ProviderError
from provider_common.context import held

_log = logging.getLogger(__name__)

RENEW_AFTER = 2 / 3
"""The part of its life after which a token is renewed."""
SPENT_BEFORE_END = 5.0
"""Seconds before its end from which a token is not used any more, if its life is long enough for that."""
REFUSED_FOR = 5.0
"""Seconds for which a refused login is not tried again."""
AWAY_FOR = 0.1
"""Seconds for which a login that got no answer is not tried again: those who come at the same time share it."""
RELOGIN_AFTER = 10.0
"""Seconds that a token has to be old before a plain "permission denied" is a reason to log in again: a new login brings
policies that were attached since."""
RETIRED_FOR = 35.0
"""Seconds before a replaced token is revoked: calls that still use it last 30 at most."""


@dataclass(frozen=True, slots=True)
class Token:
    """A Vault token and what is known of its life. Times are the manager's clock."""

    value: str = field(repr=False)
    obtained: float
    ttl: float | None = None
    """Seconds from `obtained`; None means forever."""
    renewable: bool = False
    ours: bool = True
    """False for a token that somebody else made: it is never revoked."""
    revocable: bool = True
    """False for batch tokens, which end by themselves and not before."""

    def left(self, now: float) -> float:
        """Seconds until the end."""
        return float("inf") if self.ttl is None else self.obtained + self.ttl - now

    def fresh(self, now: float) -> bool:
        """True while there is nothing to do."""
        return self.ttl is None or now < self.obtained + self.ttl * RENEW_AFTER

    def spent(self, now: float) -> bool:
        """True when it must not be used."""
        return self.ttl is not None and self.left(now) <= min(SPENT_BEFORE_END, self.ttl * 0.1)


class Door(Protocol):
    """How a token manager reaches Vault, with the deadline and the retry settings of one call."""

    def login(self) -> Token:
        """A new token."""

    def renew(self, token: Token) -> Token | None:
        """`token` with a new life; None when Vault gives it none."""

    def revoke(self, token: Token) -> None:
        """End `token`."""


class TokenManager:
    """The token of one identity. Threads share it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._retired: list[tuple[Token, float]] = []
        self._kept: set[str] = set()
        self._failure: ProviderError | None = None
        self._failed_until = 0.0
        self._attempts = 0
        self._try_renewal_at = 0.0
        self._holders = 0
        self._holders_lock = threading.Lock()

    def hold(self) -> None:
        """Count one more holder."""
        with self._holders_lock:
            self._holders += 1

    def release(self, door: Door) -> None:
        """Count one holder less; the last one revokes the tokens. Never raises."""
        with self._holders_lock:
            self._holders -= 1
            if self._holders > 0:
                return
            tokens = [token for token, _ in self._retired]
            if self._token is not None:
                tokens.append(self._token)
            self._token, self._retired = None, []
        for token in tokens:
            self._revoke(token, door)

    def keep(self, token: Token) -> None:
        """Never revoke `token`: leases hang on it and would end with it."""
        with self._holders_lock:
            current = self._token
            alive = {retired.value for retired, _ in self._retired} | {current.value if current else ""}
            self._kept = {token.value} | (self._kept & alive)

    def current(self, door: Door, *, at_least: float = 0.0) -> Token:
        """A token that can be used, and that lives for `at_least` seconds more if a new login gives that.

        Raises what the login raises; CredentialsError when the token has ended and nothing can make a new one.
        """
        token, now = self._token, self._clock()
        # Of a token that somebody else made there is no other, however long the lease.
        if token is not None and not token.spent(now) and (token.left(now) >= at_least or not token.ours):
            if not token.fresh(now) and now >= self._try_renewal_at:
                self._refresh(token, door)
                return self._token or token
            return token
        return self._new(door, instead_of=token)

    def refused(self, token: Token, door: Door, *, gone: bool) -> Token | None:
        """Another token after Vault answered 403 to `token`; None when another would change nothing.

        `gone` is whether Vault says that the token itself is not valid.
        """
        if not token.ours:
            if gone:
                self._forget(token)
            return None
        newest = self._token
        if newest is not None and newest.value != token.value:
            return newest
        if gone:
            self._kept.discard(token.value)
            return self._new(door, instead_of=token, gone=True)
        if self._clock() - token.obtained < RELOGIN_AFTER:
            return None
        try:
            return self._new(door, instead_of=token)
        except DeadlineError:
            raise
        except ProviderError as error:
            # The token is as good as it was: a secret ID that was good for one login is no reason to lose it.
            _log.info("logging in to Vault for newer policies failed: %s", error)
            return None

    def _forget(self, token: Token) -> None:
        # Whoever asks next hears from Vault, in words of its own, what has become of it.
        if self._token is not None and self._token.value == token.value:
            self._token = None

    def _refresh(self, token: Token, door: Door) -> None:
        # Whoever comes while somebody renews goes on with the old token: it is still good.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._token is not token:
                return
            now = self._clock()
            # Not at every call when it fails; and the next attempt leaves time for one more.
            self._try_renewal_at = now + min(REFUSED_FOR, token.left(now) / 3)
            renewed = door.renew(token) if token.renewable else None
            if renewed is not None and renewed.left(now) > token.left(now) * 1.2:
                self._token, self._try_renewal_at = renewed, 0.0
                return
            if token.ours:
                self._token = door.login()
                self._retire(token)
        except DeadlineError:
            raise
        except ProviderError as error:
            # The token lives on for a third of its life; there is time to try again.
            _log.warning("renewing a Vault token failed: %s", error)
        finally:
            self._lock.release()
        self._revoke_retired(door)

    def _new(self, door: Door, *, instead_of: Token | None, gone: bool = False) -> Token:
        seen = self._attempts
        with held(self._lock, busy="Another call's login to Vault does not come to an end"):
            token, now = self._token, self._clock()
            if token is not None and token is not instead_of and not token.spent(now):
                return token
            if self._failure is not None and (self._attempts != seen or now < self._failed_until):
                raise type(self._failure)(self._failure.message, retry_after=self._failure.retry_after)
            if gone:
                self._token = None
            self._attempts += 1
            self._failure = None
            try:
                made = door.login()
            except DeadlineError:
                raise
            except ProviderError as error:
                # Whoever waited shares it. A refusal stands for a while, too: asking again at once changes nothing.
                self._failure = error
                self._failed_until = self._clock() + (AWAY_FOR if error.retryable else REFUSED_FOR)
                raise
            if token is not None and not gone:
                self._retire(token)
            self._token = made
        self._revoke_retired(door)
        return made

    def _retire(self, token: Token) -> None:
        if token.ours and not token.spent(self._clock()):
            self._retired.append((token, self._clock() + RETIRED_FOR))

    def _revoke_retired(self, door: Door) -> None:
        with self._lock:
            now = self._clock()
            due = [token for token, when in self._retired if when <= now]
            self._retired = [(token, when) for token, when in self._retired if when > now]
        for token in due:
            self._revoke(token, door)

    def _revoke(self, token: Token, door: Door) -> None:
        kept = token.value in self._kept
        if kept or not (token.ours and token.revocable) or token.spent(self._clock()):
            return
        try:
            door.revoke(token)
        except ProviderError as error:
            _log.info("a Vault token could not be revoked and ends by itself: %s", error)
