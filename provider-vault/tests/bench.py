"""A provider on loopback in front of a real Vault, and what tests do with the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eso_e2e.faultproxy import FaultProxy
from eso_e2e.vault import VaultApi
from provider_common.testing import ProviderHarness, StoreHandle
from provider_proto.provider.v1 import secretstore_pb2

NAMESPACE = "team-a"


def certificate_authority(vault: VaultApi) -> str:
    """A mount of the pki engine with a role `app`, whose certificates have leases."""
    mount = vault.mount("pki")
    vault("POST", f"/{mount}/root/generate/internal", {"common_name": "root", "ttl": "24h"})
    role = {"allow_any_name": True, "max_ttl": "10m", "generate_lease": True}
    vault("POST", f"/{mount}/roles/app", {**role, "key_type": "ec", "key_bits": 256})
    return mount


@dataclass
class Bench:
    """A provider and a Vault."""

    harness: ProviderHarness
    vault: VaultApi

    def spec(self, path: str | None, *, token: str = "", **more: Any) -> dict[str, Any]:
        """A spec that opens `path` with a token (root's unless told otherwise)."""
        name = "token-" + (token or self.vault.root_token)[-10:].lower().replace("_", "x").replace(
            "-", "x"
        ).replace(".", "x")
        self.harness.kube.add_secret(NAMESPACE, name, {"token": (token or self.vault.root_token).encode()})
        spec = {
            "server": self.vault.address,
            "auth": {"tokenSecretRef": {"name": name, "key": "token"}},
            **more,
        }
        if path is not None:
            spec["path"] = path
        return spec

    def store(self, path: str | None, *, name: str = "main", **more: Any) -> StoreHandle:
        """A store of that spec."""
        return self.harness.add_store(NAMESPACE, self.spec(path, **more), name=name)

    def through(
        self, proxy: FaultProxy, path: str | None, *, retries: int | None = 0, name: str = "main", **more: Any
    ) -> StoreHandle:
        """A store that reaches Vault through `proxy`; `retries` None leaves the provider's default."""
        spec = {**self.spec(path, **more), "server": proxy.url}
        handle = self.harness.add_store(NAMESPACE, spec, name=name)
        if retries is None:
            return handle
        settings = secretstore_pb2.RetrySettings(max_retries=retries, retry_interval="50ms")
        store = secretstore_pb2.StoreContext(
            api_version="secretstore.external-secrets.io/v2alpha1",
            kind="SecretStore",
            name=name,
            namespace=NAMESPACE,
            spec=secretstore_pb2.SecretStoreSpec(retry_settings=settings),
        )
        return replace(handle, store=store)

    def approle(self, rules: str, **role: Any) -> dict[str, Any]:
        """The `auth` of an AppRole login, at a mount of its own, whose tokens have the policy `rules` and live for an hour."""
        path = self.vault.enable_auth("approle")
        policy = self.vault.write_policy(rules)
        settings = {"token_policies": [policy], "token_ttl": "1h", **role}
        self.vault("POST", f"/auth/{path}/role/app", settings)
        role_id = self.vault("GET", f"/auth/{path}/role/app/role-id")["data"]["role_id"]
        secret_id = self.vault("POST", f"/auth/{path}/role/app/secret-id", {})["data"]["secret_id"]
        self.harness.kube.add_secret(NAMESPACE, "approle", {"secret": secret_id.encode()})
        secret = {"name": "approle", "key": "secret"}
        return {"appRole": {"path": path, "roleId": role_id, "secretRef": secret}}

    def calls(self) -> Mapping[str, float]:
        """Backend calls so far, by name, whatever their outcome."""
        found: dict[str, float] = {}
        for line in self.harness.metrics().splitlines():
            if line.startswith("externalsecret_provider_api_calls_count{"):
                labels, number = line.rsplit(" ", 1)
                call = labels.split('call="')[1].split('"')[0]
                found[call] = found.get(call, 0) + float(number)
        return found
