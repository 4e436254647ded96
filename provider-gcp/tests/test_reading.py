"""GetSecret and GetSecretMap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Cloud


def test_a_secret_is_read_with_a_service_accounts_key(cloud: Cloud) -> None:
    """The whole way: a key from a Secret, a signed request for a token, a read with it."""
    cloud.google.put("db", b"s3cret")

    assert cloud.harness.get_secret(cloud.store(), "db") == b"s3cret"
    assert cloud.proxy.count(host="oauth2.googleapis.com") == 1
