"""HashiCorp Vault and OpenBao as a provider: the store `Vault`, the generator `VaultDynamicSecret`."""

from provider_vault.dynamic import VaultDynamicSecretGenerator
from provider_vault.store import VaultStore

KINDS = (VaultStore, VaultDynamicSecretGenerator)

__all__ = ["KINDS", "VaultDynamicSecretGenerator", "VaultStore"]
