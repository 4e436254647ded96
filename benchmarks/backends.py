"""The real providers, each a process in front of its backend: what their calls cost the backend, and what our hop adds."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import yaml
from eso_e2e.http import JsonClient
from eso_e2e.vault import VaultServer
from provider_proto.provider.v1 import secretstore_pb2 as pb

from benchmarks.processes import Running, provider, running

NAMESPACE = "team-a"
FOUND = 5_000
_CALLS = re.compile(r'externalsecret_provider_api_calls_count\{.*?call="(\w+)".*?\} ([\d.e+]+)')


@dataclass(frozen=True)
class Backend:
    """A backend that is seeded, and the provider that speaks to it."""

    name: str
    module: str
    manifests: list[dict[str, Any]]
    ref: pb.ProviderReference
    keys: list[str]
    """At least 1 000, each a JSON object with members p0 … p9."""
    find: pb.ExternalSecretFind
    """Finds `FOUND` secrets, named many…"""
    direct: Callable[[str], object]
    """One read past the provider, as its client library does it."""
    environ: dict[str, str] = field(default_factory=dict)


class Client:
    """Calls one provider as a core does."""

    def __init__(self, channel: grpc.Channel, backend: Backend) -> None:
        self._backend = backend
        self._get = channel.unary_unary(
            "/provider.v1.SecretStoreProvider/GetSecret",
            request_serializer=pb.GetSecretRequest.SerializeToString,
            response_deserializer=pb.GetSecretResponse.FromString,
        )
        self._find = channel.unary_unary(
            "/provider.v1.SecretStoreProvider/GetAllSecrets",
            request_serializer=pb.GetAllSecretsRequest.SerializeToString,
            response_deserializer=pb.GetAllSecretsResponse.FromString,
        )

    def get(self, key: str, prop: str = "") -> bytes:
        """GetSecret."""
        ref = pb.ExternalSecretDataRemoteRef(key=key, property=prop)
        request = pb.GetSecretRequest(
            remote_ref=ref, provider_ref=self._backend.ref, source_namespace=NAMESPACE
        )
        value: bytes = self._get(request, timeout=30).value
        return value

    def find(self) -> int:
        """GetAllSecrets: how many were found."""
        request = pb.GetAllSecretsRequest(
            find=self._backend.find, provider_ref=self._backend.ref, source_namespace=NAMESPACE
        )
        return len(self._find(request, timeout=120).secrets)


@contextmanager
def client(backend: Backend, folder: Path, tls: Path, *extra: str) -> Iterator[tuple[Client, Running]]:
    """The provider's process over the backend's manifests, and a client of it."""
    manifests = folder / backend.name
    manifests.mkdir(exist_ok=True)
    (manifests / "all.yaml").write_text(yaml.safe_dump_all(backend.manifests))
    ready = folder / f"{backend.name}.json"
    command = provider(backend.module, manifests, tls, ready, *extra)
    with running(command, ready, backend.environ) as server:
        credentials = grpc.ssl_channel_credentials(
            *((tls / name).read_bytes() for name in ("ca.crt", "client.key", "client.crt"))
        )
        options = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
        with grpc.secure_channel(f"localhost:{server.port}", credentials, options) as channel:
            yield Client(channel, backend), server


def calls(server: Running) -> dict[str, float]:
    """Calls to the backend so far, by name."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    counted: dict[str, float] = {}
    for name, value in _CALLS.findall(text):
        counted[name] = counted.get(name, 0) + float(value)
    return counted


def quantiles(read: Callable[[str], object], keys: list[str]) -> tuple[float, float]:
    """p50 and p99 in milliseconds of reading each key, one after the other."""
    times = []
    for key in keys:
        began = time.perf_counter()
        read(key)
        times.append((time.perf_counter() - began) * 1000)
    cut = statistics.quantiles(times, n=100)
    return cut[49], cut[98]


