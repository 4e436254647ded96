"""Google Cloud judged by the conformance suite: the provider as a process of its own, in front of a Secret Manager that runs
here, with Google's token services behind an HTTPS proxy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from eso_e2e import judged
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.gcp import SecretManagerServer
from eso_e2e.gcp_tokens import GoogleTokens
from eso_e2e.judged import GENERATORS, STORES, made
from eso_e2e.pki import CertificateAuthority
from eso_e2e.served import Served
from grpc import StatusCode
from provider_conformance.suite import EveryConformance
from provider_conformance.target import Existing, GeneratorTarget, Limits, StoreTarget, Target


def auth(name: str = "gcp", namespace: str | None = None) -> dict[str, Any]:
    selector = {"name": name, "key": "key.json", **({"namespace": namespace} if namespace else {})}
    return {"secretRef": {"secretAccessKeySecretRef": selector}}


def manifests(key: str, foreign: str, wrong: str) -> list[dict[str, Any]]:
    """Stores and generators in two teams, and the keys they use."""

    def store(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
        return made(STORES, "GCPSecretManager", namespace, name, spec=spec)

    def token(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
        return made(GENERATORS, "GCRAccessToken", namespace, name, spec=spec)

    return [
        made("v1", "Secret", "team-a", "gcp", stringData={"key.json": key}),
        made("v1", "Secret", "team-a", "wrong", stringData={"key.json": wrong}),
        made("v1", "Secret", "team-b", "for-b", stringData={"key.json": foreign}),
        store("team-a", "main", projectID="acme", auth=auth()),
        store("team-a", "second", projectID="other", auth=auth()),
        store("team-b", "foreign", projectID="other", auth=auth("for-b")),
        store("team-a", "borrows", projectID="acme", auth=auth("for-b", "team-b")),
        store("team-b", "referent", projectID="acme", auth=auth()),
        store("team-a", "refused", projectID="acme", auth=auth("wrong")),
        store("team-a", "nonsense", projectID="acme", secretVersionSelectionPolicy="Newest"),
        token("team-a", "registry", projectID="acme", auth=auth()),
        token("team-b", "registry", projectID="acme", auth=auth()),
        token("team-a", "borrows", projectID="acme", auth=auth("for-b", "team-b")),
        token("team-a", "nonsense", auth=auth()),
    ]


class Seeder:
    """Puts secrets into Secret Manager past the provider."""

    def __init__(self, server: SecretManagerServer) -> None:
        self._server = server

    def put(self, store: str, key: str, value: bytes, tags: Mapping[str, str]) -> None:
        """Create a secret as a push would have, or add a version to it."""
        self._server.put(key, value, labels={"managed-by": "external-secrets", **tags})

    def delete(self, store: str, key: str) -> None:
        """Remove a secret."""
        self._server.remove(key)


def oversize(server: SecretManagerServer) -> None:
    """Put in a value that no answer can carry; Google itself would not take it."""
    server.put("fault-oversize", b"x" * 5_000_000)


@pytest.fixture(scope="module")
def services() -> Iterator[GoogleTokens]:
    running = GoogleTokens()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(e2e_authority: CertificateAuthority, services: GoogleTokens) -> Iterator[SecretManagerServer]:
    pair = e2e_authority.issue("secretmanager-judged")
    with SecretManagerServer(pair, accepts=services.accepts, projects=("acme", "other"), page=50) as running:
        for value in ("number 1", "number 2"):
            running.put("versioned", value)
        running.put("versioned", "of another store", project="other")
        running.put("unmanaged", "made by hand")
        running.put("fault-slow", "slow")
        running.hang("AccessSecretVersion", key="fault-slow", seconds=2)
        # There for who asks for it, and gone for a find: its answer would be too large, too.
        running.before("AccessSecretVersion", lambda: oversize(running), key="fault-oversize", times=None)
        running.before("ListSecrets", lambda: running.remove("fault-oversize"), times=None)
        for name, code in (
            ("unavailable", StatusCode.UNAVAILABLE),
            ("denied", StatusCode.PERMISSION_DENIED),
            ("unauthenticated", StatusCode.UNAUTHENTICATED),
            ("timeout", StatusCode.DEADLINE_EXCEEDED),
        ):
            running.fail("AccessSecretVersion", code, key=f"fault-{name}")
        running.fail("AccessSecretVersion", StatusCode.RESOURCE_EXHAUSTED, key="fault-rate", retry_after=1)
        running.hang("AccessSecretVersion", key="fault-hang")
        yield running


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    e2e_authority: CertificateAuthority,
    services: GoogleTokens,
    server: SecretManagerServer,
) -> Iterator[Served]:
    wrong = services.service_account_key("wrong@acme.iam.gserviceaccount.com")
    services.forget_key("wrong@acme.iam.gserviceaccount.com")
    folder = tmp_path_factory.mktemp("gcp")
    documents = manifests(
        services.service_account_key(),
        services.service_account_key("b@acme.iam.gserviceaccount.com"),
        wrong,
    )
    proxy = FaultProxy(authority=e2e_authority)
    services.behind(proxy)
    environment = {
        "GCP_SECRET_MANAGER_ENDPOINT": server.address,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(e2e_authority.ca_file),
        "REQUESTS_CA_BUNDLE": str(e2e_authority.ca_file),
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "localhost,127.0.0.1",
    }
    with judged.serving("provider_gcp", folder, documents, environment) as running:
        yield running
    proxy.close()


@pytest.fixture(scope="module")
def target(served: Served, server: SecretManagerServer) -> Target:
    store = StoreTarget(
        name="secretmanager",
        api_version=STORES,
        kind="GCPSecretManager",
        seed=Seeder(server),
        keys=(
            Existing("versioned", b"number 1", version="1"),
            Existing("versioned", b"number 2", version="2"),
            Existing("versioned", b"number 2"),
        ),
        limits=Limits(
            values="bytes",
            max_value_bytes=65536,
            empty_value=False,
            key_pattern=r"[A-Za-z0-9_-]{1,255}",
            find=("name", "tags", "path"),
            metadata_fetch=True,
            backend_calls=True,
        ),
        faults=judged.faults("fault-", slow=2, unmanaged="unmanaged"),
        **judged.STORE_OBJECTS,
    )
    registry = GeneratorTarget(
        name="registry",
        api_version=GENERATORS,
        kind="GCRAccessToken",
        **judged.generator_objects("registry"),
    )
    return judged.target(served, "provider-gcp", stores=(store,), generators=(registry,))


class TestConformance(EveryConformance):  # type: ignore[misc, valid-type]  # made by a function
    """Every check of the suite."""
