"""A provider on loopback, a real Vault behind it, and two mounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eso_e2e.vault import VaultApi
from provider_common.testing import ProviderHarness
from provider_vault import KINDS

from .bench import Bench


@pytest.fixture
def harness() -> Iterator[ProviderHarness]:
    with ProviderHarness(*KINDS) as made:
        yield made


@pytest.fixture
def bench(harness: ProviderHarness, vault_dev: VaultApi) -> Bench:
    return Bench(harness, vault_dev)


@pytest.fixture(scope="session")
def kv2(vault_dev: VaultApi) -> str:
    return vault_dev.mount("kv", {"version": "2"})


@pytest.fixture(scope="session")
def kv1(vault_dev: VaultApi) -> str:
    return vault_dev.mount("kv", {"version": "1"})
