"""Which provider serves what, told by metadata."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from eso_core.runtime.kinds import Provider, installed, needed

FAKE = "provider.secretstore.external-secrets.io/v2alpha1/Fake"
PASSWORD = "provider.generator.external-secrets.io/v2alpha1/Password"


def test_installed_providers_are_known_by_their_kinds() -> None:
    """Aliases too."""
    kinds = installed()
    assert kinds[FAKE] == Provider("provider_contrib", "provider-contrib")
    assert kinds[PASSWORD] == Provider("provider_password", "provider-password")
    assert kinds["provider.external-secrets.io/v2alpha1/Fake"].module == "provider_contrib"


def test_no_provider_is_imported() -> None:
    """A core that imports a cloud's client for everybody starts slowly, and runs the provider's code with its own rights."""
    code = (
        "import sys; from eso_core.runtime.kinds import installed; installed(); "
        "print([m for m in sys.modules if m.startswith('provider_') and m.partition('.')[0] not in "
        "('provider_common', 'provider_proto')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"


def test_an_address_is_one_provider(world: Any) -> None:
    """In a cluster it would be; what works here has to work there."""
    kinds = {
        FAKE: Provider("provider_contrib", "provider-contrib"),
        PASSWORD: Provider("provider_password", "provider-password"),
    }
    store = world.change("SecretStore")
    generator = world.change("Generator", spec__providerConfig__address="provider-contrib.default.svc:8080")
    found = needed([store, generator], kinds)
    assert (
        "is used for kinds of provider-contrib and of provider-password"
        in found.problems["provider-contrib.default.svc:8080", PASSWORD]
    )


def test_a_kind_that_nobody_serves_is_told(world: Any) -> None:
    """With what to install, and with what there is."""
    store = world.change("SecretStore", spec__providerConfig__providerRef__kind="Vault")
    (problem,) = needed([store], {FAKE: Provider("provider_contrib", "provider-contrib")}).problems.values()
    assert "no installed provider serves provider.secretstore.external-secrets.io/v2alpha1/Vault" in problem
    assert "served kinds: Fake" in problem


def test_all_hosts_of_a_provider_are_collected(world: Any) -> None:
    """Its certificate has to carry each of them."""
    provider = Provider("provider_contrib", "provider-contrib")
    other = world.change("ClusterSecretStore", spec__providerConfig__address="[::1]:9000")
    found = needed([world.change("SecretStore"), other], {FAKE: provider})
    assert found.hosts() == {provider: frozenset({"provider-contrib.default.svc", "::1"})}
