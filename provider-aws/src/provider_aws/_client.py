"""One AWS service in one region, called under our rules: the caller's deadline, `retrySettings`, counted calls, our errors.

botocore's own retries are off: they know nothing of the deadline. Its time-outs belong to a client, so there is one client
per step of `TIMEOUTS`, made when it is needed first; nearly always that is one.

Importing this module loads botocore; stores import it when they are opened.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore
import botocore.config
import botocore.exceptions
from provider_common import Context, InvalidSpecError, remaining

from provider_aws._answers import check_answered, check_whole
from provider_aws._botocore import ENDPOINT_VARIABLES, LOCAL, Sessions, Signing, local_error, refusal
from provider_aws._errors import RevokedSessionError, StaleCredentialsError, translate
from provider_aws.auth import Keys

TIMEOUTS = (25.0, 15.0, 9.0, 6.0, 4.0, 2.5, 1.5, 0.8, 0.4)
"""Seconds that one call may wait for an answer: the longest step that the caller's time allows."""
CONNECT_TIMEOUT = 5.0
MAX_RETRIES = 2
"""Tries after the first where the store has no retrySettings, as many as AWS's own clients make."""
APP_ID = "external-secrets"

METRICS: Mapping[str, str] = {
    "secretsmanager": "AWS/SecretsManager",
    "ssm": "AWS/ParameterStore",
    "sts": "AWS/STS",
    "ecr": "AWS/ECR",
    "ecr-public": "AWS/ECR",
}
CALLS: Mapping[str, str] = {"DescribeParameters": "DescribeParameter"}
"""Operations that the metric has by another name, as with the Go provider."""


class Client:
    """One service, signed with the keys that `keys` gives; None signs nothing."""

    def __init__(
        self,
        ctx: Context[Any],
        service: str,
        *,
        region: str,
        keys: Callable[[], Keys] | None,
        refused: Callable[[Keys], bool] | None = None,
    ) -> None:
        """`refused` is told keys that AWS does not accept any more, and answers whether asking again may help."""
        self._ctx = ctx
        self._service = service
        self._region = region
        self._keys = keys
        self._refused = refused
        self._sessions = ctx.shared("aws-sessions", Sessions)
        self._lock = threading.Lock()
        self._clients: dict[float, Any] = {}

    def call(
        self,
        operation: str,
        what: str,
        *,
        key: str = "",
        version: str = "",
        retry: bool = True,
        **parameters: Any,
    ) -> dict[str, Any]:
        """The answer to one operation. `what` says in messages what was asked for; `key` and `version` name the secret
        that is read. `retry` False asks once, whatever the store says.

        Raises the classes of `_errors`; NoSecretError only when AWS says so.
        """
        keys = self._keys() if self._keys is not None else None  # what STS needs, it tries again by itself

        def attempt() -> dict[str, Any]:
            return self._attempt(operation, parameters, what, key, version)

        def attempts() -> dict[str, Any]:
            if not retry:
                return attempt()
            # Spread out, so that those who were told to slow down together do not come back together.
            pause = random.uniform(0.25, 1.25)  # noqa: S311 - no secret
            return self._ctx.retrying(attempt, max_retries=MAX_RETRIES, interval=pause)

        try:
            return attempts()
        except (StaleCredentialsError, RevokedSessionError):
            if keys is None or self._refused is None or not self._refused(keys):
                raise
            return attempts()

    def pages(self, operation: str, what: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The answers to an operation that pages by NextToken, one at a time."""
        while True:
            page = self.call(operation, what, **parameters)
            yield page
            token = page.get("NextToken")
            if not token:
                return
            parameters["NextToken"] = token

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _attempt(
        self, operation: str, parameters: Mapping[str, Any], what: str, key: str, version: str
    ) -> dict[str, Any]:
        client = self._client(remaining())
        with self._ctx.api_call(METRICS[self._service], CALLS.get(operation, operation)):
            try:
                answer: dict[str, Any] = getattr(client, botocore.xform_name(operation))(**parameters)
            except botocore.exceptions.ClientError as error:
                raise translate(refusal(operation, error), what, key=key, version=version) from None
            except LOCAL as error:
                raise local_error(error, what) from None
        return answer

    def _client(self, seconds: float) -> Any:
        step = next((timeout for timeout in TIMEOUTS if timeout <= seconds), TIMEOUTS[-1])
        client = self._clients.get(step)
        if client is not None:
            return client
        with self._lock:
            if step not in self._clients:
                self._clients[step] = self._make(step)
            return self._clients[step]

    def _make(self, timeout: float) -> Any:
        config = botocore.config.Config(
            connect_timeout=min(timeout, CONNECT_TIMEOUT),
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=64,
            user_agent_appid=APP_ID,
            signature_version=botocore.UNSIGNED if self._keys is None else None,
        )
        signing = Signing(self._keys) if self._keys is not None else None
        try:
            client = self._sessions.client(
                self._service, region=self._region, credentials=signing, config=config
            )
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise InvalidSpecError(
                f"No AWS client can be made for {self._service} in region {self._region!r} ({type(error).__name__}): check"
                f" spec.region and the variable {ENDPOINT_VARIABLES[self._service]}"
            ) from None
        client.meta.events.register("before-parse", check_whole)
        client.meta.events.register("after-call", check_answered)
        return client
