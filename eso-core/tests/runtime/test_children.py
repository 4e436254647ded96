"""Providers as child processes: started for an address, restarted for another name, told about when they don't start."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from eso_core.client.provider import GrpcCalls
from eso_core.reconcile.calls import CallError
from eso_core.reconcile.routing import Settings, way
from eso_core.runtime.children import Children
from eso_core.runtime.kinds import Needed, Provider, needed

FAKE = "provider.secretstore.external-secrets.io/v2alpha1/Fake"
CONTRIB = Provider("provider_contrib", "provider-contrib")


@pytest.fixture
def children(folder: Any) -> Iterator[Children]:
    folder.write("a.yaml", folder.store)
    with Children(folder.path) as running:
        yield running


def test_a_child_answers_under_the_name_in_the_manifest(children: Children, world: Any) -> None:
    """Health, over mutual TLS, at the address of a cluster."""
    store = world.change("SecretStore")
    assert children.start(needed([store], {FAKE: CONTRIB})) == ["provider-contrib"]
    children.wait()
    calls = GrpcCalls(children)
    calls.check_health(way(store, "team-a", Settings()))
    calls.close()
    assert children.start(needed([store], {FAKE: CONTRIB})) == []
    assert children.ended() is None


def test_a_new_host_name_gets_a_new_certificate(children: Children, world: Any) -> None:
    """The provider is started again with it; the old address works as before."""
    old = world.change("SecretStore")
    new = world.change("ClusterSecretStore", spec__providerConfig__address="fake.elsewhere.svc:443")
    children.start(needed([old], {FAKE: CONTRIB}))
    children.wait()
    assert children.start(needed([old, new], {FAKE: CONTRIB})) == ["provider-contrib"]
    children.wait()
    calls = GrpcCalls(children)
    for store in (old, new):
        calls.check_health(way(store, "team-a", Settings()))
    calls.close()


def test_a_provider_that_does_not_start_is_told_with_its_last_words(children: Children, world: Any) -> None:
    """The others are not held up."""
    store = world.change("SecretStore")
    children.start(needed([store], {FAKE: Provider("no_such_module", "provider-nope")}))
    children.wait()
    with pytest.raises(
        CallError, match=r"provider-nope ended with status 1 .* No module named no_such_module"
    ):
        children.endpoint(store)
    assert children.ended() is None


def test_a_provider_that_ended_is_noticed_and_started_again(children: Children, world: Any) -> None:
    """A pass is due then."""
    store = world.change("SecretStore")
    wanted = needed([store], {FAKE: CONTRIB})
    children.start(wanted)
    children.wait()
    (child,) = children._children.values()
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
    assert children.ended() is not None
    assert children.start(wanted) == ["provider-contrib"]
    children.wait()
    assert children.endpoint(store).target != f"127.0.0.1:{child.port}"


def test_what_is_no_longer_needed_is_stopped(children: Children, world: Any) -> None:
    """A folder that lost its last store needs no provider."""
    store = world.change("SecretStore")
    children.start(needed([store], {FAKE: CONTRIB}))
    children.wait()
    (child,) = children._children.values()
    children.start(Needed({}, {}))
    assert child.process.poll() == 0
    with pytest.raises(CallError, match="no provider was started for"):
        children.endpoint(store)


def test_nothing_is_left_behind(folder: Any) -> None:
    """The throw-away CA and its keys go with the process."""
    with Children(folder.path) as running:
        assert running._temporary is not None
        path = running._temporary.name
    from pathlib import Path

    assert not Path(path).exists()
