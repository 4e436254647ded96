"""What a provider may raise. Each class answers one question: what should the caller do now?

::

    ProviderError
    ├── PermanentError                report; ask again only at the next refresh
    │   ├── NoSecretError             NOT_FOUND            absent: the target may be deleted
    │   ├── NoPropertyError           FAILED_PRECONDITION  the secret is there, the property is not
    │   ├── InvalidSpecError          INVALID_ARGUMENT     a manifest says what can't be
    │   ├── InvalidRequestError       INVALID_ARGUMENT     a call says what can't be
    │   ├── CredentialsError          UNAUTHENTICATED      the backend does not accept the credentials
    │   │   └── UnknownNamespaceError                      credentials depend on a caller not known yet
    │   ├── AccessDeniedError         PERMISSION_DENIED    known, but not allowed
    │   ├── MissingReferenceError     FAILED_PRECONDITION  an object, mount or project referred to is not there
    │   ├── ConflictError             FAILED_PRECONDITION  not ours, or changed meanwhile
    │   ├── TooLargeError             FAILED_PRECONDITION  over a size limit; trying again can't help
    │   └── UnsupportedError          UNIMPLEMENTED        this kind does not do that
    └── TemporaryError                UNAVAILABLE          the same call may work later
        ├── RateLimitedError          RESOURCE_EXHAUSTED   slow down
        │   └── OverloadedError                            this server is full, or the backend hangs
        └── DeadlineError             DEADLINE_EXCEEDED    the caller's own time is over

Anything else that a provider raises is a bug: the caller sees INTERNAL with a class name and a request id.

A message names the thing, the reason and the next step. It never holds a value, a token, an answer's body or a
traceback: whoever translates a library's exception writes the text anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar


class ProviderError(Exception):
    """The root: an error with a text for users and a code for programs.

    `code` is stable (it is `provider.v1.Error.code`), `status` is the name of the gRPC status code.
    """

    code: ClassVar[str] = "PERMANENT"
    status: ClassVar[str] = "FAILED_PRECONDITION"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, /, *, retry_after: float | None = None, details: Mapping[str, str] | None = None
    ) -> None:
        """`message` is for users; `retry_after` is in seconds; `details` name objects and fields, never values."""
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.details: Mapping[str, str] = MappingProxyType(dict(details or {}))

    def __str__(self) -> str:
        return self.message


class PermanentError(ProviderError):
    """The same call fails again until somebody changes something."""


class NoSecretError(PermanentError):
    """The backend itself says that there is no such secret or version. Under `deletionPolicy: Delete` the core then
    deletes the user's Secret, so nothing else may ever raise this: not a missing store, credential, mount or project.
    """

    code = "NO_SECRET"
    status = "NOT_FOUND"

    def __init__(self, key: str, /, *, version: str = "", details: Mapping[str, str] | None = None) -> None:
        """`key` and `version` are names as the user wrote them."""
        where = f" version {version!r}" if version else ""
        super().__init__(f"Secret does not exist: {key!r}{where}", details={"key": key, **(details or {})})
        self.key = key


class NoPropertyError(PermanentError):
    """The secret is there, the property asked of it is not."""

    code = "NO_PROPERTY"

    def __init__(self, key: str, prop: str, /) -> None:
        """`key` names the secret, `prop` the property as the user wrote it."""
        super().__init__(f"Secret {key!r} has no property {prop!r}", details={"key": key, "property": prop})


class InvalidSpecError(PermanentError):
    """A manifest says what can't be. The message names the object, the field and the fix."""

    code = "INVALID_SPEC"
    status = "INVALID_ARGUMENT"


class InvalidRequestError(PermanentError):
    """A call is malformed, or lacks what it needs."""

    code = "INVALID_REQUEST"
    status = "INVALID_ARGUMENT"


class CredentialsError(PermanentError):
    """The backend does not accept the credentials, or they can't be used as they are."""

    code = "CREDENTIALS"
    status = "UNAUTHENTICATED"


class UnknownNamespaceError(CredentialsError):
    """Credentials are to be read in the caller's namespace, and the caller is not known yet (a store that is validated
    on its own). Validate answers this as "valid, but not checked".
    """


class AccessDeniedError(PermanentError):
    """The caller is known and may not do this: a backend's policy, or the namespace rule."""

    code = "ACCESS_DENIED"
    status = "PERMISSION_DENIED"


class MissingReferenceError(PermanentError):
    """Something a manifest refers to is not there: a configuration object, a credentials Secret or a key of it, a mount,
    a project.
    """

    code = "MISSING_REFERENCE"


class ConflictError(PermanentError):
    """The object in the backend is not ours, or somebody changed it meanwhile. Nothing was written."""

    code = "CONFLICT"


class TooLargeError(PermanentError):
    """Over a size limit of the backend or of the wire."""

    code = "TOO_LARGE"


class UnsupportedError(PermanentError):
    """This kind, or this backend, does not do that."""

    code = "UNSUPPORTED"
    status = "UNIMPLEMENTED"


class TemporaryError(ProviderError):
    """The same call may work later: a time-out, a broken connection, a backend that is down."""

    code = "TEMPORARY"
    status = "UNAVAILABLE"
    retryable = True


class RateLimitedError(TemporaryError):
    """The backend asks to slow down."""

    code = "RATE_LIMITED"
    status = "RESOURCE_EXHAUSTED"


class OverloadedError(RateLimitedError):
    """This server has as many calls as it can hold, or the backend hangs. `retry_after` says when to come back."""

    code = "OVERLOADED"


class DeadlineError(TemporaryError):
    """The time that the caller gave is over."""

    code = "DEADLINE"
    status = "DEADLINE_EXCEEDED"
