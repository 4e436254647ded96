"""What happens to a Go core's connections to our provider over time: idling, growing old, and having every certificate replaced."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eso_e2e.gopeer import GoPeer, Load
from eso_e2e.interop import HOST, STORE_SERVICE, GoCerts, RunningProvider, go_certs, our_provider
from eso_e2e.process import wait_until

pytestmark = [pytest.mark.real, pytest.mark.slow]

PATH = f"{STORE_SERVICE}/GetSecret"
FAKE = {
    "apiVersion": "provider.external-secrets.io/v2alpha1",
    "kind": "Fake",
    "metadata": {"name": "values", "namespace": "team-a"},
    "spec": {"data": [{"key": "k", "value": "v"}]},
}
REQUEST = {
    "providerRef": {
        "apiVersion": FAKE["apiVersion"], "kind": "Fake", "name": "values", "namespace": "team-a", "storeRefKind": "SecretStore",
    },
    "remoteRef": {"key": "k", "decodingStrategy": "None", "metadataPolicy": "None"},
    "sourceNamespace": "team-a",
}  # fmt: skip
CALL = {"call": PATH, "request": REQUEST}
AGEING = """
import provider_common.server as server
sooner = {"grpc.max_connection_age_ms": 1000, "grpc.max_connection_age_grace_ms": 20000}
server._KEEPALIVE = tuple((dict(server._KEEPALIVE) | sooner).items())
from provider_contrib.__main__ import main
main()
"""
"""Our provider as it is, with the age at which connections are retired brought down from 30 min."""


@pytest.fixture
def certs(go_peer: GoPeer, tmp_path: Path) -> GoCerts:
    return go_certs(go_peer, tmp_path)


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "fake.yaml").write_text(json.dumps(FAKE))
    return folder


def test_an_idle_core_stays_connected(
    go_peer: GoPeer, certs: GoCerts, manifests: Path, tmp_path: Path
) -> None:
    """It pings every 10 s without a call; grpc's default would send it away at the third ping."""
    with our_provider(manifests, certs.path, tmp_path / "log") as ours:
        report = go_peer.run(ours.address, [CALL, {"idle": "45s"}, CALL], **certs.client, server_name=HOST)
    assert [step.get("code") for step in report["steps"]] == ["OK", None, "OK"]
    assert report["dials"] == 1


def test_a_connection_that_is_retired_loses_no_call(
    go_peer: GoPeer, certs: GoCerts, manifests: Path, tmp_path: Path
) -> None:
    """GOAWAY by age: the core dials again, and calls that are under way end well. A core that idles meanwhile does too."""
    command = ("-c", textwrap.dedent(AGEING))
    idle = {"idle": "5s"}  # several times the age, for a machine that is busy
    with (
        our_provider(manifests, certs.path, tmp_path / "log", command=command) as ours,
        go_peer.load(ours.address, PATH, REQUEST, tls_dir=certs.path, server_name=HOST) as load,
    ):
        report = go_peer.run(ours.address, [CALL, idle, CALL, idle, CALL], **certs.client, server_name=HOST)
        loaded = load.end()
    assert [step["code"] for step in report["steps"] if "call" in step] == ["OK"] * 3
    assert report["dials"] >= 3
    assert list(loaded["calls"]) == ["OK"], loaded["failures"]
    assert loaded["dials"] >= 3


def test_server_key_client_key_and_authority_are_replaced_under_load(
    go_peer: GoPeer, certs: GoCerts, manifests: Path, tmp_path: Path
) -> None:
    """One after the other, as a careful operator does, without a restart and without a failed call: two cores are calling all the
    time, one on pooled connections and one that connects anew for every call."""
    core = GoCerts(go_peer, tmp_path / "core")
    old = certs.read()
    core.replace("core-old", old)
    with our_provider(manifests, certs.path, tmp_path / "log") as ours, ExitStack() as stack:
        loads = [
            stack.enter_context(
                go_peer.load(
                    ours.address, PATH, REQUEST, tls_dir=core.path, server_name=HOST, workers=2, shared=shared
                )
            )
            for shared in (True, False)
        ]
        answered(ours, loads)
        same = certs.issued(tmp_path / "same-ca", same_ca=True)
        other = certs.issued(tmp_path / "other-ca", same_ca=False)
        both = {"ca.crt": old["ca.crt"] + other["ca.crt"]}
        server = {name: same[name] for name in ("tls.crt", "tls.key")}
        client = {name: same[name] for name in ("client.crt", "client.key")}
        steps: list[tuple[GoCerts, dict[str, bytes]]] = [
            (certs, old | server),
            (core, old | client),
            # The new authority is trusted on both sides before anything is issued by it, and the old one until nothing is left.
            (certs, old | server | both),
            (core, old | client | both),
            (certs, other | both),
            (core, other | both),
            (certs, other),
            (core, other),
        ]
        for number, (side, files) in enumerate(steps):
            reloads = ours.sample('eso_provider_certificate_reloads_total{result="ok"}')
            side.replace(f"{'server' if side is certs else 'core'}-{number}", files)
            if side is certs:
                wait_until(
                    lambda: ours.sample('eso_provider_certificate_reloads_total{result="ok"}') > reloads,  # noqa: B023
                    seconds=60,
                    what=f"reload of step {number}",
                )
            answered(ours, loads)
        pooled, fresh = (load.end() for load in loads)

    assert list(pooled["calls"]) == ["OK"], pooled["failures"]
    assert list(fresh["calls"]) == ["OK"], fresh["failures"]
    assert pooled["materials"] == 5
    assert len(fresh["servers"]) == 3, (
        "the first server certificate, the one of the same CA, the one of the other"
    )


def test_a_whole_new_secret_is_used_without_a_restart(
    go_peer: GoPeer, certs: GoCerts, manifests: Path, tmp_path: Path
) -> None:
    """The cert-controller replaces all six files at once when the CA is gone. A provider of ours is then called with the new
    ones after the files have arrived, where a Go provider has to be restarted."""
    with our_provider(manifests, certs.path, tmp_path / "log") as ours:
        before = go_peer.run(ours.address, [CALL], **certs.client, server_name=HOST)
        certs.replace("second", certs.issued(tmp_path / "new", same_ca=False))
        after = go_peer.run(ours.address, [CALL], **certs.client, server_name=HOST)
        left = GoCerts(go_peer, tmp_path / "first")
        stale = go_peer.run(ours.address, [CALL], **left.client, server_name=HOST)
    assert [report["steps"][0]["code"] for report in (before, after, stale)] == ["OK", "OK", "Unavailable"]


def answered(ours: RunningProvider, loads: list[Load]) -> None:
    """Return when some more calls were made, by connections of both ages."""
    metric = f'grpc_server_requests_total{{method="{PATH}",status="success"}}'
    begin = ours.sample(metric)
    alive: Callable[[], Any] = lambda: [load.process.poll() for load in loads]  # noqa: E731

    def more() -> bool:
        assert alive() == [None, None], "a core ended"
        return ours.sample(metric) >= begin + 60

    wait_until(more, seconds=60, what="60 more calls")
