"""The Fake kinds over the wire, and the store by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from provider_common.testing import ProviderHarness
from provider_contrib import KINDS, FakeStore
from provider_contrib.fake.faults import FaultCounts
from provider_contrib.fake.spec import FakeStoreSpec
from provider_contrib.fake.store import Pushed

# A busy machine is not a failure: no example of a property has to be made, or to end, in time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MakeStore = Callable[..., FakeStore]


@pytest.fixture
def make_store() -> MakeStore:
    """`make_store([entries], pushed=..., **spec)`."""

    def make(data: list[dict[str, str]], *, pushed: Pushed | None = None, **spec: Any) -> FakeStore:
        parsed = FakeStoreSpec.parse({"data": data, **spec}, where="Fake team-a/main")
        return FakeStore(parsed, where="Fake team-a/main", pushed=pushed or Pushed(), faults=FaultCounts())

    return make


@pytest.fixture(scope="module")
def harness() -> Iterator[ProviderHarness]:
    with ProviderHarness(*KINDS, name="provider-contrib") as running:
        yield running
