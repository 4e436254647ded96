"""`make demo-aws`: moto's AWS in a process of its own; sync out of it with eso-core, push back into it through the provider.

The manifests beside this file are used as they are; the endpoints of AWS come from the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import botocore.session
import grpc
from eso_e2e.moto import MotoServer
from provider_aws import KINDS
from provider_common.testing import ProviderHarness, StoreHandle

HERE = Path(__file__).parent
REGION = "eu-central-1"
ENDPOINTS = ("AWS_SECRETSMANAGER_ENDPOINT", "AWS_SSM_ENDPOINT", "AWS_STS_ENDPOINT", "AWS_ECR_ENDPOINT")


def main() -> int:
    """Run the demonstration. Returns the exit status."""
    with MotoServer() as moto, tempfile.TemporaryDirectory(prefix="demo-aws-") as folder:
        print(f"moto's AWS serves at {moto.url}\n")
        # For this process and those that it starts: the provider reads its endpoints here.
        os.environ.update(dict.fromkeys(ENDPOINTS, moto.url))
        secrets, parameters = (client(moto, service) for service in ("secretsmanager", "ssm"))
        seed(secrets, parameters)
        print("1. Sync: eso-core dev starts provider-aws and reads from AWS", flush=True)
        core = [sys.executable, "-m", "eso_core", "dev", str(HERE), "--output", str(Path(folder) / "output")]
        if subprocess.run(core, check=False).returncode != 0:  # noqa: S603 - our own program
            return 1
        print("\n2. Push: the provider's PushSecret, and what AWS holds afterwards")
        return push_back(secrets)


def client(moto: MotoServer, service: str) -> Any:
    """A plain client, past the provider."""
    return botocore.session.Session().create_client(
        service,
        region_name=REGION,
        endpoint_url=moto.url,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="not-a-real-key",  # noqa: S106
    )


def seed(secrets: Any, parameters: Any) -> None:
    """Put in what the manifests ask for, as somebody would by hand."""
    database = '{"host": "db.shop.svc", "port": 5432, "user": "shop", "password": "not-a-real-password"}'
    payment = '{"apiKey": "%s-example-key", "gateway": {"url": "https://pay.example"}}'
    secrets.create_secret(Name="shop/database", SecretString=database)
    secrets.create_secret(
        Name="shop/payment", SecretString=payment % "old", Tags=[{"Key": "team", "Value": "payments"}]
    )
    secrets.put_secret_value(SecretId="shop/payment", SecretString=payment % "new")
    for name, sync in (("north", "yes"), ("south", "yes-but-later")):
        secrets.create_secret(
            Name=f"shop/partners/{name}",
            SecretString=f"example-{name}",
            Tags=[{"Key": "sync", "Value": sync}],
        )
    parameters.put_parameter(Name="/shop/log-level", Value="info", Type="String")


def push_back(secrets: Any) -> int:
    """Push, push the same again, push and delete one property, try to overwrite a foreign secret; then show it."""
    rows = [("call", "answer", "versions in AWS")]
    with ProviderHarness(*KINDS) as provider:
        keys = {"access-key": b"AKIAIOSFODNN7EXAMPLE", "secret-access-key": b"not-a-real-key"}
        provider.kube.add_secret("shop", "awssm-secret", keys)
        refs = {
            "accessKeyIDSecretRef": {"name": "awssm-secret", "key": "access-key"},
            "secretAccessKeySecretRef": {"name": "awssm-secret", "key": "secret-access-key"},
        }
        spec = {"region": REGION, "auth": {"secretRef": refs}}
        store = provider.add_store("shop", spec, kind="AWSSecretManager")
        whole = {"user": b"report", "password": b"example-1", "note": b"temporary"}

        def show(call: str, answer: str, key: str) -> str:
            rows.append((call, answer, versions(secrets, key)))
            return answer

        show("push shop/report", pushed(provider, store, "shop/report", whole), "shop/report")
        show("the same again", pushed(provider, store, "shop/report", whole), "shop/report")
        one = pushed(provider, store, "shop/report", {"p": b"example-2"}, prop="password", key="p")
        show("push its password only", one, "shop/report")
        provider.delete(store, "shop/report", property="note")
        show("delete its note only", "OK", "shop/report")
        foreign = pushed(provider, store, "shop/database", whole)
        show("push over a foreign secret", foreign, "shop/database")
        held = provider.get_secret(store, "shop/report")
    table(rows)
    kept = held == b'{"password":"example-2","user":"report"}'
    tags = secrets.describe_secret(SecretId="shop/report")["Tags"]
    print(f"\nshop/report is marked {tags}, its user is {'kept' if kept else 'LOST'}")
    return 0 if kept and foreign == "FAILED_PRECONDITION" else 1


def pushed(
    provider: ProviderHarness,
    store: StoreHandle,
    name: str,
    data: dict[str, bytes],
    *,
    prop: str = "",
    key: str = "",
) -> str:
    """Push, and say how it went."""
    try:
        provider.push(store, name, data, property=prop, secret_key=key)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def versions(secrets: Any, name: str) -> str:
    """How many versions AWS has."""
    return str(len(secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
