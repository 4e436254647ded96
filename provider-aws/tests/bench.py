"""A provider, moto's AWS, a proxy between them, and what tests do with the three."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import botocore.session
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.moto import MotoApi
from provider_common.testing import ProviderHarness, StoreHandle
from provider_proto.provider.v1 import secretstore_pb2

NAMESPACE = "team-a"
REGION = "eu-central-1"
ENDPOINTS = (
    "AWS_SECRETSMANAGER_ENDPOINT",
    "AWS_SSM_ENDPOINT",
    "AWS_STS_ENDPOINT",
    "AWS_ECR_ENDPOINT",
    "AWS_ECR_PUBLIC_ENDPOINT",
)
_numbers = itertools.count()


@dataclass
class Bench:
    """A provider, moto, and a proxy between them that counts and spoils."""

    harness: ProviderHarness
    moto: MotoApi
    proxy: FaultProxy
    unique: str = field(default_factory=lambda: f"t{next(_numbers)}")

    def spec(self, **more: Any) -> dict[str, Any]:
        """A spec with static keys, as in the design's example."""
        self.harness.kube.add_secret(
            NAMESPACE, "awssm-secret", {"access-key": b"AKIAIOSFODNN7EXAMPLE", "secret-access-key": b"sesame"}
        )
        refs = {
            "accessKeyIDSecretRef": {"name": "awssm-secret", "key": "access-key"},
            "secretAccessKeySecretRef": {"name": "awssm-secret", "key": "secret-access-key"},
        }
        return {"region": REGION, "auth": {"secretRef": refs}, **more}

    def store(
        self, kind: str = "AWSSecretManager", *, name: str = "main", retries: int | None = 0, **more: Any
    ) -> StoreHandle:
        """A store of that spec; `retries` None leaves the provider's default."""
        handle = self.harness.add_store(NAMESPACE, self.spec(**more), kind=kind, name=name)
        return handle if retries is None else with_retries(handle, retries)

    def aws(self, service: str) -> Any:
        """A plain client of moto, past the provider and the proxy."""
        return plain_client(self.moto, service)

    def sent(self, operation: str) -> int:
        """Requests of one operation that reached the proxy."""
        return self.proxy.count(headers={"X-Amz-Target": rf"\.{operation}$"}) + self.proxy.count(
            body=rf"(^|&)Action={operation}(&|$)"
        )

    def calls(self) -> Mapping[str, float]:
        """Backend calls counted so far, by name, whatever their outcome."""
        found: dict[str, float] = {}
        for line in self.harness.metrics().splitlines():
            if line.startswith("externalsecret_provider_api_calls_count{"):
                labels, number = line.rsplit(" ", 1)
                call = labels.split('call="')[1].split('"')[0]
                found[call] = found.get(call, 0) + float(number)
        return found


def plain_client(moto: MotoApi, service: str, region: str = REGION) -> Any:
    """A client of moto as anybody makes one."""
    return botocore.session.Session().create_client(
        service,
        region_name=region,
        endpoint_url=moto.url,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="sesame",
    )


def with_retries(handle: StoreHandle, retries: int, interval: str = "20ms") -> StoreHandle:
    """The same store with `retrySettings`, as our own core sends it."""
    settings = secretstore_pb2.RetrySettings(max_retries=retries, retry_interval=interval)
    store = secretstore_pb2.StoreContext(
        api_version="secretstore.external-secrets.io/v2alpha1",
        kind="SecretStore",
        name=handle.name,
        namespace=handle.namespace,
        spec=secretstore_pb2.SecretStoreSpec(retry_settings=settings),
    )
    return replace(handle, store=store)


def target(operation: str) -> dict[str, str]:
    """The condition that tells the proxy one operation of Secrets Manager, Parameter Store or ECR."""
    return {"X-Amz-Target": rf"\.{operation}$"}
