"""A Vault as one open store sees it: logged in, in the right namespace, tried again, counted, and never past the deadline.

Every request of this provider goes through `VaultClient.ask`. It answers with what Vault said when the caller can decide
about it (2xx, and 404 where it is asked for), and raises one of our exceptions for everything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from provider_common import Context, CredentialsError, TemporaryError
from provider_common.context import call_deadline

from provider_vault._errors import INVALID_TOKEN, LostAnswerError, quoted, refusal
from provider_vault._http import Answer, VaultHttp
from provider_vault._login import Login, StaticToken
from provider_vault._namespaces import check_edition
from provider_vault._tokens import Token, TokenManager

PROVIDER = "HashiCorp/Vault"
RETRIES = 2
RETRY_SECONDS = 1.0
GOODBYE_SECONDS = 5.0
"""How long a revocation may take while a store closes."""
SILENT_FOR = 30.0
"""Seconds for which a server that did not answer a revocation is asked for no other: at drain there may be hundreds."""

T = TypeVar("T")


class VaultClient:
    """Requests of one store, with the token of its identity. Threads may share it."""

    def __init__(
        self,
        http: VaultHttp,
        *,
        ctx: Context[Any],
        login: Login | StaticToken | None,
        tokens: TokenManager | None = None,
        namespace: str = "",
        login_namespace: str = "",
    ) -> None:
        self._http = http
        self._ctx = ctx
        self._login = login
        self._tokens = tokens if tokens is not None else TokenManager()
        self._namespace = namespace
        self._login_namespace = login_namespace or namespace
        self._silent_until: dict[str, float] = ctx.shared("vault-silent", dict)
        self._tokens.hold()

    @property
    def tokens(self) -> TokenManager:
        """The manager of this identity's token."""
        return self._tokens

    @property
    def logs_in(self) -> bool:
        """False when the spec has no auth block."""
        return self._login is not None

    def ask(
        self,
        call: str,
        method: str,
        path: str,
        *,
        what: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        may_miss: bool = False,
        repeatable: bool = True,
        lives_for: float = 0.0,
    ) -> tuple[Answer, Token | None]:
        """One request to `path` (quoted, below /v1/), counted as `call`. Returns the answer and the token used.

        `what` names the target for messages. With `may_miss` a 404 is an answer. A request that is not `repeatable` is
        tried again only when it can't have been carried out. Raises the exceptions of the table in `_errors`.
        """

        def once() -> tuple[Answer, Token | None]:
            self._check_namespaces()
            token = self._tokens.current(self, at_least=lives_for) if self._login is not None else None
            answer = self._send(call, method, path, token, body=body, params=params)
            if answer.status == 403 and token is not None:
                another = self._tokens.refused(token, self, gone=answer.says(INVALID_TOKEN))
                if another is not None:
                    token = another
                    answer = self._send(call, method, path, token, body=body, params=params)
            if answer.ok or (may_miss and answer.status == 404 and answer.body is not None):
                return answer, token
            raise refusal(answer, what)

        return self._retrying(once, repeatable=repeatable)

    def check_token(self) -> None:
        """Make sure that there is a token, and renew one that grows old. A fresh one is not asked about."""
        if self._login is None:
            return

        def once() -> Token:
            self._check_namespaces()
            return self._tokens.current(self)

        self._retrying(once, repeatable=True)

    def close(self) -> None:
        """Let go of the token and close the connections."""
        with call_deadline(GOODBYE_SECONDS):
            self._tokens.release(self)
        self._http.close()

    # -- Door: how the token manager reaches Vault ---------------------------------------------------------------------

    def login(self) -> Token:
        """Log in; a token that somebody else made is looked up instead, once, to know when it ends."""
        if isinstance(self._login, StaticToken):
            return self._look_up(self._login.value)
        if self._login is None:
            raise CredentialsError("spec.auth is empty, so there is nothing to log in with")
        login = self._login
        what = f"{login.method} login at {quoted(login.path.removesuffix('/login'))}"
        payload = login.payload(self._http.server)
        with self._ctx.api_call(PROVIDER, login.call):
            answer = self._http.send("POST", login.path, namespace=self._login_namespace, body=payload)
            if not answer.ok:
                raise refusal(answer, what, login=True)
        return self._token_of(answer, what)

    def renew(self, token: Token) -> Token | None:
        """Renew `token`; None when Vault does not."""
        with self._ctx.api_call(PROVIDER, "RenewSelf"):
            answer = self._http.send(
                "POST", "auth/token/renew-self", token=token.value, namespace=self._login_namespace, body={}
            )
            if not answer.ok:
                if answer.status in {400, 403}:
                    return None
                raise refusal(answer, "renewal of the token")
        renewed = self._token_of(answer, "renewal of the token")
        # Vault cuts a renewal at the maximum lifetime. What is left then is used up, and another login follows.
        capped = token.ttl is not None and renewed.ttl is not None and renewed.ttl < token.ttl * 0.9
        return replace(
            renewed, value=token.value, renewable=renewed.renewable and not capped, ours=token.ours
        )

    def revoke(self, token: Token) -> None:
        """End `token`."""
        server = self._http.server
        if time.monotonic() < self._silent_until.get(server, 0.0):
            raise TemporaryError(f"{server} did not answer a moment ago")
        try:
            with self._ctx.api_call(PROVIDER, "RevokeSelf"):
                answer = self._http.send(
                    "POST", "auth/token/revoke-self", token=token.value, namespace=self._login_namespace
                )
                if not answer.ok and answer.status != 403:  # 403: somebody was faster
                    raise refusal(answer, "revocation of the token")
        except TemporaryError:
            self._silent_until[server] = time.monotonic() + SILENT_FOR
            raise

    def _look_up(self, value: str) -> Token:
        with self._ctx.api_call(PROVIDER, "LookupSelf"):
            answer = self._http.send(
                "GET", "auth/token/lookup-self", token=value, namespace=self._login_namespace
            )
            if answer.status == 403 and not answer.says(INVALID_TOKEN):
                # A token without the `default` policy may not look at itself, and still read secrets. What it may
                # not do, Vault says at the first read.
                return Token(value, answer.asked, None, renewable=False, ours=False)
            if not answer.ok:
                raise refusal(answer, "lookup of the token")
        data = answer.part("data") or {}
        ttl = _seconds(data.get("ttl")) if data.get("expire_time") is not None else None
        return Token(value, answer.asked, ttl, renewable=bool(data.get("renewable")), ours=False)

    def _token_of(self, answer: Answer, what: str) -> Token:
        auth = answer.part("auth") or {}
        value = auth.get("client_token")
        if not isinstance(value, str) or not value:
            raise CredentialsError(f"Vault gives no token for the {what}; does it want a second factor?")
        ttl = _seconds(auth.get("lease_duration"))
        return Token(
            value,
            answer.asked,
            ttl or None,
            renewable=bool(auth.get("renewable")),
            revocable=auth.get("token_type") != "batch",
        )

    # ------------------------------------------------------------------------------------------------------------------

    def _send(self, call: str, method: str, path: str, token: Token | None, **kwargs: Any) -> Answer:
        value = token.value if token else ""
        try:
            with self._ctx.api_call(PROVIDER, call):
                answer = self._http.send(method, path, token=value, namespace=self._namespace, **kwargs)
                _count(answer)
        except _RefusedError as refused:
            return refused.answer
        return answer

    def _retrying(self, call: Callable[[], T], *, repeatable: bool) -> T:
        if repeatable:
            return self._ctx.retrying(call, max_retries=RETRIES, interval=RETRY_SECONDS)
        lost: list[LostAnswerError] = []

        def unless_lost() -> T | None:
            try:
                return call()
            except LostAnswerError as error:
                lost.append(error)
                return None

        answer = self._ctx.retrying(unless_lost, max_retries=RETRIES, interval=RETRY_SECONDS)
        if answer is None:
            raise lost[0]
        return answer

    def _check_namespaces(self) -> None:
        if self._namespace or self._login_namespace:
            self._ctx.shared(("vault-edition", self._http.server), self._ask_edition)

    def _ask_edition(self) -> str:
        with self._ctx.api_call(PROVIDER, "Health"):
            return check_edition(self._http)


def _count(answer: Answer) -> None:
    if not answer.ok and answer.status != 404:
        raise _RefusedError(answer)


class _RefusedError(Exception):
    """The way out of `api_call` that makes a refusal count as an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
