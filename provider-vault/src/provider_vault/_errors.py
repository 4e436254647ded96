"""What an answer of Vault means: one table from status and reason to our exceptions.

Vault's own texts are looked at to decide, and never passed on: they may repeat what was sent. NoSecretError is not in
this table on purpose. Only the KV readers raise it, where they know that the mount is the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_common import (
    AccessDeniedError,
    ConflictError,
    CredentialsError,
    InvalidRequestError,
    InvalidSpecError,
    MissingReferenceError,
    PermanentError,
    ProviderError,
    RateLimitedError,
    TemporaryError,
    TooLargeError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from provider_vault._http import Answer


LONGEST_NAME = 250
"""Characters of a name in a message: a caller's default limit for metadata has to hold the whole error."""


class LostAnswerError(TemporaryError):
    """No answer came, and the request may have been carried out: not to be repeated when that would do harm."""


class ChangedMeanwhileError(ConflictError):
    """Somebody wrote between our read and our write; reading again may solve it."""


def quoted(name: str) -> str:
    """A name for a message: control characters escaped, the middle left out when it is long."""
    return repr(name if len(name) <= LONGEST_NAME else f"{name[:150]}...{name[-50:]}")


@dataclass(frozen=True, slots=True)
class Row:
    """A status, a reason that Vault gives (empty: any), and what it means. `{what}` is what was asked for."""

    status: int
    reason: str
    error: type[ProviderError]
    text: str

    @property
    def id(self) -> str:
        """A readable name for tests."""
        return f"{self.status} {self.reason}".strip()


INVALID_TOKEN = "invalid token"  # noqa: S105 - Vault's reason, not a token
NO_ROUTE = "no handler for route"
WRONG_VERSION = "Invalid path for a versioned K/V"

TABLE: tuple[Row, ...] = (
    Row(
        400,
        "check-and-set parameter did not match",
        ChangedMeanwhileError,
        "Somebody else changed {what} meanwhile",
    ),
    Row(
        400,
        "Upgrading from non-versioned",
        TemporaryError,
        "Vault is still making the mount of {what} a versioned one",
    ),
    Row(400, "missing client token", CredentialsError, "Vault wants a token for {what}: give spec.auth"),
    Row(
        400,
        "",
        InvalidRequestError,
        "Vault can't accept the request for {what}: check names, version and parameters",
    ),
    Row(401, "", CredentialsError, "Access to {what} needs credentials that were not accepted"),
    Row(403, INVALID_TOKEN, CredentialsError, "The Vault token is not valid any more (asked for {what})"),
    Row(403, "", AccessDeniedError, "Vault does not allow {what}: extend the policy of the token or role"),
    Row(404, NO_ROUTE, MissingReferenceError, "Vault has no mount for {what}: correct spec.path or the key"),
    Row(
        404,
        WRONG_VERSION,
        InvalidSpecError,
        "{what} is on a KV v2 mount, but spec.version is v1: set version: v2",
    ),
    Row(404, "", MissingReferenceError, "There is nothing at {what}"),
    Row(405, "", UnsupportedError, "Vault does not support that operation on {what}"),
    Row(412, "", TemporaryError, "This Vault node has not caught up yet (asked for {what})"),
    Row(413, "", TooLargeError, "{what} is too large for this Vault"),
    Row(429, "", RateLimitedError, "Vault asks to slow down ({what})"),
    # A gateway's words: what it waited for, Vault may have done.
    Row(502, "", LostAnswerError, "A gateway in front of Vault got no answer (asked for {what})"),
    Row(504, "", LostAnswerError, "A gateway in front of Vault got no answer in time (asked for {what})"),
    Row(
        472,
        "",
        TemporaryError,
        "This Vault is a disaster-recovery secondary and answers nothing (asked for {what})",
    ),
    Row(473, "", TemporaryError, "This Vault node is a performance standby that can't answer {what}"),
    Row(
        500,
        "exceeds allowed",
        TooLargeError,
        "{what} goes beyond this Vault's limits for JSON: the length of a text, the depth, or the number of entries",
    ),
    Row(501, "", MissingReferenceError, "This Vault is not initialized"),
    Row(503, "Vault is sealed", TemporaryError, "Vault is sealed: it answers again once it is unsealed"),
    Row(503, "", TemporaryError, "Vault is not available (asked for {what})"),
)

LOGIN_TABLE: tuple[Row, ...] = (
    Row(
        400,
        "",
        CredentialsError,
        "Vault refuses the {what}: check role, credentials and the method's configuration",
    ),
    Row(401, "", CredentialsError, "Vault refuses the {what}: check the credentials"),
    Row(
        403,
        "",
        CredentialsError,
        "Vault refuses the {what}: check credentials, and that the method is mounted there",
    ),
    Row(
        404, "", MissingReferenceError, "Vault has no such auth method for the {what}: correct its mount path"
    ),
)


def refusal(answer: Answer, what: str, *, login: bool = False) -> ProviderError:
    """The exception of an answer that is not 2xx. `what` names what was asked for, in the words of the manifest."""
    if answer.body is None and (answer.status < 300 or answer.status in {400, 404, 405}):
        return MissingReferenceError(
            f"What answers {answer.status} for {what} is no Vault: check spec.server"
        )
    rows = (*LOGIN_TABLE, *TABLE) if login else TABLE
    for row in rows:
        if row.status == answer.status and (not row.reason or answer.says(row.reason)):
            return row.error(row.text.format_map({"what": what}), retry_after=answer.retry_after)
    if answer.status >= 500:
        return TemporaryError(
            f"Vault answers {answer.status} (asked for {what})", retry_after=answer.retry_after
        )
    return PermanentError(f"Vault answers {answer.status} (asked for {what})")
