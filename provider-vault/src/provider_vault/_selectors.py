"""Selectors whose `key` has the default that users of Vault stores know."""

from __future__ import annotations

from provider_common import SecretKeySelector
from provider_common.spec import DataKey


class CertificateSelector(SecretKeySelector):
    """A certificate in PEM in a Secret; `key` defaults to tls.crt."""

    key: DataKey = "tls.crt"


class PrivateKeySelector(SecretKeySelector):
    """A private key in PEM in a Secret; `key` defaults to tls.key."""

    key: DataKey = "tls.key"


class ServiceAccountTokenSelector(SecretKeySelector):
    """A ServiceAccount's token in a Secret; `key` defaults to token."""

    key: DataKey = "token"
