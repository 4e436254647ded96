"""Which host is asked: AWS's own of the region, or what the provider's environment names. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping

import botocore
import botocore.config
import grpc
import pytest
from provider_aws._botocore import ENDPOINT_VARIABLES, Sessions

from .bench import Bench


@pytest.fixture(autouse=True)
def _no_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ENDPOINT_VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def endpoint(service: str, region: str) -> str:
    """The address that a client of the provider asks."""
    config = botocore.config.Config(signature_version=botocore.UNSIGNED)
    client = Sessions().client(service, region=region, credentials=None, config=config)
    try:
        return str(client.meta.endpoint_url)
    finally:
        client.close()


@pytest.mark.parametrize(
    ("service", "region", "environment", "address"),
    [
        ("secretsmanager", "eu-central-1", {}, "https://secretsmanager.eu-central-1.amazonaws.com"),
        ("ssm", "cn-north-1", {}, "https://ssm.cn-north-1.amazonaws.com.cn"),
        ("ssm", "us-gov-west-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://ssm.us-gov-west-1.amazonaws.com"),
        ("secretsmanager", "us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://secretsmanager-fips.us-east-1.amazonaws.com"),
        ("secretsmanager", "fips-us-east-1", {}, "https://secretsmanager-fips.us-east-1.amazonaws.com"),
        ("sts", "eu-central-1", {}, "https://sts.eu-central-1.amazonaws.com"),
        ("sts", "eu-central-1", {"AWS_STS_REGIONAL_ENDPOINTS": "legacy"}, "https://sts.eu-central-1.amazonaws.com"),
        ("ecr", "eu-central-1", {}, "https://api.ecr.eu-central-1.amazonaws.com"),
        ("ecr-public", "us-east-1", {}, "https://api.ecr-public.us-east-1.amazonaws.com"),
        ("secretsmanager", "eu-central-1", {"AWS_SSM_ENDPOINT": "https://other.example"}, "https://secretsmanager.eu-central-1.amazonaws.com"),
    ],
    ids=["plain", "china", "fips of gov", "fips", "fips region", "sts", "sts is regional", "ecr", "ecr public", "of another service"],
)  # fmt: skip
def test_the_region_decides_which_host_is_asked(
    monkeypatch: pytest.MonkeyPatch, service: str, region: str, environment: Mapping[str, str], address: str
) -> None:
    """STS too: a session asked for in another part of the world is not what a region is chosen for."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert endpoint(service, region) == address


@pytest.mark.parametrize("service", ENDPOINT_VARIABLES)
def test_a_variable_takes_the_place_of_the_host(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLES[service], "https://vpce.example:8443")

    assert endpoint(service, "eu-central-1") == "https://vpce.example:8443"


@pytest.mark.real
def test_a_variable_that_is_no_address_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bench.store()
    monkeypatch.setenv("AWS_SECRETSMANAGER_ENDPOINT", "no address")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(store, "db")

    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "AWS_SECRETSMANAGER_ENDPOINT" in failure.message
