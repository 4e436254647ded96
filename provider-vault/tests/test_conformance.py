"""Vault judged by the conformance suite: the provider as a process of its own, a real Vault, a proxy that plays faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from eso_e2e import judged
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.faults import Answer, BlackHole, too_many_requests
from eso_e2e.judged import GENERATORS, STORES, made
from eso_e2e.served import Served
from eso_e2e.vault import VaultApi
from provider_conformance.suite import EveryConformance
from provider_conformance.target import Existing, GeneratorTarget, Limits, StoreTarget, Target

from .bench import certificate_authority

pytestmark = pytest.mark.real


def token(namespace: str | None = None, name: str = "vault") -> dict[str, Any]:
    selector = {"name": name, "key": "token", **({"namespace": namespace} if namespace else {})}
    return {"tokenSecretRef": selector}


def manifests(server: str, root: str, mounts: list[str]) -> list[dict[str, Any]]:
    """Stores and generators in two teams, and the tokens they use."""
    main = {"server": server, "path": mounts[0]}
    random = {"path": "sys/tools/random/32", "method": "POST"}
    other = {"server": server, "path": mounts[1]}
    return [
        made("v1", "Secret", "team-a", "vault", stringData={"token": root}),
        made("v1", "Secret", "team-a", "wrong", stringData={"token": "hvs.not-a-token"}),
        made("v1", "Secret", "team-b", "for-b", stringData={"token": root}),
        made(STORES, "Vault", "team-a", "main", spec={**main, "auth": token()}),
        made(STORES, "Vault", "team-a", "second", spec={**other, "auth": token()}),
        made(STORES, "Vault", "team-b", "foreign", spec={**other, "auth": token(name="for-b")}),
        made(STORES, "Vault", "team-a", "borrows", spec={**main, "auth": token("team-b", "for-b")}),
        made(STORES, "Vault", "team-b", "referent", spec={**main, "auth": token()}),
        made(STORES, "Vault", "team-a", "refused", spec={**main, "auth": token(name="wrong")}),
        made(STORES, "Vault", "team-a", "nonsense", spec={**main, "version": "v1", "checkAndSet": {"required": True}}),
        made(
            GENERATORS, "VaultDynamicSecret", "team-a", "random", spec={"provider": {"server": server, "auth": token()}, **random}
        ),
        made(
            GENERATORS, "VaultDynamicSecret", "team-b", "random",
            spec={"provider": {"server": server, "auth": token()}, **random},
        ),
        made(
            GENERATORS, "VaultDynamicSecret", "team-a", "borrows",
            spec={"provider": {"server": server, "auth": token("team-b", "for-b")}, **random},
        ),
        made(
            GENERATORS, "VaultDynamicSecret", "team-a", "lease",
            spec={
                "provider": {"server": server, "auth": token()},
                "path": f"{mounts[2]}/issue/app",
                "method": "POST",
                "parameters": {"common_name": "app.example"},
                "revokeOnCleanup": True,
            },
        ),
        made(GENERATORS, "VaultDynamicSecret", "team-a", "nonsense", spec={"provider": {"server": server}, "path": 1}),
    ]  # fmt: skip


FAULTS = {
    "timeout": Answer(504, b"<html>a gateway that waited for Vault in vain</html>"),
    "unavailable": Answer(503, b'{"errors":["x"]}'),
    "denied": Answer(403, b'{"errors":["permission denied"]}'),
    "unauthenticated": Answer(401, b'{"errors":["x"]}'),
    "rate": too_many_requests(1),
    "oversize": Answer(
        200, json.dumps({"data": {"data": {"k": "x" * 5_000_000}, "metadata": {"version": 1}}}).encode()
    ),
    "hang": BlackHole(),
}


SLOW = 3.0

ROUNDED = (
    "Vault itself keeps KV v2 numbers as 64-bit floats: the digits are gone before anybody can read them."
)
KNOWN = {
    ("get.property-big-number", "kv2"): ROUNDED,
    ("map.value-kinds", "kv2"): ROUNDED,
    ("get.whole-document", "kv2"): ROUNDED,
}


@pytest.fixture(scope="module")
def proxy(vault_dev: VaultApi) -> Iterator[FaultProxy]:
    front = FaultProxy(vault_dev.address)
    for name, fault in FAULTS.items():
        front.inject(fault, path=f"/data/fault/{name}$")
    front.inject(delay=SLOW, path="/data/fault/slow$")
    yield front
    front.close()


@pytest.fixture(scope="module")
def mounts(vault_dev: VaultApi) -> list[str]:
    """Two key-value mounts and a PKI."""
    return [*(vault_dev.mount("kv", {"version": "2"}) for _ in range(2)), certificate_authority(vault_dev)]


class Seeder:
    """Puts secrets into the first mount past the provider, as a push would have made them."""

    def __init__(self, vault: VaultApi, mount: str) -> None:
        self._vault, self._mount = vault, mount

    def put(self, store: str, key: str, value: bytes, tags: Mapping[str, str]) -> None:
        """Create a secret, or a version of it; its tags are Vault's custom metadata."""
        del store
        where = quote(key)
        self._vault("POST", f"/{self._mount}/data/{where}", {"data": json.loads(value)})
        owned = {"custom_metadata": {"managed-by": "external-secrets", **tags}}
        self._vault("POST", f"/{self._mount}/metadata/{where}", owned)

    def delete(self, store: str, key: str) -> None:
        """Remove a secret with all its versions; what is absent is fine."""
        del store
        self._vault("DELETE", f"/{self._mount}/metadata/{quote(key)}")


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, vault_dev: VaultApi, proxy: FaultProxy, mounts: list[str]
) -> Iterator[Served]:
    for number in ("1", "2"):
        vault_dev("POST", f"/{mounts[0]}/data/versioned", {"data": {"value": f"number {number}"}})
    vault_dev("POST", f"/{mounts[0]}/data/fault/slow", {"data": {"value": "takes a while"}})
    vault_dev("POST", f"/{mounts[0]}/data/unmanaged", {"data": {"value": "made by hand"}})
    vault_dev("POST", f"/{mounts[1]}/data/versioned", {"data": {"value": "of another store"}})
    folder = tmp_path_factory.mktemp("vault")
    documents = manifests(proxy.url, vault_dev.root_token, mounts)
    with judged.serving("provider_vault", folder, documents) as running:
        yield running


