"""The wire contract: generated message stubs, and the names of services and versions that both sides share.

Nothing here knows how to serve or call; grpc itself is not imported.
"""

from typing import Final

CONTRACT_VERSION: Final = (1, 1)
"""Version (major, minor) of the contract these stubs describe. 1.0 is the baseline of the Go peers, who send none."""

CONTRACT_VERSION_KEY: Final = "eso-contract-version"
"""Metadata key, in requests and in trailing metadata of responses, whose value is `MAJOR.MINOR`."""

SECRET_STORE_SERVICE: Final = "provider.v1.SecretStoreProvider"  # noqa: S105 - a service name
GENERATOR_SERVICE: Final = "generator.v1.GeneratorProvider"
DESCRIPTION_SERVICE: Final = "provider.v1.ProviderDescription"

SECRET_STORE_METHODS: Final = (
    "GetSecret",
    "GetSecretMap",
    "PushSecret",
    "DeleteSecret",
    "SecretExists",
    "GetAllSecrets",
    "Validate",
    "Capabilities",
)
GENERATOR_METHODS: Final = ("Generate", "Cleanup")
