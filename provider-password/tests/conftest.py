"""Generators called directly, and over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from provider_common import Context, GeneratorV2
from provider_common.auth import AuthResolver, Scope, TokenCache
from provider_common.testing import FakeKube, ProviderHarness
from provider_password import KINDS

# A busy machine is not a failure: no example of a property has to be made, or to end, in time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

Generate = Callable[..., Mapping[str, bytes]]


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def generate(kube: FakeKube) -> Generate:
    """`generate(Generator, spec)` on behalf of namespace `team-a`."""

    def call(generator: type[GeneratorV2[Any]], spec: Mapping[str, Any]) -> Mapping[str, bytes]:
        parsed = generator.spec.parse(spec, where=f"{generator.spec.kind} team-a/main")
        scope = Scope("Generator", False, "team-a", "team-a", "team-a")
        auth = AuthResolver(kube, scope=scope, spec=parsed, tokens=TokenCache())
        context: Context[Any] = Context(
            parsed, auth, "g/v1", generator.spec.kind, "main", "team-a", caller="team-a"
        )
        return generator().generate(context).data

    return call


@pytest.fixture(scope="module")
def harness() -> Iterator[ProviderHarness]:
    with ProviderHarness(*KINDS, name="provider-password") as running:
        yield running
