"""`make demo-vault`: a real dev Vault; sync out of it with eso-core, push back into it through the provider.

The manifests beside this file are used as they are, but for the address and the token of the Vault that is started here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import grpc
from eso_e2e.vault import VaultServer
from provider_common.testing import ProviderHarness, StoreHandle
from provider_vault import KINDS

HERE = Path(__file__).parent


def main() -> int:
    """Run the demonstration. Returns the exit status."""
    with VaultServer() as vault, tempfile.TemporaryDirectory(prefix="demo-vault-") as folder:
        print(f"Vault {vault('GET', '/sys/health')['version']} serves at {vault.address}\n")
        seed(vault)
        manifests, output = Path(folder) / "manifests", Path(folder) / "output"
        copy_manifests(vault, manifests)
        print("1. Sync: eso-core dev starts provider-vault and reads from Vault", flush=True)
        core = [sys.executable, "-m", "eso_core", "dev", str(manifests), "--output", str(output)]
        if subprocess.run(core, check=False).returncode != 0:  # noqa: S603 - our own program
            return 1
        print("\n2. Push: the provider's PushSecret, and what Vault holds afterwards")
        return push_back(vault)


def seed(vault: VaultServer) -> None:
    """Put in what the manifests ask for, as somebody would by hand."""
    secrets: dict[str, dict[str, object]] = {
        "shop/database": {
            "host": "db.shop.svc",
            "port": 5432,
            "user": "shop",
            "password": "not-a-real-password",
        },
        "shop/payment": {"apiKey": "old-example-key", "gateway": {"url": "https://pay.example"}},
        "shop/partners/north": {"token": "example-north"},
        "shop/partners/south": {"token": "example-south"},
    }
    for name, data in secrets.items():
        vault("POST", f"/secret/data/{name}", {"data": data})
    vault(
        "POST",
        "/secret/data/shop/payment",
        {"data": {**secrets["shop/payment"], "apiKey": "new-example-key"}},
    )
    vault("POST", "/secret/metadata/shop/partners/north", {"custom_metadata": {"sync": "yes"}})


def copy_manifests(vault: VaultServer, folder: Path) -> None:
    """The manifests with this Vault's address and token."""
    folder.mkdir()
    for manifest in sorted(HERE.glob("*.yaml")):
        text = manifest.read_text().replace("http://127.0.0.1:8200", vault.address)
        (folder / manifest.name).write_text(text.replace("token: root", f"token: {vault.root_token}"))


def push_back(vault: VaultServer) -> int:
    """Push, push the same again, push one property, try to overwrite a foreign secret; then show what came of it."""
    rows = [("call", "answer", "versions in Vault")]
    with ProviderHarness(*KINDS) as provider:
        provider.kube.add_secret("shop", "vault-token", {"token": vault.root_token.encode()})
        auth = {"tokenSecretRef": {"name": "vault-token", "key": "token"}}
        store = provider.add_store("shop", {"server": vault.address, "path": "secret", "auth": auth})
        whole = {"user": b"report", "password": b"example-1"}
        rows.append(
            (
                "push shop/report",
                pushed(provider, store, "shop/report", whole),
                versions(vault, "shop/report"),
            )
        )
        rows.append(
            ("the same again", pushed(provider, store, "shop/report", whole), versions(vault, "shop/report"))
        )
        one = pushed(provider, store, "shop/report", {"p": b"example-2"}, property="password", secret_key="p")  # noqa: S106
        rows.append(("push its password only", one, versions(vault, "shop/report")))
        foreign = pushed(provider, store, "shop/database", whole)
        rows.append(("push over a foreign secret", foreign, versions(vault, "shop/database")))
    table(rows)
    held = vault("GET", "/secret/data/shop/report")["data"]
    kept = held["data"] == {"user": "report", "password": "example-2"}
    print(
        f"\nshop/report is marked {held['metadata']['custom_metadata']}, its user is {'kept' if kept else 'LOST'}"
    )
    return 0 if kept and foreign == "FAILED_PRECONDITION" else 1


def pushed(
    provider: ProviderHarness, store: StoreHandle, key: str, data: dict[str, bytes], **what: str
) -> str:
    """Push, and say how it went."""
    try:
        provider.push(
            store, key, data, property=what.get("property", ""), secret_key=what.get("secret_key", "")
        )
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def versions(vault: VaultServer, key: str) -> str:
    """How many versions Vault has."""
    return str(vault("GET", f"/secret/metadata/{key}")["data"]["current_version"])


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
