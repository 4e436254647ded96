"""Tools for the tests of providers, public like the rest: a fake Kubernetes, and a harness that calls a provider over real
gRPC with mutual TLS on loopback.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import error_details_pb2, status_pb2
from provider_proto import CONTRACT_VERSION, CONTRACT_VERSION_KEY, GENERATOR_SERVICE, SECRET_STORE_SERVICE
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

from provider_common.catalog import Catalog, Kind
from provider_common.certificates import CertFolder, issue_certs
from provider_common.errors import MissingReferenceError, TemporaryError
from provider_common.kube import IssuedToken, KubeObject, ServedType, ServiceAccountInfo, WatchStatus
from provider_common.server import KindClass, Server, ServerConfig
from provider_common.spec import Spec


class FakeKube:
    """A Kubernetes in memory that remembers who asked for what. It is a `KubeReader`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str, str, str], KubeObject] = {}
        self._secrets: dict[tuple[str, str], dict[str, bytes]] = {}
        self._config_maps: dict[tuple[str, str], dict[str, bytes]] = {}
        self._accounts: dict[tuple[str, str], ServiceAccountInfo] = {}
        self.secrets_read: list[tuple[str, str]] = []
        self.config_maps_read: list[tuple[str, str]] = []
        self.accounts_read: list[tuple[str, str]] = []
        self.tokens_issued: list[tuple[str, str, tuple[str, ...]]] = []
        self.unavailable = False
        """True makes every read of a Secret, ConfigMap, ServiceAccount or token fail as an API server that is away."""
        self.synced = True
        """False is a reader that has not seen its objects yet."""

    def add_object(self, manifest: Mapping[str, Any]) -> KubeObject:
        """Create or replace a configuration object; its generation grows."""
        meta = manifest["metadata"]
        key = (manifest["apiVersion"], manifest["kind"], meta.get("namespace", "default"), meta["name"])
        with self._lock:
            old = self._objects.get(key)
            generation = old.generation + 1 if old else 1
            made = KubeObject(
                *key,
                spec=manifest.get("spec") or {},
                uid=meta.get("uid") or (old.uid if old else "/".join(key)),
                generation=generation,
                resource_version=str(generation),
            )
            self._objects[key] = made
        return made

    def remove_object(self, api_version: str, kind: str, namespace: str, name: str) -> None:
        """Delete a configuration object."""
        with self._lock:
            del self._objects[api_version, kind, namespace, name]

    def add_secret(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        """Create or replace a Secret."""
        self._secrets[namespace, name] = dict(data)

    def remove_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret."""
        del self._secrets[namespace, name]

    def add_config_map(self, namespace: str, name: str, data: Mapping[str, bytes | str]) -> None:
        """Create or replace a ConfigMap."""
        self._config_maps[namespace, name] = {
            k: v.encode() if isinstance(v, str) else v for k, v in data.items()
        }

    def add_service_account(
        self, namespace: str, name: str, *, annotations: Mapping[str, str] | None = None, uid: str = ""
    ) -> None:
        """Create or replace a ServiceAccount."""
        self._accounts[namespace, name] = ServiceAccountInfo(
            namespace, name, uid or f"uid-{namespace}-{name}", dict(annotations or {})
        )

    def start(self, types: tuple[ServedType, ...]) -> None:
        """Nothing to follow: objects are here already."""

    def get_object(self, api_version: str, kind: str, namespace: str, name: str) -> KubeObject | None:
        """The object, or None."""
        return self._objects.get((api_version, kind, namespace, name))

    def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The Secret's data, or None. Remembered in `secrets_read`."""
        self._check()
        self.secrets_read.append((namespace, name))
        return self._secrets.get((namespace, name))

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The ConfigMap's data, or None. Remembered in `config_maps_read`."""
        self._check()
        self.config_maps_read.append((namespace, name))
        return self._config_maps.get((namespace, name))

    def read_service_account(self, namespace: str, name: str) -> ServiceAccountInfo | None:
        """The ServiceAccount, or None. Remembered in `accounts_read`."""
        self._check()
        self.accounts_read.append((namespace, name))
        return self._accounts.get((namespace, name))

    def create_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
    ) -> IssuedToken:
        """A new token, different each time. Remembered in `tokens_issued`."""
        self._check()
        if (namespace, name) not in self._accounts:
            raise MissingReferenceError(f"There is no ServiceAccount {name!r} in namespace {namespace!r}")
        self.tokens_issued.append((namespace, name, audiences))
        now = time.time()
        value = f"token-{namespace}-{name}-{len(self.tokens_issued)}"
        return IssuedToken(value, now, now + (expiration_seconds or 3600))

    def status(self) -> WatchStatus:
        """Synced, unless told otherwise."""
        return WatchStatus(synced=self.synced)

    def close(self) -> None:
        """Nothing to stop."""

    def _check(self) -> None:
        if self.unavailable:
            raise TemporaryError("The Kubernetes API can't be reached")


