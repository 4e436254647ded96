"""The bench: a provider on loopback in front of moto's AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.moto import MotoApi
from provider_aws import KINDS
from provider_common.testing import ProviderHarness

from .bench import ENDPOINTS, Bench, plain_client


@pytest.fixture(scope="session")
def moto(moto_server: MotoApi) -> MotoApi:
    """moto, with every service loaded: it loads each at its first request, and that takes a while."""
    for service, operation in (
        ("secretsmanager", "list_secrets"),
        ("ssm", "describe_parameters"),
        ("sts", "get_session_token"),
        ("ecr", "get_authorization_token"),
    ):
        getattr(plain_client(moto_server, service), operation)()
    return moto_server


@pytest.fixture
def harness() -> Iterator[ProviderHarness]:
    with ProviderHarness(*KINDS) as made:
        yield made


@pytest.fixture
def bench(
    harness: ProviderHarness,
    moto: MotoApi,
    fault_proxy: Callable[[str], FaultProxy],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Bench:
    proxy = fault_proxy(moto.url)
    for variable in ENDPOINTS:
        monkeypatch.setenv(variable, proxy.url)
    # No developer's account, no instance role: what a test does not name is not there.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    moto.reset()
    return Bench(harness, moto, proxy)
