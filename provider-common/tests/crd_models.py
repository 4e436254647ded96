"""Spec models that use everything a CRD can hold, for the tests of CRDs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from provider_common.context import Context
from provider_common.generator import GeneratorV2
from provider_common.provider import ProviderV2
from provider_common.requests import Generated
from provider_common.spec import (
    Alias,
    Block,
    Column,
    DataKey,
    OneOf,
    Rule,
    SecretKeySelector,
    ServiceAccountSelector,
    Spec,
)
from pydantic import Field, model_validator


class Token(Block):
    """Log in with a token."""

    token_secret_ref: SecretKeySelector


class Auth(OneOf):
    """How to log in.

    Give one.
    """

    token: Token | None = None
    in_: ServiceAccountSelector | None = Field(None, alias="in", description="Log in as a ServiceAccount.")


class Colour(StrEnum):
    """Not a block."""

    RED = "red"
    BLUE = "blue"


class Limits(Block):
    """Bounds."""

    rules: ClassVar = (Rule("self.low <= self.high", "low has to be at most high"),)
    low: int = Field(0, ge=0)
    high: int = Field(9, lt=100)

    @model_validator(mode="after")
    def _low_is_low(self) -> Self:
        if self.low > self.high:
            raise ValueError("low has to be at most high")
        return self


class EverythingSpec(Spec):
    """Has a field of every sort
    that a CRD can hold.
    """

    kind: ClassVar = "Everything"
    aliases: ClassVar = (
        Alias("old.example.com/v1", "Every"),
        Alias("old.example.com/v1", "All", plural="alls"),
    )
    columns: ClassVar = (Column("Region", ".spec.region"), Column("Size", ".spec.size", "integer"))

    region: str = Field(description="Where it is.", min_length=1)
    size: int = Field(6, gt=4, le=64)
    ratio: float = Field(0.5, gt=0, lt=1)
    enabled: bool = True
    level: Literal["low", "high"] = "low"
    only: Literal["this"] | None = None
    colour: Colour = Colour.RED
    auth: Auth
    again: Auth | None = Field(None, description="Another login.")
    names: tuple[str, ...] = ()
    unique: frozenset[str] = frozenset()
    labels: Mapping[str, str] = Field(default_factory=dict)
    keyed: dict[DataKey, int] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)
    anything: Any = None
    either: int | str = 0
    since: dt.datetime | None = None
    limits: Limits = Limits()
    several: tuple[Limits, ...] = ()
    by_name: dict[str, Limits] = Field(default_factory=dict)
    few: tuple[Limits, ...] = Field((), max_length=3)


class EverythingStore(ProviderV2[EverythingSpec]):
    @classmethod
    def open(cls, ctx: Context[EverythingSpec]) -> Self:
        return cls()


class NothingSpec(Spec):
    """Needs nothing."""

    kind: ClassVar = "Policy"
    size: int = 1


class NothingGenerator(GeneratorV2[NothingSpec]):
    def generate(self, ctx: Context[NothingSpec]) -> Generated:
        return Generated({"size": b"1"})
