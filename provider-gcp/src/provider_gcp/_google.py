"""google-auth's credentials asked for one token, with their errors in our terms. Nothing of Google's answers is quoted but
the error codes of OAuth.
"""

from __future__ import annotations

import calendar
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from typing import Any

from google.auth import aws, exceptions, identity_pool
from provider_common import CredentialsError, InvalidSpecError, TemporaryError

from provider_gcp._http import LARGEST_ANSWER as LARGEST
from provider_gcp._http import Http
from provider_gcp._tokens import Token

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_UNSAID_LIFE = 600.0
"""Seconds that a token is used whose end Google does not tell."""


def fetch(credentials: Any, http: Http, *, what: str) -> Token:
    """A new token by `credentials`; `what` names them in errors.

    Raises CredentialsError, TemporaryError, DeadlineError.
    """
    obtained = time.time()
    try:
        credentials.refresh(http)
    except exceptions.TransportError:
        raise TemporaryError("Google's token service can't be reached") from None
    except exceptions.GoogleAuthError as error:
        if reason := _reason(error):
            raise CredentialsError(f"Google does not accept {what} ({reason})") from None
        raise CredentialsError(
            f"No access token is to be had for {what}: check it, and what it may act as"
        ) from None
    except (ValueError, TypeError, LookupError, AttributeError, OSError, RecursionError) as error:
        # What google-auth lets out when an answer, or a file, is not what it takes it for.
        raise CredentialsError(f"No access token is to be had for {what} ({type(error).__name__})") from None
    if not credentials.token:
        raise CredentialsError(f"Google gives no access token for {what}")
    expiry = credentials.expiry
    expires = calendar.timegm(expiry.timetuple()) if expiry is not None else obtained + _UNSAID_LIFE
    return Token(credentials.token, obtained, expires)


def service_account(info: dict[str, Any], *, field: str) -> Any:
    """Credentials of a service account's key. Raises InvalidSpecError naming `field`."""
    from google.oauth2 import service_account as google

    try:
        return google.Credentials.from_service_account_info(info, scopes=[SCOPE])
    except (ValueError, exceptions.GoogleAuthError):
        raise InvalidSpecError(f"{field}: the Secret's key holds no usable service account key") from None


def _reason(error: exceptions.GoogleAuthError) -> str:
    """The OAuth error code, such as `invalid_grant`, when there is one."""
    for argument in error.args:
        code = argument.get("error") if isinstance(argument, dict) else None
        if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code):
            return code
    return ""


class KubernetesToken(identity_pool.SubjectTokenSupplier):
    """Shows Google the token of a Kubernetes ServiceAccount."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def get_subject_token(self, context: object, request: object) -> str:
        """A token of the ServiceAccount."""
        return self._token()


class AwsKeys(aws.AwsSecurityCredentialsSupplier):
    """Shows Google that AWS knows a key."""

    def __init__(self, keys: tuple[str, str, str], region: str) -> None:
        self._keys = keys
        self._region = region

    def get_aws_security_credentials(self, context: object, request: object) -> aws.AwsSecurityCredentials:
        """The keys."""
        key, secret, session = self._keys
        return aws.AwsSecurityCredentials(key, secret, session or None)

    def get_aws_region(self, context: object, request: object) -> str:
        """The region."""
        return self._region


class FileCredentials(identity_pool.Credentials):
    """Shows Google what is in a file."""

    def retrieve_subject_token(self, request: object) -> str:
        """The token. Raises OSError, RefreshError."""
        path = self._credential_source["file"]
        # google-auth reads to the end, which a device or a pipe does not have, and keeps it all.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or len(file.read(LARGEST + 1)) > LARGEST:
                raise exceptions.RefreshError("not a file with a token")
        token: str = super().retrieve_subject_token(request)
        return token


def federated(config: Mapping[str, Any], supplier: KubernetesToken | AwsKeys | None) -> Any:
    """Credentials by a checked external_account JSON; `supplier` takes the place of its credential_source.

    Raises InvalidSpecError.
    """
    options = {
        "audience": config["audience"],
        "subject_token_type": config["subject_token_type"],
        "token_url": config["token_url"],
        "token_info_url": config["token_info_url"],
        "service_account_impersonation_url": config.get("service_account_impersonation_url"),
        "service_account_impersonation_options": config.get("service_account_impersonation") or {},
        "client_id": config.get("client_id"),
        "client_secret": config.get("client_secret"),
        "universe_domain": config["universe_domain"],
        "scopes": [SCOPE],
    }
    if user_project := config.get("workforce_pool_user_project"):
        options["workforce_pool_user_project"] = user_project
    source = config["credential_source"]
    try:
        if isinstance(supplier, AwsKeys):
            return aws.Credentials(aws_security_credentials_supplier=supplier, **options)
        if isinstance(supplier, KubernetesToken):
            return identity_pool.Credentials(subject_token_supplier=supplier, **options)
        if "environment_id" in source:
            return aws.Credentials(credential_source=source, **options)
        kind: Any = FileCredentials if "file" in source else identity_pool.Credentials
        return kind(credential_source=source, **options)
    except (exceptions.GoogleAuthError, ValueError, TypeError, AttributeError):
        raise InvalidSpecError(
            "spec.auth.workloadIdentityFederation: Google's library can't use these settings"
        ) from None
