"""Google's answers in the SDK's terms: one table from gRPC status codes to exceptions, and the texts.

The texts are ours: Google's carry request ids, and whatever was sent to it. NOT_FOUND is the word with consequences, so
it becomes NoSecretError only for calls that ask for one secret, and only when Google's text names that secret: an
absent project or location is something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from provider_common import (
    AccessDeniedError,
    ConflictError,
    CredentialsError,
    InvalidRequestError,
    MissingReferenceError,
    NoSecretError,
    PermanentError,
    ProviderError,
    RateLimitedError,
    TemporaryError,
    TooLargeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError

EXCEPTIONS: Mapping[grpc.StatusCode, type[ProviderError]] = {
    grpc.StatusCode.CANCELLED: TemporaryError,
    grpc.StatusCode.UNKNOWN: TemporaryError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.DEADLINE_EXCEEDED: TemporaryError,
    grpc.StatusCode.NOT_FOUND: MissingReferenceError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.PERMISSION_DENIED: AccessDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimitedError,
    grpc.StatusCode.FAILED_PRECONDITION: PermanentError,
    grpc.StatusCode.ABORTED: TemporaryError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
    grpc.StatusCode.INTERNAL: TemporaryError,
    grpc.StatusCode.UNAVAILABLE: TemporaryError,
    grpc.StatusCode.DATA_LOSS: PermanentError,
    grpc.StatusCode.UNAUTHENTICATED: CredentialsError,
}
"""What each code becomes; NOT_FOUND may become NoSecretError, see `translate`."""

_ELSEWHERE = re.compile(
    r"^\W*(?:the |resource )*(?:requested )?(?:project|location|region|parent|key)\b", re.IGNORECASE
)
_PERMISSIONS = {
    "GetSecret": "secretmanager.secrets.get",
    "ListSecrets": "secretmanager.secrets.list",
    "CreateSecret": "secretmanager.secrets.create",
    "UpdateSecret": "secretmanager.secrets.update",
    "DeleteSecret": "secretmanager.secrets.delete",
    "AccessSecretVersion": "secretmanager.versions.access",
    "ListSecretVersions": "secretmanager.versions.list",
    "AddSecretVersion": "secretmanager.versions.add",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of Google: the call, where, and of which secret (if it is about one)."""

    call: str
    project: str
    location: str = ""
    key: str = ""
    version: str = ""

    @property
    def where(self) -> str:
        """The place in words."""
        return f"project {self.project!r}" + (f", location {self.location!r}" if self.location else "")

    def __str__(self) -> str:
        of = f" of {self.key!r}" if self.key else ""
        return f"{self.call}{of} in {self.where}"


class UnusableVersionError(PermanentError):
    """The version asked for is disabled or destroyed."""


def translate(error: GoogleAPICallError, asked: Asked) -> ProviderError:
    """The exception for Google's answer to `asked`."""
    code = error.grpc_status_code or grpc.StatusCode.UNKNOWN
    text = error.message or ""
    special = _SPECIAL.get(code)
    if special is not None and (found := special(error, text, asked)) is not None:
        return found
    made = EXCEPTIONS[code]
    retry_after = _retry_after(error) if issubclass(made, TemporaryError) else None
    return made(f"{asked}: {REASONS[code]}", retry_after=retry_after)


def _not_found(_: GoogleAPICallError, text: str, asked: Asked) -> ProviderError | None:
    named = re.search(rf"/secrets/{re.escape(asked.key)}(?![\w-])", text)
    if asked.key and named and not _ELSEWHERE.search(text):
        return NoSecretError(asked.key, version=asked.version)
    return None


def _denied(error: GoogleAPICallError, _: str, asked: Asked) -> ProviderError | None:
    match error.reason:
        case "CONSUMER_INVALID" | "RESOURCE_PROJECT_INVALID":
            return MissingReferenceError(f"{asked}: Google knows no such project: correct projectID")
        case "SERVICE_DISABLED":
            return AccessDeniedError(
                f"{asked}: the Secret Manager API is off in that project: enable secretmanager.googleapis.com"
            )
        case "BILLING_DISABLED":
            return AccessDeniedError(f"{asked}: billing is off in that project")
    needed = _PERMISSIONS.get(asked.call, "the permission")
    return AccessDeniedError(f"{asked} is not allowed: grant {needed} to the store's identity")


def _exhausted(_: GoogleAPICallError, text: str, asked: Asked) -> ProviderError | None:
    if "larger than max" in text:
        return TooLargeError(f"{asked}: the answer is too large")
    return None


def _precondition(_: GoogleAPICallError, text: str, asked: Asked) -> ProviderError | None:
    for state in ("DESTROYED", "DISABLED"):
        if f"{state} state" in text:
            version = asked.version or "latest"
            return UnusableVersionError(
                f"Version {version!r} of secret {asked.key!r} is {state.lower()}: enable it, ask for another version,"
                " or set secretVersionSelectionPolicy: LatestOrFetch"
            )
    if "etag" in text.lower():
        return TemporaryError(f"{asked}: somebody changed it at the same moment")
    return None


_SPECIAL = {
    grpc.StatusCode.NOT_FOUND: _not_found,
    grpc.StatusCode.PERMISSION_DENIED: _denied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _exhausted,
    grpc.StatusCode.FAILED_PRECONDITION: _precondition,
}

REASONS: Mapping[grpc.StatusCode, str] = {
    grpc.StatusCode.CANCELLED: "the connection to Google was given up",
    grpc.StatusCode.UNKNOWN: "Google answers an unknown error",
    grpc.StatusCode.INVALID_ARGUMENT: "Google does not accept what was asked: check names, labels and annotations",
    grpc.StatusCode.DEADLINE_EXCEEDED: "Google does not answer in time",
    grpc.StatusCode.NOT_FOUND: "the project or location is not there: correct projectID and location",
    grpc.StatusCode.ALREADY_EXISTS: "it is there already",
    grpc.StatusCode.PERMISSION_DENIED: "not allowed",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "a quota is used up (see Quotas in the Google Cloud console)",
    grpc.StatusCode.FAILED_PRECONDITION: "Google refuses it in the secret's present state",
    grpc.StatusCode.ABORTED: "somebody changed it at the same moment",
    grpc.StatusCode.OUT_OF_RANGE: "Google does not accept what was asked",
    grpc.StatusCode.UNIMPLEMENTED: "this endpoint does not do that: check the location and the endpoint",
    grpc.StatusCode.INTERNAL: "Google answers an internal error",
    grpc.StatusCode.UNAVAILABLE: "Google can't be reached",
    grpc.StatusCode.DATA_LOSS: "Google has lost data",
    grpc.StatusCode.UNAUTHENTICATED: "Google does not accept the access token: check the identity and its key",
}


def _retry_after(error: GoogleAPICallError) -> float | None:
    from google.rpc.error_details_pb2 import RetryInfo

    for detail in error.details:
        if isinstance(detail, RetryInfo):
            return detail.retry_delay.ToTimedelta().total_seconds()
    return None
