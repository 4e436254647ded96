"""A provider on loopback in front of a Secret Manager, with Google's token services behind an HTTPS proxy.

Google's client, the host names and the TLS checks are those of production: what differs is the endpoint, which roots are
trusted, and which proxy is used, all of it by environment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.gcp import SecretManagerServer, trusted_by_grpc
from eso_e2e.gcp_tokens import GoogleTokens
from eso_e2e.pki import CertificateAuthority
from provider_common.testing import ProviderHarness, StoreHandle
from provider_gcp import KINDS
from provider_proto.provider.v1 import secretstore_pb2

NAMESPACE = "team-a"
READER = "reader@acme.iam.gserviceaccount.com"
REGION = "europe-west3"


@pytest.fixture(scope="session")
def tokens() -> Iterator[GoogleTokens]:
    """Google's token services."""
    services = GoogleTokens()
    yield services
    services.close()


@pytest.fixture(scope="session")
def google(e2e_authority: CertificateAuthority, tokens: GoogleTokens) -> Iterator[SecretManagerServer]:
    """Secret Manager, global."""
    pair = e2e_authority.issue("secretmanager")
    with (
        trusted_by_grpc(e2e_authority.ca_file),
        SecretManagerServer(pair, accepts=tokens.accepts, projects=("acme", "other")) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def regional(
    e2e_authority: CertificateAuthority, google: SecretManagerServer, tokens: GoogleTokens
) -> Iterator[SecretManagerServer]:
    """Secret Manager of one region."""
    pair = e2e_authority.issue("secretmanager-regional")
    with SecretManagerServer(pair, accepts=tokens.accepts, location=REGION) as server:
        yield server


@dataclass
class Cloud:
    """A provider and its Google."""

    harness: ProviderHarness
    google: SecretManagerServer
    regional: SecretManagerServer
    tokens: GoogleTokens
    proxy: FaultProxy

    def spec(self, *, email: str = READER, **more: Any) -> dict[str, Any]:
        """A spec with a service account's key."""
        name = email.partition("@")[0]
        self.harness.kube.add_secret(
            NAMESPACE, name, {"key.json": self.tokens.service_account_key(email).encode()}
        )
        auth = {"secretRef": {"secretAccessKeySecretRef": {"name": name, "key": "key.json"}}}
        return {"projectID": "acme", "auth": auth, **more}

    def store(
        self,
        *,
        name: str = "main",
        retries: int | None = 0,
        spec: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> StoreHandle:
        """A store of that spec; `retries` None leaves the provider's default."""
        handle = self.harness.add_store(NAMESPACE, self.spec(**more) if spec is None else spec, name=name)
        return handle if retries is None else with_retries(handle, retries)

    def calls(self) -> Mapping[str, float]:
        """Backend calls so far, by name and outcome."""
        found = {}
        for line in self.harness.metrics().splitlines():
            if line.startswith("externalsecret_provider_api_calls_count{"):
                labels, _, value = line.rpartition(" ")
                parts = dict(p.split("=", 1) for p in labels[labels.index("{") + 1 : -1].split(","))
                assert parts["provider"] == '"GCP/SecretManager"'
                found[f"{parts['call']} {parts['status']}".replace('"', "")] = float(value)
        return found


def until(condition: Callable[[], bool], *, seconds: float = 15) -> bool:
    """Ask until `condition` holds; False when it does not in time."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.05)
    return True


def with_retries(handle: StoreHandle, retries: int, *, interval: str = "20ms") -> StoreHandle:
    """The same store with retrySettings."""
    settings = secretstore_pb2.RetrySettings(max_retries=retries, retry_interval=interval)
    store = secretstore_pb2.StoreContext(
        api_version="secretstore.external-secrets.io/v2alpha1",
        kind="SecretStore",
        name=handle.name,
        namespace=handle.namespace,
        spec=secretstore_pb2.SecretStoreSpec(retry_settings=settings),
    )
    return replace(handle, store=store)


@pytest.fixture
def cloud(
    google: SecretManagerServer,
    regional: SecretManagerServer,
    tokens: GoogleTokens,
    fault_proxy: Callable[..., FaultProxy],
    e2e_authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cloud]:
    """A provider of its own; the servers are emptied."""
    google.reset()
    regional.reset()
    tokens.reset()
    proxy = fault_proxy()
    tokens.behind(proxy)
    monkeypatch.setenv("GCP_SECRET_MANAGER_ENDPOINT", google.address)
    monkeypatch.setenv("GCP_SECRET_MANAGER_REGIONAL_ENDPOINT", regional.address)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(e2e_authority.ca_file))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with ProviderHarness(*KINDS) as harness:
        yield Cloud(harness, google, regional, tokens, proxy)
