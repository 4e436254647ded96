"""Whose credentials a Go core's request uses: read where Go's servers of that core's family read them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from eso_e2e.gopeer import GoPeer
from eso_e2e.interop import HOST, STORE_SERVICE, GoCerts, RunningProvider, go_certs, our_provider

pytestmark = pytest.mark.real

GROUP = "provider.external-secrets.io/v2alpha1"
DENIED = "PermissionDenied"
TABLE = [
    # store kind, reference's namespace, source namespace, selector's namespace, the credentials' namespace
    ("SecretStore", "team-a", "team-a", "", "team-a"),
    ("SecretStore", "team-a", "team-a", "team-a", "team-a"),
    ("SecretStore", "team-a", "team-a", "shared", DENIED),
    ("ClusterSecretStore", "shared", "team-a", "", "shared"),
    ("ClusterSecretStore", "shared", "team-b", "", "shared"),
    ("ClusterSecretStore", "shared", "team-b", "team-a", "team-a"),
    ("ClusterSecretStore", "team-b", "team-b", "", "team-b"),
    ("ClusterSecretStore", "team-b", "team-b", "shared", "shared"),
    ("Provider", "", "team-a", "", "team-a"),
    ("Provider", "team-a", "team-a", "", "team-a"),
    ("Provider", "", "team-a", "shared", DENIED),
    ("ClusterProvider", "shared", "shared", "", "shared"),
    ("ClusterProvider", "", "team-b", "", "team-b"),
    ("ClusterProvider", "shared", "team-b", "", "team-b"),
    ("ClusterProvider", "shared", "team-b", "shared", "shared"),
]


def manifests() -> Iterator[dict[str, Any]]:
    """In each namespace a Secret that says where it is, and an object for each selector that a store may have."""
    for namespace in ("team-a", "team-b", "shared"):
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "token", "namespace": namespace},
            "stringData": {"value": namespace},
        }
        for selected in ("", "team-a", "team-b", "shared"):
            selector = {"name": "token", "key": "value"} | ({"namespace": selected} if selected else {})
            yield {
                "apiVersion": GROUP,
                "kind": "Login",
                "metadata": {"name": f"by-{selected or 'none'}", "namespace": namespace},
                "spec": {"tokenSecretRef": selector},
            }


@pytest.fixture(scope="module")
def certs(go_peer: GoPeer, tmp_path_factory: pytest.TempPathFactory) -> GoCerts:
    return go_certs(go_peer, tmp_path_factory.mktemp("interop"))


@pytest.fixture(scope="module")
def provider(certs: GoCerts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    folder = tmp_path_factory.mktemp("login")
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    script = str(Path(__file__).with_name("login_provider.py"))
    log = tmp_path_factory.mktemp("log") / "log"
    with our_provider(folder, certs.path, log, command=(script,)) as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "namespace", "source", "selector", "credentials"),
    TABLE,
    ids=[
        f"{kind}-{config or 'none'}-for-{source}-by-{selector or 'none'}"
        for kind, config, source, selector, _ in TABLE
    ],
)
def test_credentials_are_those_of_the_go_servers(
    kind: str,
    namespace: str,
    source: str,
    selector: str,
    credentials: str,
    provider: RunningProvider,
    certs: GoCerts,
    go_peer: GoPeer,
) -> None:
    """As the families' servers do it, with one difference on purpose: a namespaced store whose selector names another namespace
    is refused, where Go's servers look into the store's namespace without a word."""
    ref = {
        "apiVersion": GROUP,
        "kind": "Login",
        "name": f"by-{selector or 'none'}",
        "namespace": namespace,
        "storeRefKind": kind,
    }
    request = {"providerRef": ref, "sourceNamespace": source, "remoteRef": {"key": "whoami"}}
    report = go_peer.run(
        provider.address,
        [{"call": f"{STORE_SERVICE}/GetSecret", "request": request}],
        **certs.client,
        server_name=HOST,
    )
    (step,) = report["steps"]
    if credentials == DENIED:
        assert step["code"] == DENIED
        assert "'shared'" in step["message"]
    else:
        assert base64.b64decode(step["response"]["value"]).decode() == credentials


@pytest.mark.parametrize(("kind", "namespace"), [("ClusterSecretStore", "shared"), ("ClusterProvider", "")])
def test_a_read_only_kind_says_so_without_a_look_at_anything(
    kind: str, namespace: str, provider: RunningProvider, certs: GoCerts, go_peer: GoPeer
) -> None:
    """Capabilities of a store whose object does not exist, with an empty source namespace, as the store controllers ask."""
    ref = {
        "apiVersion": GROUP,
        "kind": "Login",
        "name": "no-such",
        "namespace": namespace,
        "storeRefKind": kind,
    }
    call = {"call": f"{STORE_SERVICE}/Capabilities", "request": {"providerRef": ref}}
    (step,) = go_peer.run(provider.address, [call], **certs.client, server_name=HOST)["steps"]
    # READ_ONLY is the enum's zero, which JSON leaves out.
    assert (step["code"], step["response"]) == ("OK", {})
