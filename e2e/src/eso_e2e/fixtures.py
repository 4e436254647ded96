"""The pytest plugin: every real server as a session fixture that starts when the first test asks for it.

A server comes from an address in the environment, a binary at hand, or a build. Where none of these is possible the
test is skipped with a text that says what would end the skip, or fails if REQUIRE_REAL_SERVERS=1 is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eso_e2e import servers

if TYPE_CHECKING:
    from eso_e2e.faultproxy import FaultProxy
    from eso_e2e.gopeer import GoPeer
    from eso_e2e.kube import KubeApiserver
    from eso_e2e.kube_api import KubeApi
    from eso_e2e.ldap import LdapServer
    from eso_e2e.moto import MotoApi
    from eso_e2e.pki import CertificateAuthority
    from eso_e2e.vault import VaultApi, VaultServer

ENV_KUBECONFIG = "ESO_E2E_KUBECONFIG"
ENV_VAULT = "ESO_E2E_VAULT_ADDR"
ENV_VAULT_TOKEN = "ESO_E2E_VAULT_TOKEN"
ENV_MOTO = "ESO_E2E_MOTO_URL"

GoBinary = Callable[[str], Path]
FaultProxyMaker = Callable[..., "FaultProxy"]

_BUILD_SECONDS = 1800


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give tests that may have to build a server first the time for it; their own timeout still counts if they set one.

    pytest-timeout counts a fixture's time as its test's.
    """
    if not config.pluginmanager.hasplugin("timeout"):
        return
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        # `kube_api` asks for a server only when it runs, so it is no dependency that can be seen here.
        if {"server_progress", "kube_api"}.intersection(fixtures) and item.get_closest_marker(
            "timeout"
        ) is None:
            item.add_marker(pytest.mark.timeout(_BUILD_SECONDS))


@contextmanager
def to_be_had() -> Iterator[None]:
    """Turn "can't be had on this machine" into a skip, or into a failure where real servers are required."""
    try:
        yield
    except servers.NotToBeHadError as error:
        if servers.required():
            pytest.fail(f"{servers.REQUIRE} is set, and {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def server_progress(pytestconfig: pytest.Config) -> servers.Progress:
    """Prints past pytest's capturing: a build of minutes must not look like a test that hangs."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def progress(line: str) -> None:
        if capture is None:
            servers.say(f"eso-e2e: {line}")
            return
        with capture.global_and_fixture_disabled():
            servers.say(f"\neso-e2e: {line}")

    return progress


@pytest.fixture(scope="session")
def go_binary(server_progress: servers.Progress) -> GoBinary:
    """A function from the name of a program in `e2e/servers` to its binary."""

    def find(name: str) -> Path:
        with to_be_had():
            return servers.find(name, progress=server_progress)

    return find


@pytest.fixture(scope="session")
def kube_apiserver(server_progress: servers.Progress) -> Iterator[KubeApiserver]:
    """A kube-apiserver with etcd of this test process's own: it may be stopped, restarted and have its history cut."""
    from eso_e2e.kube import KubeApiserver

    with to_be_had():
        server = KubeApiserver(progress=server_progress)
    with server:
        yield server


@pytest.fixture(scope="session")
def kube_api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApi]:
    """The API server of ESO_E2E_KUBECONFIG if that is set, else `kube_apiserver`: for tests that only use it."""
    from eso_e2e.kube_api import KubeApi

    named = os.environ.get(ENV_KUBECONFIG)
    if not named:
        yield request.getfixturevalue("kube_apiserver")
        return
    api = KubeApi.from_kubeconfig(Path(named), tmp_path_factory.mktemp("kube"))
    yield api
    api.close()


@pytest.fixture(scope="session")
def vault_dev(server_progress: servers.Progress) -> Iterator[VaultApi]:
    """A Vault in dev mode, or that of ESO_E2E_VAULT_ADDR and ESO_E2E_VAULT_TOKEN. Mount what you need at a new path."""
    from eso_e2e.vault import VaultApi, VaultServer

    named = os.environ.get(ENV_VAULT)
    if named:
        api = VaultApi(named, os.environ.get(ENV_VAULT_TOKEN, ""))
        yield api
        api.close()
        return
    with to_be_had():
        server = VaultServer(progress=server_progress)
    with server:
        yield server


@pytest.fixture(scope="session")
def vault_tls(server_progress: servers.Progress) -> Iterator[VaultServer]:
    """A Vault of this test process's own with TLS and client certificates, which may be sealed and unsealed."""
    from eso_e2e.vault import VaultServer

    with to_be_had():
        server = VaultServer(tls=True, progress=server_progress)
    with server:
        yield server


@pytest.fixture(scope="session")
def ldap_server(server_progress: servers.Progress) -> Iterator[LdapServer]:
    """An LDAP directory in the clear; its people are in `eso_e2e.ldap`."""
    from eso_e2e.ldap import LdapServer

    with to_be_had():
        server = LdapServer(progress=server_progress)
    with server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoApi]:
    """A moto server, or that of ESO_E2E_MOTO_URL. Tests share it: use names, accounts or regions of your own."""
    from eso_e2e.moto import MotoApi, MotoServer

    named = os.environ.get(ENV_MOTO)
    if named:
        api = MotoApi(named)
        yield api
        api.close()
        return
    with MotoServer() as server:
        yield server


@pytest.fixture(scope="session")
def e2e_authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The authority of the fault proxies' certificates; clients trust its `ca_file`."""
    from eso_e2e.pki import CertificateAuthority

    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def fault_proxy(e2e_authority: CertificateAuthority) -> Iterator[FaultProxyMaker]:
    """A function that makes fault proxies, with the arguments of FaultProxy; they end with the test."""
    from eso_e2e.faultproxy import FaultProxy

    made: list[FaultProxy] = []

    def make(backend: str | None = None, **options: Any) -> FaultProxy:
        proxy = FaultProxy(backend, authority=e2e_authority, **options)
        made.append(proxy)
        return proxy

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture(scope="session")
def ghz_binary(go_binary: GoBinary) -> Path:
    """The load generator ghz."""
    return go_binary("ghz")


@pytest.fixture(scope="session")
def go_peer(go_binary: GoBinary) -> GoPeer:
    """The grpc-go client with the Go core's keepalive."""
    from eso_e2e.gopeer import GoPeer

    return GoPeer(go_binary("go-peer"))
