"""Google Cloud as a provider: the store `GCPSecretManager`, the generator `GCRAccessToken`.

Importing it does not import Google's libraries: that happens when the first store is opened.
"""

from provider_gcp.registry import GCRAccessTokenGenerator
from provider_gcp.secretmanager import SecretManagerStore

KINDS = (SecretManagerStore, GCRAccessTokenGenerator)

__all__ = ["KINDS", "GCRAccessTokenGenerator", "SecretManagerStore"]
