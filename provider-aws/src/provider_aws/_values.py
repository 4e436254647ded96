"""Values, versions and tags in AWS's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_common import PermanentError

CURRENT = "AWSCURRENT"


def version_of(version: str) -> dict[str, Any]:
    """Parameters of GetSecretValue: `uuid/<id>` is a version's id; anything else names a stage."""
    if version.startswith("uuid/"):
        return {"VersionId": version.removeprefix("uuid/")}
    return {"VersionStage": version or CURRENT}


def value_of(answer: Mapping[str, Any], key: str) -> bytes:
    """The value in an answer: AWS keeps either text or bytes. Raises PermanentError when there is neither."""
    text: str | None = answer.get("SecretString")
    if text is not None:
        return text.encode()
    binary: bytes | None = answer.get("SecretBinary")
    if binary is None:
        raise PermanentError(f"Secret {key!r} has neither text nor bytes")
    return binary


def tags_of(found: Mapping[str, Any], field: str = "Tags") -> dict[str, str]:
    """AWS's list of tags as a mapping."""
    return {tag["Key"]: tag.get("Value", "") for tag in found.get(field) or ()}
