"""`ProviderV2`: the interface of a store. Implement what the backend can do; the SDK does the rest.

Capabilities follow from what is implemented: no `push_secret`, read-only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Literal, Self, TypeVar

from provider_common.context import Context
from provider_common.errors import NoPropertyError, UnsupportedError
from provider_common.requests import Find, PushData, PushRemoteRef, RemoteRef
from provider_common.spec import Spec, spec_type
from provider_common.values import select_property, to_map

SpecT = TypeVar("SpecT", bound=Spec)
Capabilities = Literal["ReadOnly", "WriteOnly", "ReadWrite"]


class ProviderV2(ABC, Generic[SpecT]):
    """One backend opened with one spec and one set of credentials. The SDK keeps it open, shares it between threads,
    and closes it when the spec or a credential changes, or when nobody uses it.

    Every method may raise any class of `provider_common.errors`.
    """

    spec: ClassVar[type[Spec]]
    """The model in `ProviderV2[Model]`."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        model = spec_type(cls, ProviderV2)
        if model is not None:
            cls.spec = model

    @classmethod
    def depends_on_caller(cls, spec: SpecT) -> bool:  # noqa: ARG003 - for those who decide by it
        """True when what `open` makes of `spec` depends on `ctx.source_namespace`: one store per caller's namespace is
        kept then. By default one store serves them all.
        """
        return False

    @classmethod
    @abstractmethod
    def open(cls, ctx: Context[SpecT]) -> Self:
        """Make the store: read the credentials, build the client. Called once per spec and set of credentials."""

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The whole secret of (key, version), or its metadata as JSON with `metadata_policy` Fetch. `ref.property` is
        always empty here: the SDK applies it to the answer, so that one read serves many properties.

        Raises NoSecretError only when the backend says so.
        """
        raise UnsupportedError(f"{type(self).__name__} does not read secrets (asked for {ref.key!r})")

    def select(self, ref: RemoteRef, value: bytes) -> bytes:
        """`ref.property` of a secret that `get_secret` returned. By default a gjson path into JSON, where a key that
        literally holds the dots wins. Raises NoPropertyError.
        """
        found = select_property(value, ref.property)
        if found is None:
            raise NoPropertyError(ref.key, ref.property)
        return found

    def to_map(self, ref: RemoteRef, value: bytes) -> Mapping[str, bytes]:
        """The members of a secret, or of the property selected from it. By default of a JSON object: strings as text,
        everything else as its JSON source.
        """
        return to_map(value, what=f"{ref.key} ({ref.property})" if ref.property else ref.key)

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Names and whole values of what `find` selects; nothing found is an empty mapping. A secret that vanishes
        between list and read is skipped, never NoSecretError.
        """
        raise UnsupportedError(f"{type(self).__name__} does not find secrets (find)")

    def push_secret(self, data: PushData) -> None:
        """Write `data.value()`. Overwrite nothing that is not ours (ConflictError); write nothing that is there already."""
        raise UnsupportedError(f"{type(self).__name__} does not write secrets (push of {data.remote_key!r})")

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Remove what `push_secret` wrote. What is absent, or not ours, stays as it is, and that is a success."""
        raise UnsupportedError(
            f"{type(self).__name__} does not delete secrets (delete of {ref.remote_key!r})"
        )

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when the backend has it."""
        raise UnsupportedError(f"{type(self).__name__} can't tell whether {ref.remote_key!r} exists")

    def validate(self) -> Sequence[str]:
        """Check cheaply that the credentials work. Returns warnings for the user; raises when the store can't work."""
        return ()

    def close(self) -> None:
        """Let go of connections and tokens. Called once, when no call uses the store any more."""

    @classmethod
    def capabilities(cls) -> Capabilities:
        """What this kind can do, by what is implemented. Needs no store and does no I/O."""
        reads = implements(cls, "get_secret") or implements(cls, "get_all_secrets")
        writes = implements(cls, "push_secret")
        if writes:
            return "ReadWrite" if reads else "WriteOnly"
        return "ReadOnly"


def implements(store: type[ProviderV2[SpecT]], method: str) -> bool:
    """True when `store` gives its own `method`."""
    return getattr(store, method) is not getattr(ProviderV2, method)
