"""One AWS service in one region, called under our rules: the caller's deadline, `retrySettings`, counted calls, our errors.

botocore's own retries are off: they know nothing of the deadline. Its time-outs belong to a client, so there is one client
per step of `TIMEOUTS`, made when it is needed first; nearly always that is one.

Importing this module loads botocore; stores import it when they are opened.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import botocore
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.parsers
import botocore.session
from provider_common import (
    Context,
    CredentialsError,
    InvalidRequestError,
    InvalidSpecError,
    PermanentError,
    ProviderError,
    TemporaryError,
    remaining,
)

from provider_aws._answers import check_whole
from provider_aws._errors import Refusal, RevokedSessionError, StaleCredentialsError, translate
from provider_aws.auth import Keys

TIMEOUTS = (25.0, 15.0, 9.0, 6.0, 4.0, 2.5, 1.5, 0.8, 0.4)
"""Seconds that one call may wait for an answer: the longest step that the caller's time allows."""
CONNECT_TIMEOUT = 5.0
MAX_RETRIES = 2
"""Tries after the first where the store has no retrySettings, as many as AWS's own clients make."""
APP_ID = "external-secrets"

ENDPOINT_VARIABLES: Mapping[str, str] = {
    "secretsmanager": "AWS_SECRETSMANAGER_ENDPOINT",
    "ssm": "AWS_SSM_ENDPOINT",
    "sts": "AWS_STS_ENDPOINT",
    "ecr": "AWS_ECR_ENDPOINT",
    "ecr-public": "AWS_ECR_PUBLIC_ENDPOINT",
}
METRICS: Mapping[str, str] = {
    "secretsmanager": "AWS/SecretsManager",
    "ssm": "AWS/ParameterStore",
    "sts": "AWS/STS",
    "ecr": "AWS/ECR",
    "ecr-public": "AWS/ECR",
}
CALLS: Mapping[str, str] = {"DescribeParameters": "DescribeParameter"}
"""Operations that the metric has by another name, as with the Go provider."""


class Sessions:
    """Makes botocore sessions that share what is costly to load, and nothing that is anybody's identity."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Keeps the service models that it has read.
        self._loader = botocore.loaders.create_loader()

    def client(self, service: str, *, region: str, credentials: Any, config: botocore.config.Config) -> Any:
        """A client that signs with `credentials`, and reads neither `~/.aws` nor a profile."""
        # A profile is taken from nowhere: not from AWS_PROFILE either.
        session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        session.set_config_variable("config_file", os.devnull)
        session.set_config_variable("credentials_file", os.devnull)
        # The STS of the store's own region, also where an older botocore or the environment prefers the one in us-east-1.
        session.set_config_variable("sts_regional_endpoints", "regional")
        session.register_component("data_loader", self._loader)
        session.register_component("credential_provider", _Resolver(credentials))
        with self._lock:  # what is shared is not made for two threads at a time
            return session.create_client(
                service,
                region_name=region,
                endpoint_url=os.environ.get(ENDPOINT_VARIABLES[service]) or None,
                config=config,
            )


class _Resolver:
    """The one answer to botocore's question for credentials."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


class _Signing(botocore.credentials.Credentials):
    """Credentials that are asked for anew at every request."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        super().__init__("", "", None, method="external-secrets")  # type: ignore[no-untyped-call]
        self._keys = keys

    def get_frozen_credentials(self) -> botocore.credentials.ReadOnlyCredentials:
        keys = self._keys()
        return botocore.credentials.ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token, None)


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
            if not page.keys() - {"ResponseMetadata"}:
                # AWS names a list that is empty. To take this for one would empty the user's Secret.
                raise TemporaryError(
                    f"The answer for {what} is not one of AWS: check the endpoint, and any proxy on the way"
                )
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
            except botocore.exceptions.BotoCoreError as error:
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
        signing = _Signing(self._keys) if self._keys is not None else None
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
        return client


def refusal(operation: str, error: botocore.exceptions.ClientError) -> Refusal:
    """AWS's error as the table takes it."""
    details = error.response.get("Error") or {}
    answer = error.response.get("ResponseMetadata") or {}
    after = str((answer.get("HTTPHeaders") or {}).get("retry-after", ""))
    return Refusal(
        operation,
        str(details.get("Code", "")),
        str(details.get("Message", "")),
        int(answer.get("HTTPStatusCode") or 0),
        float(after) if after.isdigit() else None,
    )


AWAY: Final = (
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.MetadataRetrievalError,
)
"""What may work later."""


def local_error(error: botocore.exceptions.BotoCoreError, what: str) -> ProviderError:
    """The exception for what botocore found by itself. Its texts are not used: they repeat parameters and bodies."""
    name = type(error).__name__
    if isinstance(error, AWAY):
        remaining()  # the caller's own time, when that is what ended
        return TemporaryError(f"AWS can't be reached for {what} ({name})")
    match error:
        case botocore.parsers.ResponseParserError():
            return TemporaryError(f"The answer for {what} breaks off, or is none of AWS's")
        case botocore.exceptions.ParamValidationError():
            return InvalidRequestError(
                f"{what} can't be asked of AWS: check the length and the characters of names and values"
            )
        case botocore.exceptions.NoCredentialsError() | botocore.exceptions.PartialCredentialsError():
            return CredentialsError(f"There are no AWS credentials for {what}: give spec.auth")
        case _:
            return PermanentError(f"AWS can't be asked for {what} ({name})")
