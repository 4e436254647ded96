"""A Secret Manager that runs here: sync out of it with eso-core, push back into it through the provider.

The manifests beside this file are used as they are. What differs from a real project is in the environment: the
endpoint, the roots that are trusted, the proxy behind which Google's token services are played, and a key file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.gcp import SecretManagerServer
from eso_e2e.gcp_tokens import GoogleTokens
from eso_e2e.pki import CertificateAuthority
from provider_common.testing import ProviderHarness, StoreHandle
from provider_gcp import KINDS

HERE = Path(__file__).parent


def main() -> int:
    """Run the demonstration. Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="demo-gcp-") as folder, google(Path(folder)) as server:
        print(f"A Secret Manager serves at {server.address}\n")
        seed(server)
        print("1. Sync: eso-core dev starts provider-gcp and reads from Secret Manager", flush=True)
        output = Path(folder) / "output"
        core = [sys.executable, "-m", "eso_core", "dev", str(HERE), "--output", str(output)]
        if subprocess.run(core, check=False).returncode != 0:  # noqa: S603 - our own program
            return 1
        print("\n2. Push: the provider's PushSecret, and what Secret Manager holds afterwards")
        return push_back(server)


@contextmanager
def google(folder: Path) -> Iterator[SecretManagerServer]:
    """Secret Manager and the token services, and an environment that leads to them."""
    authority = CertificateAuthority(folder / "authority")
    with closing(GoogleTokens()) as tokens, closing(FaultProxy(authority=authority)) as proxy:
        tokens.behind(proxy)
        key = folder / "key.json"
        key.write_text(tokens.service_account_key("shop@acme.iam.gserviceaccount.com"))
        with SecretManagerServer(authority.issue("secretmanager"), accepts=tokens.accepts) as server:
            os.environ |= {
                "GCP_SECRET_MANAGER_ENDPOINT": server.address,
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority.ca_file),
                "REQUESTS_CA_BUNDLE": str(authority.ca_file),
                "HTTPS_PROXY": proxy.url,
                "NO_PROXY": "localhost,127.0.0.1",
                "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            }
            yield server


def seed(server: SecretManagerServer) -> None:
    """Put in what the manifests ask for, as somebody would by hand."""
    database = '{"host": "db.shop.svc", "port": 5432, "user": "shop", "password": "not-a-real-password"}'
    server.put("shop-database", database)
    server.put("shop-payment-key", "old-example-key")
    server.put("shop-payment-key", "new-example-key")
    server.put("shop-payment", '{"gateway": {"url": "https://pay.example"}}', labels={"team": "billing"})
    server.put("shop-partner-north", "example-north", labels={"sync": "yes"})
    server.put("shop-partner-south", "example-south")


def push_back(server: SecretManagerServer) -> int:
    """Push, push the same again, push one property, try to overwrite a foreign secret; then show what came of it."""
    rows = [("call", "answer", "versions in Secret Manager")]
    with ProviderHarness(*KINDS) as provider:
        store = provider.add_store("shop", {"projectID": "acme"})
        whole = {"user": b"report", "password": b"example-1"}
        for what in ("push shop-report", "the same again"):
            answer = pushed(provider, store, "shop-report", whole)
            rows.append((what, answer, versions(server, "shop-report")))
        one = pushed(provider, store, "shop-report", {"p": b"example-2"}, property="password", secret_key="p")  # noqa: S106
        rows.append(("push its password only", one, versions(server, "shop-report")))
        foreign = pushed(provider, store, "shop-database", whole)
        rows.append(("push over a foreign secret", foreign, versions(server, "shop-database")))
    table(rows)
    held, made = server.values("shop-report")[-1], server.secret("shop-report")
    kept = held == b'{"password":"example-2","user":"report"}'
    labels = dict(made.labels) if made is not None else {}
    print(f"\nshop-report is marked {labels}, its user is {'kept' if kept else 'LOST'}")
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


def versions(server: SecretManagerServer, key: str) -> str:
    """How many versions there are."""
    return str(len(server.values(key)))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
