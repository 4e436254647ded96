"""The Fake generator: answers the values of its manifest, the same at every call."""

from __future__ import annotations

from provider_common import Context, Generated, GeneratorV2
from provider_common.faults import Fault

from provider_contrib.fake.faults import fault_counts
from provider_contrib.fake.spec import FakeGeneratorSpec, GeneratorFaultRule


class FakeGenerator(GeneratorV2[FakeGeneratorSpec]):
    """Answers `spec.data`. It keeps no state."""

    def generate(self, ctx: Context[FakeGeneratorSpec]) -> Generated:
        """The values as they stand in the manifest; no values is an empty answer."""
        return Generated({key: value.encode() for key, value in ctx.spec.data.items()})

    def fault(self, ctx: Context[FakeGeneratorSpec], method: str) -> Fault | None:
        """The seam of `provider_common.faults`."""

        def applies(rule: GeneratorFaultRule) -> bool:
            return not rule.methods or method in rule.methods

        return fault_counts(ctx).fault(ctx.spec.faults, applies)
