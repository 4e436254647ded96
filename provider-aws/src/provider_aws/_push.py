"""What both stores have in common when they write: the mark of ownership, and one property in a JSON document."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Final

from provider_common import ConflictError, DeadlineError, remaining
from provider_common.values import gjson, sjson
from pydantic import AfterValidator, StringConstraints

OWNER_KEY: Final = "managed-by"
OWNER: Final = "external-secrets"
DESCRIPTION: Final = "secret 'managed-by:external-secrets'"


def _not_ours(tags: dict[str, str]) -> dict[str, str]:
    if OWNER_KEY in tags:
        raise ValueError(f"{OWNER_KEY} is the mark of External Secrets and is added by itself: remove it")
    return tags


Tags = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=128)], Annotated[str, StringConstraints(max_length=256)]],
    AfterValidator(_not_ours),
]  # fmt: skip
"""Tags as a user gives them."""


def owned(tags: Mapping[str, str]) -> bool:
    """True for what `push_secret` made."""
    return tags.get(OWNER_KEY) == OWNER


def check_owner(what: str, tags: Mapping[str, str]) -> None:
    """Raises ConflictError for what somebody else made."""
    if not owned(tags):
        raise ConflictError(
            f"{what} was not made by External Secrets: it is left as it is. To hand it over, tag it {OWNER_KEY}={OWNER}"
        )


def with_owner(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags to write."""
    return {**tags, OWNER_KEY: OWNER}


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in AWS's form, sorted."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def surplus(tags: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Keys to remove. Those that AWS itself sets can't be."""
    return sorted(key for key in tags if key not in wanted and not key.startswith("aws:"))


def merged(what: str, document: bytes, prop: str, value: bytes) -> bytes:
    """`document` with the string `value` at `prop`; nothing at all counts as an empty object.

    Raises ConflictError when it is not JSON: writing would destroy it.
    """
    if document.strip() and gjson.get(document, "@valid") is None:
        raise ConflictError(
            f"{what} is not JSON, so it can't take the property {prop!r}: push the whole value, or start anew"
        )
    return sjson.set_string(document if document.strip() else b"{}", prop, value)


def without(document: bytes, prop: str) -> bytes | None:
    """`document` without `prop`, unchanged when that is not there; None when nothing else is left."""
    if gjson.get(document, "@valid") is None:
        return document
    rest = sjson.delete(document, prop)
    return None if rest != document and rest.strip() in {b"{}", b"[]"} else rest


class Locks:
    """Within this process, changes of one secret come one after the other: AWS has no compare-and-set."""

    def __init__(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(32))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Hold the lock of `name`. Raises DeadlineError when the caller's time ends first."""
        lock = self._locks[hash(name) % len(self._locks)]
        if not lock.acquire(timeout=remaining()):
            raise DeadlineError(
                "The time that the caller gave is over; another change of the same secret is under way"
            )
        try:
            yield
        finally:
            lock.release()
