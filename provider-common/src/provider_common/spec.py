"""What a user writes under `spec`, as typed models. The same models make the CRDs (see `crd`).

Specs are strict: an unknown field, or a string where a number belongs, is an error that names the field.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from provider_common.errors import InvalidSpecError

STORE_API_VERSION = "provider.secretstore.external-secrets.io/v2alpha1"
GENERATOR_API_VERSION = "provider.generator.external-secrets.io/v2alpha1"

# The bounds that Kubernetes itself sets for names of objects, of namespaces, and of keys in a Secret.
ObjectName = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
NamespaceName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
DataKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a kind, with the same spec: one provider then serves both."""

    api_version: str
    kind: str
    plural: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule over the fields of a model, for the CRD. The model's own validator has to say the same."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"


class Block(BaseModel):
    """A part of a spec. Fields are snake_case here and camelCase in the manifest; unknown fields are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()


class Spec(Block):
    """`spec` of one kind. Its docstring is the CRD's description."""

    kind: ClassVar[str]
    api_version: ClassVar[str] = ""
    """Empty means the group of our stores or generators, by what the spec is used for."""
    plural: ClassVar[str] = ""
    """Empty means the usual English plural of the kind."""
    aliases: ClassVar[tuple[Alias, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = ()

    @classmethod
    def plural_name(cls) -> str:
        """The name in API paths and in the CRD's name."""
        return cls.plural or plural_of(cls.kind)

    @classmethod
    def parse(cls, spec: Mapping[str, Any], *, where: str) -> Self:
        """The model of a manifest's `spec`; `where` names the object in the error.

        Raises InvalidSpecError naming the object, the field and the reason, never the value found there.
        """
        try:
            # JSON mode: strict about types, yet a date or bytes may be written as text, as they are in a manifest.
            return cls.model_validate_json(json.dumps(spec), strict=True)
        except ValidationError as error:
            raise InvalidSpecError(f"{where}: {_explain(error)}") from None
        except (TypeError, ValueError):
            raise InvalidSpecError(f"{where}: spec can't be expressed as JSON") from None


class OneOf(Block):
    """Alternatives, each a small model of its own: exactly one is given. A new way is a new field and a new class.

    Fields named in `shared` are not alternatives. With `required = False` giving none is fine.
    """

    required: ClassVar[bool] = True
    shared: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def alternatives(cls) -> tuple[str, ...]:
        """The alternatives' field names, in the order of the class."""
        return tuple(name for name in cls.model_fields if name not in cls.shared)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in self.alternatives() if getattr(self, name) is not None]
        names = [type(self).model_fields[name].alias or name for name in self.alternatives()]
        if len(given) > 1 or (self.required and not given):
            number = "exactly one" if self.required else "at most one"
            raise ValueError(f"{number} of {', '.join(names)} has to be given, not {len(given)}")
        return self

    @property
    def chosen(self) -> Any:
        """The alternative that is given; None when none is."""
        return next((v for name in self.alternatives() if (v := getattr(self, name)) is not None), None)


class Selector(Block):
    """A reference that leads to a credential. Only the AuthResolver follows it, within the namespace rule."""

    name: ObjectName
    namespace: NamespaceName | None = None


class SecretKeySelector(Selector):
    """One key of a Secret."""

    key: DataKey


class ConfigMapKeySelector(Selector):
    """One key of a ConfigMap."""

    key: DataKey


class ServiceAccountSelector(Selector):
    """A ServiceAccount, and further audiences for its tokens."""

    audiences: tuple[str, ...] = ()


class CAProvider(Selector):
    """One key of a Secret or a ConfigMap that holds CA certificates in PEM."""

    type: Literal["Secret", "ConfigMap"]
    key: DataKey | None = None


def selectors(block: BaseModel, path: str = "spec") -> Iterator[tuple[str, Selector]]:
    """Every selector in `block`, with the path of its field in the manifest."""
    for name, info in type(block).model_fields.items():
        field = f"{path}.{info.alias or name}"
        yield from _selectors_in(getattr(block, name), field)


def _selectors_in(value: Any, path: str) -> Iterator[tuple[str, Selector]]:
    if isinstance(value, Selector):
        yield path, value
    if isinstance(value, BaseModel):
        yield from selectors(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _selectors_in(item, f"{path}.{key}")
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _selectors_in(item, f"{path}[{index}]")


ModelT = TypeVar("ModelT", bound=Spec)


def spec_type(cls: type, base: type) -> type[Spec] | None:
    """The model in `class cls(base[Model])`, also where a generic class stands between; None when `cls` only inherits it."""
    for parent in vars(cls).get("__orig_bases__", ()):
        origin = typing.get_origin(parent)
        if isinstance(origin, type) and issubclass(origin, base):
            for argument in typing.get_args(parent):
                if isinstance(argument, type) and issubclass(argument, Spec):
                    return argument
    return None


def plural_of(kind: str) -> str:
    """`kind` in lower case and in the plural, as kubebuilder forms it."""
    lower = kind.lower()
    if lower.endswith(("s", "x", "ch", "sh")):
        return f"{lower}es"
    if lower.endswith("y") and lower[-2:-1] not in tuple("aeiou"):
        return f"{lower[:-1]}ies"
    return f"{lower}s"


def _explain(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = "spec" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in item["loc"])
        match item["type"]:
            case "missing":
                text = "is required"
            case "extra_forbidden":
                text = "is not a field of this kind: remove it or correct its spelling"
            case "value_error":
                text = item["msg"].removeprefix("Value error, ")
            case _:
                text = item["msg"][:1].lower() + item["msg"][1:]
        problems.append(f"{field}: {text}")
    return "; ".join(problems)


__all__ = [
    "GENERATOR_API_VERSION",
    "STORE_API_VERSION",
    "Alias",
    "Block",
    "CAProvider",
    "Column",
    "ConfigMapKeySelector",
    "DataKey",
    "Field",
    "NamespaceName",
    "ObjectName",
    "OneOf",
    "Rule",
    "SecretKeySelector",
    "Selector",
    "ServiceAccountSelector",
    "Spec",
    "plural_of",
    "selectors",
    "spec_type",
]
