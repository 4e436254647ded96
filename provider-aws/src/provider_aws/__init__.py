"""AWS as a provider: the stores `AWSSecretManager` and `AWSParameterStore`, the generators `ECRAuthorizationToken` and
`STSSessionToken`. Nothing of botocore is loaded before a store is opened.
"""

from provider_aws.parameterstore import ParameterStore
from provider_aws.secretsmanager import SecretsManagerStore

KINDS = (SecretsManagerStore, ParameterStore)

__all__ = ["KINDS", "ParameterStore", "SecretsManagerStore"]
