"""AWS as a provider: the stores `AWSSecretManager` and `AWSParameterStore`, the generators `ECRAuthorizationToken` and
`STSSessionToken`. Nothing of botocore is loaded before a store is opened.
"""

from provider_aws.ecr import ECRAuthorizationTokenGenerator
from provider_aws.parameterstore import ParameterStore
from provider_aws.secretsmanager import SecretsManagerStore
from provider_aws.sts import STSSessionTokenGenerator

KINDS = (
    SecretsManagerStore,
    ParameterStore,
    ECRAuthorizationTokenGenerator,
    STSSessionTokenGenerator,
)

__all__ = [
    "KINDS",
    "ECRAuthorizationTokenGenerator",
    "ParameterStore",
    "STSSessionTokenGenerator",
    "SecretsManagerStore",
]