@pytest.fixture(scope="module")
def target(served: Served, vault_dev: VaultApi, mounts: list[str]) -> Target:
    store = StoreTarget(
        name="kv2",
        api_version=STORES,
        kind="Vault",
        seed=Seeder(vault_dev, mounts[0]),
        keys=(
            Existing("versioned", b"number 1", property="value", version="1"),
            Existing("versioned", b"number 2", property="value", version="2"),
            Existing("versioned", b"number 2", property="value"),
        ),
        limits=Limits(
            values="object",
            max_value_bytes=1 << 20,
            key_pattern=r"(?!/)(?!.*//)(?!.*/$)(?!(.*/)?\.{1,2}(/|$))[^\x00-\x1f]+",
            find=("name", "tags", "path"),
            metadata_fetch=True,
            push_metadata=False,
            exists_property=True,
            backend_calls=True,
        ),
        faults=judged.faults("fault/", slow=SLOW, unmanaged="unmanaged"),
        **judged.STORE_OBJECTS,
    )
    random = GeneratorTarget(
        name="random",
        api_version=GENERATORS,
        kind="VaultDynamicSecret",
        **judged.generator_objects("random"),
    )
    lease = GeneratorTarget(
        name="lease",
        api_version=GENERATORS,
        kind="VaultDynamicSecret",
        stateful=True,
        **judged.generator_objects("lease", foreign="random"),
    )
    return judged.target(
        served,
        "provider-vault",
        stores=(store,),
        generators=(random, lease),
        known_failures={f"{check}[{store}]": reason for (check, store), reason in KNOWN.items()},
    )


class TestConformance(EveryConformance):  # type: ignore[misc, valid-type]  # made by a function
    """Every check of the suite."""
