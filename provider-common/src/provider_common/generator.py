"""`GeneratorV2`: the interface of a generator. New values at every call; nothing is remembered between calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from provider_common.context import Context
from provider_common.requests import Generated
from provider_common.spec import Spec, spec_type

SpecT = TypeVar("SpecT", bound=Spec)


class GeneratorV2(ABC, Generic[SpecT]):
    """Makes values from a spec. One instance serves all calls, from several threads at once.

    Every method may raise any class of `provider_common.errors`.
    """

    spec: ClassVar[type[Spec]]
    """The model in `GeneratorV2[Model]`."""

    needs_object: ClassVar[bool] = True
    """False when the generator works with its defaults also where the object referred to does not exist."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        model = spec_type(cls, GeneratorV2)
        if model is not None:
            cls.spec = model

    @abstractmethod
    def generate(self, ctx: Context[SpecT]) -> Generated:
        """Make new values. What has to be removed later is described by `Generated.state`."""

    def cleanup(self, ctx: Context[SpecT], state: Mapping[str, Any]) -> None:
        """Remove what `generate` left, described by its `state`. What is gone already is a success."""

    @classmethod
    def keeps_state(cls) -> bool:
        """True when this kind implements `cleanup`."""
        return cls.cleanup is not GeneratorV2.cleanup
