"""ClusterReader when the API server, or the way to it, fails: what was seen stays readable, and the watch heals itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from eso_e2e.kube import KubeApiserver
from eso_e2e.tcpproxy import Door, TcpFaultProxy
from provider_common._kube_cluster import ClusterReader, Pace
from provider_common.errors import TemporaryError

from .conftest import Open, Things, eventually, things_of, through

# One API server serves all of them, also when the tests run in several processes.
pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("kube-apiserver"),
    # Python's ssl loses the socket of a connection that is reset just before its handshake: nobody can close it.
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def lost_sockets() -> Iterator[None]:
    """What ssl lost is found here, and not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture
def proxy(kube_apiserver: KubeApiserver) -> Iterator[TcpFaultProxy]:
    with TcpFaultProxy(("127.0.0.1", kube_apiserver.port)) as proxy:
        yield proxy


@pytest.fixture
def own_things(kube_apiserver: KubeApiserver) -> Things:
    things = things_of(kube_apiserver)
    things.install()
    things.apply("main", size=1)
    return things


@pytest.fixture
def reader(
    kube_apiserver: KubeApiserver, proxy: TcpFaultProxy, own_things: Things, open_reader: Open, tmp_path: Path
) -> ClusterReader:
    """A reader that has seen the one object there is, by way of the proxy."""
    kubeconfig = through(kube_apiserver.kubeconfig, proxy.address, tmp_path)
    reader = open_reader(kubeconfig, (own_things.served(),))
    assert own_things.size_seen_by(reader, "main") == 1
    return reader


def problem(things: Things, reader: ClusterReader) -> str:
    return reader.status().problems.get(f"{things.api_version}/Thing", "")


def test_a_watch_that_is_cut_goes_on(proxy: TcpFaultProxy, own_things: Things, reader: ClusterReader) -> None:
    """A load balancer resets idle connections: nothing that happened meanwhile is missed, nothing is opened anew."""
    own_things.apply("same", size=5)
    eventually(lambda: own_things.seen_by(reader, "same"))
    same = own_things.seen_by(reader, "same")

    proxy.door = Door.RESET
    eventually(lambda: problem(own_things, reader))
    own_things.apply("main", size=2)
    proxy.door = Door.OPEN

    eventually(lambda: own_things.size_seen_by(reader, "main") == 2)
    assert own_things.seen_by(reader, "same") is same
    assert problem(own_things, reader) == ""


def test_reads_do_not_wait_for_an_api_server_that_is_away(
    proxy: TcpFaultProxy, own_things: Things, reader: ClusterReader
) -> None:
    """What was seen is answered; what was not seen might be there by now, so it is not said to be missing."""
    before = own_things.seen_by(reader, "main")

    proxy.door = Door.REFUSE
    eventually(lambda: "it can't be reached" in problem(own_things, reader))

    assert own_things.seen_by(reader, "main") is before
    with pytest.raises(TemporaryError, match=r"'other' .* is not known: .* it can't be reached"):
        own_things.seen_by(reader, "other")
    with pytest.raises(
        TemporaryError, match=r"Kubernetes can't be asked to get secrets 'acme' .*: it can't be reached"
    ):
        reader.read_secret(own_things.namespace, "acme")
    assert reader.status().synced, "an outage must not make every provider unready"
    assert reader.status().ages


def test_a_first_list_that_hangs_is_waited_for_no_longer_than_allowed(
    kube_apiserver: KubeApiserver, proxy: TcpFaultProxy, own_things: Things, open_reader: Open, tmp_path: Path
) -> None:
    """The caller's deadline counts, and the answer says what is missing."""
    proxy.door = Door.BLACK_HOLE
    kubeconfig = through(kube_apiserver.kubeconfig, proxy.address, tmp_path)
    reader = open_reader(kubeconfig, (own_things.served(),), timeout=lambda: 0.2)

    with pytest.raises(TemporaryError, match="is not known: they are still being listed"):
        own_things.seen_by(reader, "main")
    with pytest.raises(TemporaryError, match="it did not answer in time"):
        reader.read_secret(own_things.namespace, "acme")


