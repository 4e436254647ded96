"""The way of docs/interop.md, as far as it goes without the Go core's binary: its CRDs, its role, its objects in a real API server,
and the calls that a Go core makes for them.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from eso_e2e.gopeer import GoPeer
from eso_e2e.interop import HOST, STORE_SERVICE, GoCerts, go_certs, our_provider
from eso_e2e.kube_api import KubeApi

pytestmark = pytest.mark.real

PAGE = Path(__file__).resolve().parents[2] / "docs/interop.md"


def of_the_page(kind: str) -> Iterator[dict[str, Any]]:
    for block in re.findall(
        r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        yield from (found for found in yaml.safe_load_all(block) if found["kind"] == kind)


def test_the_steps_of_the_page_serve_a_go_core(kube_api: KubeApi, go_peer: GoPeer, tmp_path: Path) -> None:
    """CRDs with the aliases, a ServiceAccount with the page's role and nothing more, the page's Fake: a Go core of either family
    validates the store and reads from it."""
    certs: GoCerts = go_certs(go_peer, tmp_path)
    crds = subprocess.run(
        [sys.executable, "-m", "provider_contrib", "crds", "--aliases"],
        capture_output=True,
        text=True,
        check=True,
    )
    kube_api.apply(crds.stdout)
    namespace = kube_api.create_namespace("interop")
    fake = next(of_the_page("Fake"))
    kube_api.apply({**fake, "metadata": {**fake["metadata"], "namespace": namespace}})
    (role,) = of_the_page("ClusterRole")
    kubeconfig = kube_api.service_account_kubeconfig(namespace, "provider-contrib", role["rules"])

    ref = {"apiVersion": fake["apiVersion"], "kind": "Fake", "name": fake["metadata"]["name"]}
    steps = []
    for kind, written in (("SecretStore", namespace), ("Provider", "")):
        store = {
            "providerRef": {**ref, "namespace": written, "storeRefKind": kind},
            "sourceNamespace": namespace,
        }
        steps += [
            {"call": f"{STORE_SERVICE}/Validate", "request": store},
            {"call": f"{STORE_SERVICE}/Capabilities", "request": store},
            {"call": f"{STORE_SERVICE}/GetSecret", "request": {**store, "remoteRef": {"key": "greeting"}}},
        ]
    with our_provider(None, certs.path, tmp_path / "log", kubeconfig=kubeconfig) as ours:
        report = go_peer.run(ours.address, steps, **certs.client, server_name=HOST)

    hello = base64.b64encode(b"hello").decode()
    expected = [{"valid": True}, {"capabilities": "READ_WRITE"}, {"value": hello}] * 2
    assert [step.get("response") for step in report["steps"]] == expected, report
