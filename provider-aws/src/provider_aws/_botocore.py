"""botocore at arm's length: clients that share nothing of anybody's identity, and its exceptions as ours.

Nothing is called here. Importing this module loads botocore.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.parsers
import botocore.session
from provider_common import (
    CredentialsError,
    InvalidRequestError,
    PermanentError,
    ProviderError,
    TemporaryError,
    remaining,
)

from provider_aws._errors import Refusal
from provider_aws.auth import Keys

ENDPOINT_VARIABLES: Mapping[str, str] = {
    "secretsmanager": "AWS_SECRETSMANAGER_ENDPOINT",
    "ssm": "AWS_SSM_ENDPOINT",
    "sts": "AWS_STS_ENDPOINT",
    "ecr": "AWS_ECR_ENDPOINT",
    "ecr-public": "AWS_ECR_PUBLIC_ENDPOINT",
}


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


class Signing(botocore.credentials.Credentials):
    """Credentials that are asked for anew at every request."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        super().__init__("", "", None, method="external-secrets")  # type: ignore[no-untyped-call]
        self._keys = keys

    def get_frozen_credentials(self) -> botocore.credentials.ReadOnlyCredentials:
        keys = self._keys()
        return botocore.credentials.ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token, None)


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
    botocore.parsers.ResponseParserError,
)
"""What may work later."""


LOCAL: Final = (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError)
"""What botocore finds by itself; the second is no kind of the first."""


def local_error(error: Exception, what: str) -> ProviderError:
    """The exception for what botocore found by itself. Its texts are not used: they repeat parameters and bodies."""
    name = type(error).__name__
    if isinstance(error, botocore.parsers.ResponseParserError):
        return TemporaryError(
            f"The answer for {what} is not one of AWS: check the endpoint, and any proxy on the way"
        )
    if isinstance(error, AWAY):
        remaining()  # the caller's own time, when that is what ended
        return TemporaryError(f"AWS can't be reached for {what} ({name})")
    match error:
        case botocore.exceptions.ParamValidationError():
            return InvalidRequestError(
                f"{what} can't be asked of AWS: check the length and the characters of names and values"
            )
        case botocore.exceptions.NoCredentialsError() | botocore.exceptions.PartialCredentialsError():
            return CredentialsError(f"There are no AWS credentials for {what}: give spec.auth")
        case _:
            return PermanentError(f"AWS can't be asked for {what} ({name})")