@dataclass(frozen=True, slots=True)
class StoreHandle:
    """A store as a core would see it: what to put into a request. `replace` it to lie about a part."""

    api_version: str
    kind: str
    name: str
    namespace: str
    store_ref_kind: str = "SecretStore"
    source_namespace: str = ""
    store: secretstore_pb2.StoreContext | None = None


@dataclass(frozen=True, slots=True)
class GeneratorHandle:
    """A generator as a core would see it."""

    api_version: str
    kind: str
    name: str
    namespace: str
    source_namespace: str = ""
    generator: generator_pb2.GeneratorContext | None = None


class Failure:
    """How a call failed. Filled when the block of `ProviderHarness.fails` ends."""

    def __init__(self) -> None:
        self.code = grpc.StatusCode.OK
        self.message = ""
        self.error = secretstore_pb2.Error()
        self.retry_after: float | None = None
        self.trailers: dict[str, str | bytes] = {}

    def fill(self, error: grpc.RpcError) -> None:
        """Take over what `error` carries."""
        self.code, self.message = error.code(), error.details() or ""
        self.trailers = {item.key: item.value for item in error.trailing_metadata() or ()}
        details = self.trailers.get("grpc-status-details-bin", b"")
        status = status_pb2.Status.FromString(details if isinstance(details, bytes) else b"")
        for detail in status.details:
            detail.Unpack(self.error)
            info = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                self.retry_after = info.retry_delay.ToTimedelta().total_seconds()


