"""Which kinds one provider serves: canonical names and aliases, stores and generators. Made once at start; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from provider_common.errors import InvalidRequestError
from provider_common.generator import GeneratorV2
from provider_common.kube import ServedType
from provider_common.provider import ProviderV2, implements
from provider_common.spec import GENERATOR_API_VERSION, STORE_API_VERSION, Spec, plural_of

Role = Literal["store", "generator"]
ClassT = TypeVar("ClassT", bound=type[Any])

_READS = {"get_secret": ("GetSecret", "GetSecretMap"), "get_all_secrets": ("GetAllSecrets",)}
_WRITES = {"push_secret": "PushSecret", "delete_secret": "DeleteSecret", "secret_exists": "SecretExists"}


@dataclass(frozen=True, slots=True)
class Kind(Generic[ClassT]):
    """One name under which a store or generator class is served."""

    role: Role
    cls: ClassT
    spec: type[Spec]
    api_version: str
    kind: str
    plural: str
    alias_of: str = ""
    faulty: bool = False
    """True for a kind made for tests, whose class has a `fault` method."""

    @property
    def title(self) -> str:
        """GROUP/VERSION/KIND."""
        return f"{self.api_version}/{self.kind}"

    @property
    def capabilities(self) -> str:
        """ReadOnly, WriteOnly or ReadWrite; empty for a generator."""
        return self.cls.capabilities() if self.role == "store" else ""

    @property
    def methods(self) -> tuple[str, ...]:
        """The RPCs that the class implements."""
        if self.role == "generator":
            return ("Generate", "Cleanup") if self.cls.keeps_state() else ("Generate",)
        reads = [name for method, names in _READS.items() if implements(self.cls, method) for name in names]
        writes = [name for method, name in _WRITES.items() if implements(self.cls, method)]
        return (*reads, *writes, "Validate", "Capabilities")


StoreKind = Kind[type[ProviderV2[Any]]]
GeneratorKind = Kind[type[GeneratorV2[Any]]]


class Catalog:
    """All kinds of one provider, by group/version and kind."""

    def __init__(self, *classes: type[ProviderV2[Any] | GeneratorV2[Any]]) -> None:
        """Raises TypeError for a class that is neither a store nor a generator, ValueError for a name given twice."""
        self._stores: dict[tuple[str, str], StoreKind] = {}
        self._generators: dict[tuple[str, str], GeneratorKind] = {}
        for cls in classes:
            if not isinstance(cls, type):  # what a type checker can't promise of a caller without one
                raise TypeError(f"{cls!r} is not a class")
            if issubclass(cls, ProviderV2):
                for store in _names("store", cls, cls.spec, STORE_API_VERSION):
                    _add(self._stores, store)
            elif issubclass(cls, GeneratorV2):
                for generator in _names("generator", cls, cls.spec, GENERATOR_API_VERSION):
                    _add(self._generators, generator)
            else:
                raise TypeError(f"{cls!r} is neither a ProviderV2 nor a GeneratorV2 class")

    def __iter__(self) -> Iterator[Kind[Any]]:
        yield from self._stores.values()
        yield from self._generators.values()

    @property
    def has_stores(self) -> bool:
        """True when at least one kind is a store."""
        return bool(self._stores)

    @property
    def has_generators(self) -> bool:
        """True when at least one kind is a generator."""
        return bool(self._generators)

    def store(self, api_version: str, kind: str) -> StoreKind:
        """The store kind of that name. Raises InvalidRequestError naming what is served."""
        found = self._stores.get((api_version, kind))
        return found if found is not None else _refuse(api_version, kind, self._stores, "store")

    def generator(self, api_version: str, kind: str) -> GeneratorKind:
        """The generator kind of that name. Raises InvalidRequestError naming what is served."""
        found = self._generators.get((api_version, kind))
        return found if found is not None else _refuse(api_version, kind, self._generators, "generator")

    def types(self) -> tuple[ServedType, ...]:
        """What to watch: every name, aliases as optional ones."""
        return tuple(
            ServedType(kind.api_version, kind.kind, kind.plural, optional=bool(kind.alias_of))
            for kind in self
        )


def _names(role: Role, cls: ClassT, spec: type[Spec], default: str) -> Iterator[Kind[ClassT]]:
    api_version = spec.api_version or default
    faulty = hasattr(cls, "fault")
    yield Kind(role, cls, spec, api_version, spec.kind, spec.plural_name(), faulty=faulty)
    for alias in spec.aliases:
        plural = alias.plural or plural_of(alias.kind)
        yield Kind(
            role, cls, spec, alias.api_version, alias.kind, plural, f"{api_version}/{spec.kind}", faulty
        )


def _add(names: dict[tuple[str, str], Kind[ClassT]], kind: Kind[ClassT]) -> None:
    key = (kind.api_version, kind.kind)
    if key in names:
        raise ValueError(f"{kind.title} is served by {names[key].cls.__name__} and by {kind.cls.__name__}")
    names[key] = kind


def _refuse(
    api_version: str, kind: str, names: dict[tuple[str, str], Kind[ClassT]], role: Role
) -> Kind[ClassT]:
    if api_version.count("/") != 1 or not all(api_version.split("/")):
        raise InvalidRequestError(
            f"providerRef.apiVersion {api_version!r} has to be GROUP/VERSION",
            details={"apiVersion": api_version},
        )
    served = ", ".join(sorted(entry.title for entry in names.values())) or "none"
    raise InvalidRequestError(
        f"This provider serves no {role} {api_version}/{kind}; it serves: {served}. "
        "Correct providerRef, or the address of the provider",
        details={"apiVersion": api_version, "kind": kind},
    )