def measure(backend: Backend, folder: Path, tls: Path) -> Iterator[tuple[str, float, str]]:
    """(name, value, unit) of everything that is measured for one backend."""
    with client(backend, folder, tls) as (caller, server):
        yield "from exec to SERVING", server.started_in, "s"
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(caller.get, backend.keys[:1000]))
        for name, count in sorted(calls(server).items()):
            yield f"1 000 GetSecret on one store: {name}", count, "calls"
        before = sum(calls(server).values())
        asked = [(key, f"p{i}") for key in backend.keys[1000:1010] for i in range(10)]
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda pair: caller.get(*pair), asked))
        yield (
            "10 secrets x 10 properties at once: backend calls",
            sum(calls(server).values()) - before,
            "calls",
        )
        for _ in range(10):
            list(map(caller.get, backend.keys[:1000]))
        yield "RSS after 10 k calls", server.rss(), "MiB"
        before_find = server.rss()
        found = caller.find()
        if found != FOUND:
            raise RuntimeError(f"{backend.name}: the find gave {found} secrets, not {FOUND}")
        yield f"find of {FOUND} secrets: RSS grows by", server.rss() - before_find, "MiB"
    with client(backend, folder, tls, "--read-window", "0s") as (caller, server):
        keys = backend.keys[:500]
        list(map(caller.get, keys[:50]))
        ours, theirs = [], []
        for _ in range(3):
            ours.append(quantiles(caller.get, keys))
            theirs.append(quantiles(backend.direct, keys))
        for place, name in enumerate(("p50", "p99")):
            added = statistics.median(o[place] for o in ours) - statistics.median(t[place] for t in theirs)
            yield f"added by our hop on a warm store: {name}", added, "ms"


def members(number: int) -> dict[str, str]:
    """Ten members."""
    return {f"p{i}": f"value {i} of {number}" for i in range(10)}


@contextmanager
def vault() -> Iterator[Backend]:
    """A real Vault with an AppRole login."""
    with VaultServer() as server:
        mount = server.mount("kv", {"version": "2"})
        for number in range(1010):
            server("POST", f"/{mount}/data/one/{number}", {"data": members(number)})
        for number in range(FOUND):
            server("POST", f"/{mount}/data/many/{number}", {"data": {"n": str(number)}})
        policy = server.write_policy(f'path "{mount}/*" {{ capabilities = ["read", "list"] }}')
        path = server.enable_auth("approle")
        server("POST", f"/auth/{path}/role/bench", {"token_policies": [policy], "token_ttl": "1h"})
        role = server("GET", f"/auth/{path}/role/bench/role-id")["data"]["role_id"]
        secret_id = server("POST", f"/auth/{path}/role/bench/secret-id", {})["data"]["secret_id"]
        login = {"appRole": {"path": path, "roleId": role, "secretRef": {"name": "approle", "key": "secret"}}}
        token = server.create_token(policies=[policy])
        direct = JsonClient(f"{server.address}/v1", headers={"X-Vault-Token": token})
        yield Backend(
            name="vault",
            module="provider_vault",
            manifests=[
                secret("approle", {"secret": secret_id}),
                config("Vault", {"server": server.address, "path": mount, "auth": login}),
            ],
            ref=reference("Vault"),
            keys=[f"one/{number}" for number in range(1010)],
            find=pb.ExternalSecretFind(path="many", name=pb.FindName(regexp=".*")),
            direct=lambda key: direct("GET", f"/{mount}/data/{key}"),
        )
        direct.close()


STORES = "provider.secretstore.external-secrets.io/v2alpha1"


def secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    """A Secret's manifest."""
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