class ProviderHarness:
    """A provider on loopback with mutual TLS, and a client that calls it as a core does.

    ::

        with ProviderHarness(KeyValueStore) as harness:
            harness.kube.add_secret("team-a", "token", {"value": b"..."})
            store = harness.add_store("team-a", {"url": "...", "tokenSecretRef": {"name": "token", "key": "value"}})
            assert harness.get_secret(store, "db/password") == b"..."
    """

    def __init__(
        self,
        *kinds: KindClass,
        kube: FakeKube | None = None,
        config: ServerConfig | None = None,
        name: str = "",
    ) -> None:
        self.kube = kube or FakeKube()
        self._folder = tempfile.TemporaryDirectory(prefix="provider-harness-")
        self.certs: CertFolder = issue_certs(Path(self._folder.name), hosts=("localhost",))
        self.tls = self.certs.path
        config = replace(
            config or ServerConfig(),
            host="127.0.0.1",
            port=0,
            http_host="127.0.0.1",
            http_port=0,
            tls_dir=self.tls,
        )
        self.catalog = Catalog(*kinds)
        self.server = Server(*kinds, kube=self.kube, name=name, config=config)
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        self.server.start()
        self._channel = self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            self._channel.close()
        self.server.stop(grace=1)
        self._folder.cleanup()

    @property
    def address(self) -> str:
        """host:port of the endpoint; the certificate names the host."""
        return f"localhost:{self.server.port}"

    @property
    def channel(self) -> grpc.Channel:
        """The harness's own connection."""
        assert self._channel is not None, "use the harness as a context manager"
        return self._channel

    def connect(self) -> grpc.Channel:
        """One more connection with the client's certificate."""
        credentials = grpc.ssl_channel_credentials(
            self.certs.ca_file.read_bytes(),
            self.certs.client_key.read_bytes(),
            self.certs.client_cert.read_bytes(),
        )
        return grpc.secure_channel(
            self.address,
            credentials,
            (("grpc.max_metadata_size", 1 << 20), ("grpc.use_local_subchannel_pool", 1)),
        )

    def metrics(self) -> str:
        """The text of /metrics."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.server.http_port}/metrics", timeout=10
        ) as answer:
            text: str = answer.read().decode()
            return text

    # Stores

    def add_store(
        self,
        namespace: str,
        spec: Spec | Mapping[str, Any],
        *,
        name: str = "main",
        kind: str = "",
        store_kind: str = "SecretStore",
    ) -> StoreHandle:
        """Create a configuration object, and a store in `namespace` that refers to it."""
        served = self._kind("store", kind)
        self._add(served, namespace, name, spec)
        return StoreHandle(served.api_version, served.kind, name, namespace, store_kind, namespace)

    def cluster_store(
        self,
        namespace: str,
        spec: Spec | Mapping[str, Any],
        *,
        caller: str,
        name: str = "main",
        kind: str = "",
    ) -> StoreHandle:
        """Create a configuration object in `namespace`, and a ClusterSecretStore that `caller` uses."""
        handle = self.add_store(namespace, spec, name=name, kind=kind, store_kind="ClusterSecretStore")
        return replace(handle, source_namespace=caller)

    def get_secret(
        self,
        store: StoreHandle,
        key: str,
        *,
        property: str = "",  # noqa: A002 - the field's own name
        version: str = "",
        metadata_policy: str = "None",
        timeout: float = 10,
    ) -> bytes:
        """GetSecret."""
        ref = secretstore_pb2.ExternalSecretDataRemoteRef(
            key=key,
            property=property,
            version=version,
            metadata_policy=metadata_policy,
            decoding_strategy="None",
        )
        request = secretstore_pb2.GetSecretRequest(remote_ref=ref, **self._common(store))
        value: bytes = self.call(
            "GetSecret", request, secretstore_pb2.GetSecretResponse, timeout=timeout
        ).value
        return value

    def get_secret_map(
        self,
        store: StoreHandle,
        key: str,
        *,
        property: str = "",  # noqa: A002
        version: str = "",
        metadata_policy: str = "None",
        timeout: float = 10,
    ) -> dict[str, bytes]:
        """GetSecretMap."""
        ref = secretstore_pb2.ExternalSecretDataRemoteRef(
            key=key, property=property, version=version, metadata_policy=metadata_policy
        )
        request = secretstore_pb2.GetSecretMapRequest(remote_ref=ref, **self._common(store))
        return dict(
            self.call("GetSecretMap", request, secretstore_pb2.GetSecretMapResponse, timeout=timeout).secrets
        )

    def find(
        self,
        store: StoreHandle,
        *,
        name: str | None = None,
        path: str = "",
        tags: Mapping[str, str] | None = None,
        conversion_strategy: str = "",
        timeout: float = 30,
    ) -> dict[str, bytes]:
        """GetAllSecrets."""
        find = secretstore_pb2.ExternalSecretFind(
            path=path, tags=tags or {}, conversion_strategy=conversion_strategy
        )
        if name is not None:
            find.name.CopyFrom(secretstore_pb2.FindName(regexp=name))
        request = secretstore_pb2.GetAllSecretsRequest(find=find, **self._common(store))
        return dict(
            self.call(
                "GetAllSecrets", request, secretstore_pb2.GetAllSecretsResponse, timeout=timeout
            ).secrets
        )

    def push(
        self,
        store: StoreHandle,
        remote_key: str,
        data: Mapping[str, bytes],
        *,
        secret_key: str = "",
        property: str = "",  # noqa: A002
        metadata: Mapping[str, Any] | bytes | None = None,
        type: str = "Opaque",  # noqa: A002
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        timeout: float = 10,
    ) -> None:
        """PushSecret."""
        raw = (
            metadata
            if isinstance(metadata, bytes)
            else json.dumps(metadata).encode()
            if metadata is not None
            else b""
        )
        push = secretstore_pb2.PushSecretData(
            metadata=raw, secret_key=secret_key, remote_key=remote_key, property=property
        )
        request = secretstore_pb2.PushSecretRequest(
            secret_data=data,
            push_secret_data=push,
            secret_type=type,
            secret_labels=labels or {},
            secret_annotations=annotations or {},
            **self._common(store),
        )
        self.call("PushSecret", request, secretstore_pb2.PushSecretResponse, timeout=timeout)

    def delete(self, store: StoreHandle, remote_key: str, *, property: str = "", timeout: float = 10) -> None:  # noqa: A002
        """DeleteSecret."""
        ref = secretstore_pb2.PushSecretRemoteRef(remote_key=remote_key, property=property)
        request = secretstore_pb2.DeleteSecretRequest(remote_ref=ref, **self._common(store))
        self.call("DeleteSecret", request, secretstore_pb2.DeleteSecretResponse, timeout=timeout)

    def exists(self, store: StoreHandle, remote_key: str, *, property: str = "", timeout: float = 10) -> bool:  # noqa: A002
        """SecretExists."""
        ref = secretstore_pb2.PushSecretRemoteRef(remote_key=remote_key, property=property)
        request = secretstore_pb2.SecretExistsRequest(remote_ref=ref, **self._common(store))
        return bool(
            self.call("SecretExists", request, secretstore_pb2.SecretExistsResponse, timeout=timeout).exists
        )

    def validate(self, store: StoreHandle, *, timeout: float = 10) -> secretstore_pb2.ValidateResponse:
        """Validate."""
        request = secretstore_pb2.ValidateRequest(**self._common(store))
        answer: secretstore_pb2.ValidateResponse = self.call(
            "Validate", request, secretstore_pb2.ValidateResponse, timeout=timeout
        )
        return answer

    def capabilities(self, store: StoreHandle, *, timeout: float = 10) -> str:
        """Capabilities, as the name of the enum's value."""
        request = secretstore_pb2.CapabilitiesRequest(**self._common(store))
        answer = self.call("Capabilities", request, secretstore_pb2.CapabilitiesResponse, timeout=timeout)
        return secretstore_pb2.SecretStoreCapabilities.Name(answer.capabilities)

    # Generators

    def add_generator(
        self, namespace: str, spec: Spec | Mapping[str, Any], *, name: str = "main", kind: str = ""
    ) -> GeneratorHandle:
        """Create a configuration object, and a generator in `namespace` that refers to it."""
        served = self._kind("generator", kind or (type(spec).kind if isinstance(spec, Spec) else ""))
        self._add(served, namespace, name, spec)
        return GeneratorHandle(served.api_version, served.kind, name, namespace, namespace)

    def generate(self, generator: GeneratorHandle, *, timeout: float = 30) -> tuple[dict[str, bytes], bytes]:
        """Generate: the values and the state."""
        request = generator_pb2.GenerateRequest(**self._generator_fields(generator))
        answer = self.call(
            "Generate", request, generator_pb2.GenerateResponse, service=GENERATOR_SERVICE, timeout=timeout
        )
        return dict(answer.secrets), answer.state

    def cleanup(self, generator: GeneratorHandle, state: bytes, *, timeout: float = 30) -> None:
        """Cleanup."""
        request = generator_pb2.CleanupRequest(state=state, **self._generator_fields(generator))
        self.call(
            "Cleanup", request, generator_pb2.CleanupResponse, service=GENERATOR_SERVICE, timeout=timeout
        )

    # Calls

    def call(
        self,
        method: str,
        request: Any,
        response: type[Any],
        *,
        service: str = SECRET_STORE_SERVICE,
        timeout: float = 10,
        channel: grpc.Channel | None = None,
        version: str | None = ".".join(map(str, CONTRACT_VERSION)),
    ) -> Any:
        """One call of any method; `request` may be bytes. `version` is the contract version to claim, None claims none."""
        rpc = (channel or self.channel).unary_unary(
            f"/{service}/{method}",
            request_serializer=_serialized,
            response_deserializer=response.FromString,
        )
        metadata = () if version is None else ((CONTRACT_VERSION_KEY, version),)
        return rpc(request, timeout=timeout, metadata=metadata, wait_for_ready=True)

    @contextmanager
    def fails(self) -> Iterator[Failure]:
        """Expect the call in the block to fail; raises AssertionError when it does not."""
        failure = Failure()
        try:
            yield failure
        except grpc.RpcError as error:
            failure.fill(error)
        else:
            raise AssertionError("the call was expected to fail, and it did not")

    def _kind(self, role: str, kind: str) -> Kind[Any]:
        served = [k for k in self.catalog if k.role == role and (k.kind == kind if kind else not k.alias_of)]
        if not served:
            raise LookupError(f"no {role} kind {kind!r} is served here")
        return served[0]

    def _add(self, served: Kind[Any], namespace: str, name: str, spec: Spec | Mapping[str, Any]) -> None:
        body: Mapping[str, Any] = (
            spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
            if isinstance(spec, Spec)
            else spec
        )
        self.kube.add_object(
            {
                "apiVersion": served.api_version,
                "kind": served.kind,
                "metadata": {"name": name, "namespace": namespace},
                "spec": body,
            }
        )

    @staticmethod
    def _common(store: StoreHandle) -> dict[str, Any]:
        ref = secretstore_pb2.ProviderReference(
            api_version=store.api_version,
            kind=store.kind,
            name=store.name,
            namespace=store.namespace,
            store_ref_kind=store.store_ref_kind,
        )
        return {"provider_ref": ref, "source_namespace": store.source_namespace, "store": store.store}

    @staticmethod
    def _generator_fields(generator: GeneratorHandle) -> dict[str, Any]:
        ref = generator_pb2.GeneratorRef(
            api_version=generator.api_version,
            kind=generator.kind,
            name=generator.name,
            namespace=generator.namespace,
        )
        return {
            "generator_ref": ref,
            "source_namespace": generator.source_namespace,
            "generator": generator.generator,
        }


def _serialized(request: Any) -> bytes:
    data: bytes = request if isinstance(request, bytes) else request.SerializeToString()
    return data


__all__ = [
    "CertFolder",
    "Failure",
    "FakeKube",
    "GeneratorHandle",
    "ProviderHarness",
    "StoreHandle",
    "issue_certs",
]
