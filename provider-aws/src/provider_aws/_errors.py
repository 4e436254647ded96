"""What an error code of AWS means: one table from code to our exceptions. botocore is not imported here.

AWS's own text is looked at to decide, and only a refusal's is passed on, shortened and without what changes from try to
try: it says which permission is missing. Everywhere else the text is ours, because AWS repeats what it was sent.

NoSecretError comes from a few codes only, and only of operations that read or delete: the same codes of a write may mean a missing
KMS key, and then nothing may be deleted for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from provider_common import (
    AccessDeniedError,
    ConflictError,
    CredentialsError,
    InvalidRequestError,
    InvalidSpecError,
    MissingReferenceError,
    NoSecretError,
    PermanentError,
    ProviderError,
    RateLimitedError,
    TemporaryError,
    TooLargeError,
    UnsupportedError,
)


class StaleCredentialsError(CredentialsError):
    """Credentials that were good once: a session that ended, a key that was replaced."""


class RevokedSessionError(AccessDeniedError):
    """A policy of the identity denies it by name. AWS revokes sessions in this way; those that come after are not denied."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a code means, and what to tell; `{what}` is what was asked for."""

    error: type[ProviderError]
    text: str
    says_why: bool = False
    """Pass on AWS's reason."""


def _rows(error: type[ProviderError], text: str, *codes: str, says_why: bool = False) -> dict[str, Row]:
    return {code: Row(error, text, says_why) for code in codes}


TABLE: Final = MappingProxyType(
    {
        # Every service.
        **_rows(
            AccessDeniedError,
            "AWS does not allow {what}: extend the policy of the role or user",
            "AccessDenied",
            "AccessDeniedException",
            "NotAuthorized",
            "UnauthorizedOperation",
            says_why=True,
        ),
        **_rows(
            AccessDeniedError,
            "This AWS account may not use the service asked for {what}: subscribe to it",
            "OptInRequired",
            "SubscriptionRequiredException",
        ),
        **_rows(
            StaleCredentialsError,
            "The AWS credentials are not valid (any more) (asked for {what}): renew them",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "InvalidToken",
            "UnrecognizedClientException",
        ),
        **_rows(
            CredentialsError,
            "AWS does not accept the signature of {what}: check the secret access key, and the clock of this machine",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
        ),
        **_rows(
            RateLimitedError,
            "AWS asks to slow down ({what})",
            "BandwidthLimitExceeded",
            "LimitExceeded",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "TransactionInProgressException",
        ),
        **_rows(
            TemporaryError,
            "AWS has trouble of its own with {what}",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServiceError",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServerException",
            "ServiceUnavailable",
            "ServiceUnavailableException",
        ),
        **_rows(
            InvalidRequestError,
            "AWS can't accept the request for {what} ({code}): check the name and the parameters",
            "InvalidAction",
            "InvalidNextToken",
            "InvalidNextTokenException",
            "InvalidParameterCombination",
            "InvalidParameterException",
            "InvalidParameterValue",
            "InvalidRequestException",
            "InvalidResourceId",
            "InvalidResourceType",
            "MalformedQueryString",
            "MissingParameter",
            "SerializationException",
            "ValidationError",
            "ValidationException",
        ),
        **_rows(UnsupportedError, "AWS does not do that: {what}", "UnsupportedCommandException"),
        # Secrets Manager.
        **_rows(
            MissingReferenceError,
            "AWS finds no resource for {what}: check the name, and the KMS key",
            "ResourceNotFoundException",
        ),
        **_rows(
            AccessDeniedError,
            "AWS can't decrypt {what}: allow kms:Decrypt for the secret's KMS key",
            "DecryptionFailure",
        ),
        **_rows(
            AccessDeniedError,
            "AWS can't encrypt {what}: check that the KMS key exists, is enabled and may be used",
            "EncryptionFailure",
        ),
        **_rows(
            ConflictError,
            "Somebody else made {what} meanwhile",
            "ResourceExistsException",
            "ParameterAlreadyExists",
        ),
        **_rows(
            TooLargeError,
            "AWS's limit of secrets, versions or size is reached with {what}",
            "LimitExceededException",
        ),
        **_rows(
            InvalidRequestError,
            "The resource policy for {what} is not valid",
            "MalformedPolicyDocument",
            "MalformedPolicyDocumentException",
        ),
        **_rows(
            ConflictError,
            "The resource policy for {what} is refused: it gives access to everybody",
            "PublicPolicyException",
        ),
        **_rows(
            ConflictError,
            "AWS Secrets Manager refuses {what}: another operation on it is not complete",
            "PreconditionNotMetException",
        ),
        # Parameter Store.
        **_rows(
            MissingReferenceError,
            "AWS finds no parameter for {what}",
            "ParameterNotFound",
            "ParameterVersionNotFound",
        ),
        **_rows(
            AccessDeniedError,
            "The KMS key of {what} can't be used: check that it exists, is enabled and allowed",
            "InvalidKeyId",
        ),
        **_rows(
            InvalidRequestError,
            "AWS can't search for {what} ({code}): check find.path and find.tags",
            "InvalidFilterKey",
            "InvalidFilterOption",
            "InvalidFilterValue",
        ),
        **_rows(
            TooLargeError,
            "AWS's limit of parameters, versions, levels, policies or tags is reached with {what} ({code})",
            "HierarchyLevelLimitExceededException",
            "ParameterLimitExceeded",
            "ParameterMaxVersionLimitExceeded",
            "PoliciesLimitExceededException",
            "TooManyTagsError",
        ),
        **_rows(RateLimitedError, "Too many changes at once ({what})", "TooManyUpdates"),
        **_rows(
            ConflictError,
            "{what} has another type: delete it first, or push with its type",
            "HierarchyTypeMismatchException",
        ),
        **_rows(
            InvalidRequestError,
            "The value does not have the form that {what} asks for",
            "InvalidAllowedPatternException",
            "ParameterPatternMismatchException",
            "UnsupportedParameterType",
        ),
        **_rows(
            InvalidRequestError,
            "The parameter policies for {what} are not valid ({code}): check metadata.spec.tier.policies",
            "IncompatiblePolicyException",
            "InvalidPolicyAttributeException",
            "InvalidPolicyTypeException",
        ),
        # STS.
        **_rows(
            InvalidSpecError,
            "STS refuses {what}: the session tags are too large; use fewer or shorter ones",
            "PackedPolicyTooLarge",
            "PackedPolicyTooLargeException",
        ),
        **_rows(
            InvalidSpecError,
            "STS is not active in this region ({what}): activate it in the account, or use another region",
            "RegionDisabledException",
        ),
        **_rows(
            CredentialsError,
            "STS does not accept the ServiceAccount's token ({what}, {code}): check the role's trust policy and the OIDC"
            " provider in IAM",
            "IDPRejectedClaim",
            "IDPRejectedClaimException",
            "InvalidIdentityToken",
            "InvalidIdentityTokenException",
        ),
        **_rows(
            TemporaryError,
            "STS can't reach the cluster's OIDC provider ({what})",
            "IDPCommunicationError",
            "IDPCommunicationErrorException",
        ),
    }
)

