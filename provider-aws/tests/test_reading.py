"""Reading secrets and parameters, whole and by property, by version and as metadata."""

from __future__ import annotations

import pytest
from .bench import Bench

pytestmark = pytest.mark.real


def test_a_secret_is_read(bench: Bench) -> None:
    """As text it was stored, as text it comes."""
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="s3cret")

    assert bench.harness.get_secret(bench.store(), "db") == b"s3cret"


def test_a_parameter_is_read_decrypted(bench: Bench) -> None:
    bench.aws("ssm").put_parameter(Name="/app/db", Value="s3cret", Type="SecureString")

    assert bench.harness.get_secret(bench.store("AWSParameterStore"), "/app/db") == b"s3cret"
