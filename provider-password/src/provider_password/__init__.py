"""Generators that need no backend: Password, UUID, SSHKey and MFA. `KINDS` is what this provider serves."""

from provider_password.mfa import MFAGenerator
from provider_password.password import PasswordGenerator
from provider_password.sshkey import SSHKeyGenerator
from provider_password.uuid4 import UUIDGenerator

KINDS = (PasswordGenerator, UUIDGenerator, SSHKeyGenerator, MFAGenerator)

__all__ = ["KINDS", "MFAGenerator", "PasswordGenerator", "SSHKeyGenerator", "UUIDGenerator"]