ABSENT: Final = frozenset(
    {
        ("GetSecretValue", "ResourceNotFoundException"),
        ("DescribeSecret", "ResourceNotFoundException"),
        ("DeleteSecret", "ResourceNotFoundException"),
        ("GetParameter", "ParameterNotFound"),
        ("GetParameter", "ParameterVersionNotFound"),
        ("DeleteParameter", "ParameterNotFound"),
    }
)
"""Operation and code that together say: there is no such secret or version."""

_DELETED = re.compile(r"marked for deletion|scheduled for deletion|currently marked deleted", re.IGNORECASE)
_DELETED_CODES = frozenset({"InvalidRequestException", "InvalidParameterException"})
_READS = frozenset({"GetSecretValue", "DescribeSecret", "DeleteSecret"})

_EXPLICIT_DENY = "explicit deny in an identity-based policy"

_REQUEST_ID = re.compile(r",?\s*\(?request ?id[:=]?\s*[-\w]+\)?,?", re.IGNORECASE)
_LONGEST_REASON = 400


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of AWS that is an error."""

    operation: str
    code: str
    message: str = field(default="", repr=False)
    status: int = 0
    retry_after: float | None = None


def translate(refusal: Refusal, what: str, *, key: str = "", version: str = "") -> ProviderError:
    """The exception for `refusal`. `what` names what was asked for; `key` and `version` name the secret that is read."""
    code = refusal.code
    if is_absent(refusal):
        return NoSecretError(key or what, version=version)
    if code in _DELETED_CODES and _DELETED.search(refusal.message):
        return ConflictError(f"AWS refuses {what}: it is scheduled for deletion; restore it, or wait")
    if refusal.operation == "AssumeRoleWithWebIdentity" and code in {"ExpiredToken", "ExpiredTokenException"}:
        code = "InvalidIdentityToken"  # what has ended is the ServiceAccount's token: there are no other credentials
    row = TABLE.get(code)
    if row is None:
        # Codes that nobody documented, and answers of proxies: the status decides.
        if refusal.status == 429:
            return RateLimitedError(f"AWS asks to slow down ({what})", retry_after=refusal.retry_after)
        if refusal.status == 408 or refusal.status >= 500:
            return TemporaryError(
                f"AWS answers {refusal.status} (asked for {what})", retry_after=refusal.retry_after
            )
        if code.isdigit() or not code:
            return PermanentError(
                f"Something that is not AWS answers {refusal.status} to the request for {what}: check the endpoint, and any"
                " proxy on the way"
            )
        return PermanentError(f"AWS refuses {what} ({safe_code(code)})")
    text = row.text.format(what=what, code=code)
    if row.says_why and (why := stable(refusal.message)):
        text = f"{text} (AWS: {why})"
    if row.error is AccessDeniedError and _EXPLICIT_DENY in refusal.message:
        return RevokedSessionError(text)
    return row.error(text, retry_after=refusal.retry_after if row.error.retryable else None)


def is_absent(refusal: Refusal) -> bool:
    """True when AWS says that there is no such secret or version, or that it is as good as deleted."""
    if (refusal.operation, refusal.code) in ABSENT:
        return True
    return (
        refusal.operation in _READS
        and refusal.code in _DELETED_CODES
        and _DELETED.search(refusal.message) is not None
    )


def stable(message: str) -> str:
    """AWS's text without what differs from try to try: request ids, and everything after ` Credential=`."""
    text = message.partition(" Credential=")[0]
    text = _REQUEST_ID.sub("", text)
    return " ".join(text.split())[:_LONGEST_REASON]


def safe_code(code: str) -> str:
    """A code that a message may hold: AWS's are one word."""
    return code if re.fullmatch(r"[A-Za-z0-9.:_-]{1,80}", code) else "no code"
