"""Contract versions: the same major works across minors, another major is refused, none means the Go baseline."""

from __future__ import annotations

import re
from functools import lru_cache

import grpc
from provider_proto import CONTRACT_VERSION, CONTRACT_VERSION_KEY

from provider_common.errors import InvalidRequestError, PermanentError

OURS = ".".join(map(str, CONTRACT_VERSION))
OUR_METADATA = ((CONTRACT_VERSION_KEY, OURS),)
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
SPOKEN = tuple(f"{CONTRACT_VERSION[0]}.{minor}" for minor in range(CONTRACT_VERSION[1], -1, -1))
"""Every version this side speaks, newest first."""


class ContractVersionError(PermanentError):
    """The caller speaks another major version of the contract."""

    code = "CONTRACT_VERSION"


def check(context: grpc.ServicerContext) -> None:
    """Accept the caller's contract version, or raise ContractVersionError naming both versions and what to upgrade."""
    for key, value in context.invocation_metadata():
        if key == CONTRACT_VERSION_KEY:
            _check(value)


@lru_cache(maxsize=64)
def _check(theirs: str | bytes) -> None:
    text = theirs if isinstance(theirs, str) else theirs.decode(errors="replace")
    found = _VERSION.fullmatch(text)
    if found is None:
        raise InvalidRequestError(f"metadata {CONTRACT_VERSION_KEY} has to be MAJOR.MINOR, such as {OURS}")
    major = int(found[1])
    if major != CONTRACT_VERSION[0]:
        older = "the core" if major < CONTRACT_VERSION[0] else "this provider"
        raise ContractVersionError(
            f"The core speaks contract version {text}, this provider {OURS}: upgrade {older}",
            details={"core": text, "provider": OURS},
        )
