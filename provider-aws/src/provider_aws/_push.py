"""What both stores have in common when they write: the mark of ownership, one property in a JSON document, and the order of
the steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, TypeVar

from provider_common import (
    ConflictError,
    Context,
    PushData,
    PushRemoteRef,
)
from provider_common.values import with_property
from pydantic import AfterValidator, StringConstraints

from provider_aws.spec import AwsStoreSpec

if TYPE_CHECKING:
    from provider_aws._client import Client

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
            f"{what[:1].upper()}{what[1:]} was not made by External Secrets: it is left as it is. To hand it over, tag it {OWNER_KEY}={OWNER}"
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


@dataclass(frozen=True, slots=True)
class Push:
    """One push, read and checked before AWS is asked."""

    name: str
    what: str
    property: str
    value: bytes = field(repr=False)

    def document(self, current: bytes = b"") -> bytes:
        """What is to be stored where `current` is."""
        return (
            with_property(current, self.property, self.value, what=self.what) if self.property else self.value
        )


PushT = TypeVar("PushT", bound=Push)


class Writer(ABC, Generic[PushT]):
    """Pushes and deletes through one client, for one store."""

    noun: ClassVar[str]
    """What the service calls a secret."""

    def __init__(self, ctx: Context[Any], client: Client) -> None:
        self._spec: AwsStoreSpec = ctx.spec
        self._client = client
        self._ctx = ctx

    def push(self, data: PushData) -> None:
        """Create it, or bring it up to date. Raises ConflictError for what is not ours."""
        push = self._prepare(data, self._spec.name_of(data.remote_key), f"{self.noun} {data.remote_key!r}")
        with self._ctx.changing(self.noun, self._spec.region, push.name):
            found = self._find(push.name, push.what) or self._create_or_find(push)
            if found is not None:
                self._update(push, found)

    def _create_or_find(self, push: PushT) -> dict[str, Any] | None:
        try:
            self._create(push)
        except ConflictError:
            # Made since: by another replica, or by this very call, the answer to which was lost.
            found = self._find(push.name, push.what)
            if found is None:
                raise
            return found
        return None

    def delete(self, ref: PushRemoteRef) -> None:
        """Remove one property, and the whole with its last one; without a property, the whole. What is absent or not ours
        stays as it is.
        """
        name, what = self._spec.name_of(ref.remote_key), f"{self.noun} {ref.remote_key!r}"
        with self._ctx.changing(self.noun, self._spec.region, name):
            # To remove the whole, its value need not be read: its KMS key may be gone already.
            found = self._find(name, what, decrypt=bool(ref.property))
            if found is not None:
                self._remove(name, what, ref.property, found)

    @abstractmethod
    def _prepare(self, data: PushData, name: str, what: str) -> PushT: ...

    @abstractmethod
    def _find(self, name: str, what: str, *, decrypt: bool = True) -> dict[str, Any] | None: ...

    @abstractmethod
    def _create(self, push: PushT) -> None: ...

    @abstractmethod
    def _update(self, push: PushT, found: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def _remove(self, name: str, what: str, prop: str, found: Mapping[str, Any]) -> None: ...