def test_a_connection_that_fell_silent_is_given_up(
    kube_apiserver: KubeApiserver, proxy: TcpFaultProxy, own_things: Things, open_reader: Open, tmp_path: Path
) -> None:
    """A firewall that drops packets leaves a watch that looks alive for ever."""
    kubeconfig = through(kube_apiserver.kubeconfig, proxy.address, tmp_path)
    pace = Pace(silence=1.0, first_pause=0.05, longest_pause=0.5)
    reader = open_reader(kubeconfig, (own_things.served(),), pace=pace)
    assert own_things.size_seen_by(reader, "main") == 1

    proxy.latency = 3600.0  # from now on, nothing comes back
    own_things.apply("main", size=2)
    eventually(lambda: "it did not answer in time" in problem(own_things, reader))
    proxy.latency = 0.0

    eventually(lambda: own_things.size_seen_by(reader, "main") == 2)


def test_history_that_is_gone_leads_to_a_new_list(
    kube_apiserver: KubeApiserver, proxy: TcpFaultProxy, own_things: Things, reader: ClusterReader
) -> None:
    """410 Gone: an object deleted meanwhile never shows up in a watch again, so only a list can tell."""
    own_things.apply("doomed")
    own_things.apply("same", size=5)
    eventually(lambda: own_things.seen_by(reader, "same"))
    same = own_things.seen_by(reader, "same")
    assert own_things.seen_by(reader, "doomed") is not None

    proxy.door = Door.REFUSE
    own_things.delete("doomed")
    own_things.apply("main", size=2)
    kube_apiserver.expire_watches()
    proxy.door = Door.OPEN

    eventually(lambda: own_things.size_seen_by(reader, "main") == 2)
    assert own_things.seen_by(reader, "doomed") is None
    assert own_things.seen_by(reader, "same") is same


def test_an_api_server_that_restarts_is_followed_again(
    kube_apiserver: KubeApiserver, own_things: Things, reader: ClusterReader
) -> None:
    """An upgrade of the control plane: the provider goes on from memory, and is up to date afterwards."""
    before = own_things.seen_by(reader, "main")

    kube_apiserver.stop_apiserver()
    eventually(lambda: problem(own_things, reader))
    while_away = own_things.seen_by(reader, "main")
    kube_apiserver.start_apiserver()
    own_things.apply("new", size=9)

    eventually(lambda: not problem(own_things, reader))
    eventually(lambda: own_things.size_seen_by(reader, "new") == 9)
    assert while_away is before
    assert own_things.seen_by(reader, "main") is before


def test_a_crd_that_is_removed_takes_its_objects_along(
    kube_apiserver: KubeApiserver, own_things: Things, open_reader: Open
) -> None:
    """What is not there any more is not served from memory for ever."""
    pace = Pace(first_pause=0.05, longest_pause=0.5, grace=1.0)
    reader = open_reader(kube_apiserver.kubeconfig, (own_things.served(),), pace=pace)
    assert own_things.seen_by(reader, "main") is not None

    kube_apiserver.delete(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"things.{own_things.group}"},
        }
    )

    eventually(lambda: not reader.status().synced)
    with pytest.raises(TemporaryError, match="is not installed"):
        own_things.seen_by(reader, "main")


def test_a_watch_that_the_api_server_ends_is_begun_again(
    kube_apiserver: KubeApiserver, own_things: Things, open_reader: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Every watch ends after some minutes: that is no problem to report, and nothing is missed."""
    pace = Pace(lifetime=2, first_pause=0.05, longest_pause=0.5)
    reader = open_reader(kube_apiserver.kubeconfig, (own_things.served(),), pace=pace)
    assert own_things.size_seen_by(reader, "main") == 1

    eventually(lambda: watches_ended(kube_apiserver, own_things) >= 3)
    own_things.apply("main", size=2)

    eventually(lambda: own_things.size_seen_by(reader, "main") == 2)
    assert own_things.group not in caplog.text
    assert reader.status().problems == {}


def watches_ended(kube: KubeApiserver, things: Things) -> int:
    """As the API server counts them."""
    lines = str(kube.api("GET", "/metrics")).splitlines()
    ours = (f'group="{things.group}"', 'verb="WATCH"')
    counts = [
        line for line in lines if line.startswith("apiserver_request_total{") and all(t in line for t in ours)
    ]
    return sum(int(float(line.rpartition(" ")[2])) for line in counts)
