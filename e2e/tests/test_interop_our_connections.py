"""Our core's connection to a Go provider over time: its pings are tolerated, and connections that are retired lose no call."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import yaml
from eso_core.api.externalsecret import RemoteRef
from eso_core.api.stores import Store
from eso_core.client.endpoints import Endpoint, channel_options, host_of, read_tls
from eso_core.client.provider import GrpcCalls
from eso_core.reconcile.calls import Via
from eso_core.reconcile.routing import Settings, way
from eso_core.runtime.folder import load
from eso_e2e.gopeer import GoPeer
from eso_e2e.interop import ADDRESS, HOST, GoCerts, go_certs
from eso_e2e.process import wait_until

pytestmark = [pytest.mark.real, pytest.mark.slow]

STORE = {
    "apiVersion": "secretstore.external-secrets.io/v2alpha1",
    "kind": "SecretStore",
    "metadata": {"name": "main", "namespace": "team-a"},
    "spec": {
        "providerConfig": {
            "address": ADDRESS,
            "providerRef": {
                "apiVersion": "provider.external-secrets.io/v2alpha1",
                "kind": "Fake",
                "name": "values",
            },
        }
    },
}


@dataclass(frozen=True)
class At:
    """The provider is at one address, whatever the store says."""

    target: str
    tls: Path

    def endpoint(self, store: Store) -> Endpoint:
        return Endpoint(self.target, host_of(store.spec.provider_config.address), read_tls(self.tls))


@pytest.fixture(scope="module")
def certs(go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory) -> GoCerts:
    return go_certs(go_peer, tmp_path_factory.mktemp("interop"))


@pytest.fixture
def via(tmp_path: Path) -> Via:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "store.yaml").write_text(yaml.safe_dump(STORE))
    (store,) = load(folder).stores.values()
    assert isinstance(store, Store)
    return way(store, "team-a", Settings())


def test_a_go_provider_that_retires_connections_costs_no_call(
    go_peer: GoPeer, certs: GoCerts, via: Via, tmp_path: Path
) -> None:
    """Go servers end a connection after 30 min; here after one second. Calls go on until four connections have been used."""
    notes = tmp_path / "requests"
    with (
        go_peer.serve(**certs.server, secrets={"k": "v"}, max_age="1s", requests=notes) as address,
        closing(GrpcCalls(At(address, certs.path))) as calls,
    ):

        def used() -> bool:
            assert [calls.get_secret(via, RemoteRef(key="k")) for _ in range(20)] == [b"v"] * 20
            return (
                len(
                    {
                        line.partition('"peer":"')[2].partition('"')[0]
                        for line in notes.read_text().splitlines()
                    }
                )
                >= 4
            )

        wait_until(used, seconds=60, what="four connections")


def test_an_idle_connection_to_a_go_provider_is_kept(go_peer: GoPeer, certs: GoCerts) -> None:
    """Go servers hang up on whoever pings more often than every 5 s; our core pings every 10 s, also without a call."""
    tls = read_tls(certs.path)
    lost = threading.Event()

    def watch(state: grpc.ChannelConnectivity) -> None:
        if state is not grpc.ChannelConnectivity.READY:
            lost.set()

    with (
        go_peer.serve(**certs.server, secrets={"k": "v"}) as address,
        opened(address, tls.ca, tls.key, tls.certificate) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=30)
        ready = threading.Event()
        channel.subscribe(lambda state: ready.set() if state is grpc.ChannelConnectivity.READY else None)
        assert ready.wait(30)
        channel.subscribe(watch)
        assert not lost.wait(35), "the connection was lost while it was idle"


def opened(address: str, ca: bytes, key: bytes, certificate: bytes) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.secure_channel(address, credentials, channel_options(HOST))
