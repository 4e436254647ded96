"""What must not type-check. mypy reports an ignore that is not needed, so each line here proves that its error is found."""

from __future__ import annotations

from typing import ClassVar, Self

from provider_common import Context, Generated, GeneratorV2, ProviderV2, RemoteRef, Spec


class OneSpec(Spec):
    """A spec."""

    kind: ClassVar = "One"
    size: int = 1


class Wrong(ProviderV2[OneSpec]):
    """Mistakes that authors make."""

    @classmethod
    def open(cls, ctx: Context[OneSpec]) -> Self:
        ctx.spec.colour  # type: ignore[attr-defined]  # noqa: B018
        ctx.spec.size = 2  # type: ignore[misc]
        return cls()

    def get_secret(self, ref: RemoteRef) -> str:  # type: ignore[override]
        ref.key = "other"  # type: ignore[misc]
        return ref.key


class WrongGenerator(GeneratorV2[OneSpec]):
    """Text where bytes belong."""

    def generate(self, ctx: Context[OneSpec]) -> Generated:
        return Generated({"a": "text"})  # type: ignore[dict-item]


class NotASpec:
    """No spec at all."""


class OfNothing(ProviderV2[NotASpec]):  # type: ignore[type-var]
    """A store has to have a spec."""
