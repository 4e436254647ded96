"""`eso-core sync`: by a provider that runs already, whose certificate carries the name in the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from provider_common.testing import issue_certs

ADDRESS = "provider-contrib.default.svc:8080"


@pytest.fixture
def certs(tmp_path: Path) -> Any:
    return issue_certs(tmp_path / "tls", hosts=("provider-contrib.default.svc",))


@pytest.fixture
def port(start: Any, folder: Any, certs: Any, tmp_path: Path) -> int:
    """A real provider-contrib that reads the same folder."""
    folder.write("a.yaml", folder.store, folder.external)
    ready = tmp_path / "ready.json"
    process = start(
        "provider_contrib", "serve", "--manifests", folder.path, "--host", "127.0.0.1", "--port", "0", "--http-port", "0",
        "--tls-dir", certs.path, "--ready-file", ready,
    )  # fmt: skip
    import time

    ends = time.monotonic() + 60
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.02)
    found: int = json.loads(ready.read_text())["port"]
    return found


def test_a_running_provider_is_called(core: Any, folder: Any, certs: Any, port: int) -> None:
    """As after kubectl port-forward: another address, the same name in the certificate."""
    ended = core(
        "sync",
        folder.path,
        "--output",
        folder.output,
        "--tls-dir",
        certs.path,
        "--endpoint",
        f"{ADDRESS}=127.0.0.1:{port}",
    )
    assert ended.status == 0, ended.out + ended.err
    assert folder.secret().data == {"v": b"from-fake"}


def test_a_client_certificate_from_a_secret_is_used(
    core: Any, folder: Any, certs: Any, port: int, tmp_path: Path
) -> None:
    """providerConfig.auth.clientCertificate names a Secret of the folder; --tls-dir is then only for the others."""
    import base64

    keys = {
        name: base64.b64encode((certs.path / name).read_bytes()).decode()
        for name in ("ca.crt", "client.crt", "client.key")
    }
    folder.write(
        "tls.yaml",
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "mtls", "namespace": "team-a"},
                "data": keys,
            }
        ),
    )
    folder.write(
        "a.yaml",
        folder.store.replace(
            "    providerRef", "    auth: {clientCertificate: {name: mtls}}\n    providerRef"
        ),
        folder.external,
    )
    other = issue_certs(tmp_path / "other")
    arguments = [
        "sync",
        folder.path,
        "--output",
        folder.output,
        "--tls-dir",
        other.path,
        "--endpoint",
        f"{ADDRESS}=127.0.0.1:{port}",
        "--json",
    ]
    assert core(*arguments).status == 0
    (folder.path / "tls.yaml").unlink()
    (row,) = json.loads(core(*arguments, "--refresh").out)["externalSecrets"]
    assert (
        "spec.providerConfig.auth.clientCertificate: Secret team-a/mtls is not in the folder"
        in row["message"]
    )


def test_a_token_cannot_be_sent_from_a_folder(core: Any, folder: Any, certs: Any) -> None:
    """Nothing in a folder can sign one; to call without it would be to ignore what the manifest says."""
    folder.write(
        "a.yaml",
        folder.store.replace(
            "    providerRef", "    auth: {serviceAccountRef: {name: core}}\n    providerRef"
        ),
        folder.external,
    )
    ended = core("sync", folder.path, "--output", folder.output, "--tls-dir", certs.path, "--json")
    (row,) = json.loads(ended.out)["externalSecrets"]
    assert (
        "spec.providerConfig.auth.serviceAccountRef: a folder has no ServiceAccount tokens" in row["message"]
    )


def test_nobody_there_is_told(core: Any, folder: Any, certs: Any) -> None:
    """With the address and what to check."""
    folder.write("a.yaml", folder.store, folder.external)
    ended = core(
        "sync",
        folder.path,
        "--output",
        folder.output,
        "--tls-dir",
        certs.path,
        "--endpoint",
        f"{ADDRESS}=127.0.0.1:1",
    )
    assert ended.status == 1
    assert f"the provider at {ADDRESS} can't be reached: check that it runs" in ended.out
    assert "Traceback" not in ended.err