def config(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A configuration object's manifest."""
    meta = {"name": "main", "namespace": NAMESPACE}
    return {"apiVersion": STORES, "kind": kind, "metadata": meta, "spec": spec}


def reference(kind: str) -> pb.ProviderReference:
    """What a core sends for `config`."""
    return pb.ProviderReference(
        api_version=STORES, kind=kind, name="main", namespace=NAMESPACE, store_ref_kind="SecretStore"
    )


@contextmanager
def aws() -> Iterator[Backend]:
    """moto's Secrets Manager, with static keys and a chain of two roles."""
    import botocore.session
    from eso_e2e.moto import MotoServer

    with MotoServer() as server:
        moto = botocore.session.Session().create_client(
            "secretsmanager",
            region_name="eu-central-1",
            endpoint_url=server.url,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="example",
        )
        for number in range(1010):
            moto.create_secret(Name=f"one/{number}", SecretString=json.dumps(members(number)))
        for number in range(FOUND):
            moto.create_secret(Name=f"many/{number}", SecretString=str(number))
        keys = {
            "accessKeyIDSecretRef": {"name": "aws", "key": "id"},
            "secretAccessKeySecretRef": {"name": "aws", "key": "secret"},
        }
        spec = {
            "region": "eu-central-1",
            "auth": {"secretRef": keys},
            "additionalRoles": ["arn:aws:iam::123456789012:role/hop"],
            "role": "arn:aws:iam::123456789012:role/reader",
        }
        yield Backend(
            name="aws",
            module="provider_aws",
            manifests=[
                secret("aws", {"id": "AKIAIOSFODNN7EXAMPLE", "secret": "example"}),
                config("AWSSecretManager", spec),
            ],
            ref=reference("AWSSecretManager"),
            keys=[f"one/{number}" for number in range(1010)],
            find=pb.ExternalSecretFind(path="many/", name=pb.FindName(regexp="^many/")),
            direct=lambda key: moto.get_secret_value(SecretId=key),
            environ={f"AWS_{service}_ENDPOINT": server.url for service in ("SECRETSMANAGER", "STS")},
        )


@contextmanager
def gcp() -> Iterator[Backend]:
    """A server of Google's published Secret Manager messages, and Google's token service behind a proxy."""
    from eso_e2e.faultproxy import FaultProxy
    from eso_e2e.gcp import SecretManagerServer
    from eso_e2e.gcp_tokens import GoogleTokens
    from eso_e2e.pki import CertificateAuthority
    from google.cloud import secretmanager_v1 as sm

    with tempfile.TemporaryDirectory() as folder:
        authority = CertificateAuthority(Path(folder))
        tokens = GoogleTokens()

        def accepts(token: str) -> bool:
            return token == "direct" or tokens.accepts(token)

        with SecretManagerServer(authority.issue("secretmanager"), accepts=accepts) as server:
            proxy = FaultProxy(authority=authority)
            tokens.behind(proxy)
            for number in range(1010):
                server.put(f"one-{number}", json.dumps(members(number)).encode())
            for number in range(FOUND):
                server.put(f"many-{number}", str(number).encode())
            email = "reader@acme.iam.gserviceaccount.com"
            ref = {"secretAccessKeySecretRef": {"name": "gcp", "key": "key.json"}}
            roots = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
            direct = grpc.secure_channel(server.address, roots)
            access = direct.unary_unary(
                "/google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion",
                request_serializer=sm.AccessSecretVersionRequest.serialize,
                response_deserializer=sm.AccessSecretVersionResponse.deserialize,
            )
            bearer = (("authorization", "Bearer direct"),)
            yield Backend(
                name="gcp",
                module="provider_gcp",
                manifests=[
                    secret("gcp", {"key.json": tokens.service_account_key(email)}),
                    config("GCPSecretManager", {"projectID": "acme", "auth": {"secretRef": ref}}),
                ],
                ref=reference("GCPSecretManager"),
                keys=[f"one-{number}" for number in range(1010)],
                find=pb.ExternalSecretFind(name=pb.FindName(regexp="^many-")),
                direct=lambda key: access(
                    sm.AccessSecretVersionRequest(name=f"projects/acme/secrets/{key}/versions/latest"),
                    metadata=bearer,
                    timeout=10,
                ),
                environ={
                    "GCP_SECRET_MANAGER_ENDPOINT": server.address,
                    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority.ca_file),
                    "REQUESTS_CA_BUNDLE": str(authority.ca_file),
                    "HTTPS_PROXY": proxy.url,
                    "HTTP_PROXY": proxy.url,
                    "NO_PROXY": "localhost,127.0.0.1",
                },
            )
            direct.close()
            proxy.close()
        tokens.close()
