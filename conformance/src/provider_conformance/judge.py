"""What a check is handed: the words in which it asks. A judge knows its subject and the dialect, and judges nothing itself."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

from google.protobuf.message import Message
from provider_proto.generator.v1 import generator_pb2 as gen
from provider_proto.provider.v1 import description_pb2
from provider_proto.provider.v1 import secretstore_pb2 as pb

from provider_conformance.client import Answer, Client, Code, Pending
from provider_conformance.seed import Item, Sample, Seeds, json_object
from provider_conformance.session import Session
from provider_conformance.target import Faults, GeneratorTarget, Limits, Obj, StoreTarget, Target
from provider_conformance.verdict import Failed, NotApplicable, NotRun

T = TypeVar("T")
ABSENT_OBJECT = "conformance-no-such-object"
OTHER_NAMESPACE = "conformance-elsewhere"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by which config object. `kind` is the store's kind on the wire; `scope` goes into the full store."""

    object: str
    namespace: str
    source: str
    kind: str
    scope: str = ""
    api_version: str = ""
    config_kind: str = ""


class ServerJudge:
    """Judges the server as such: one for a run."""

    subject = "server"

    def __init__(
        self, session: Session, stores: Sequence[StoreJudge], generators: Sequence[GeneratorJudge]
    ) -> None:
        self.session = session
        self.stores = stores
        self.generators = generators

    @property
    def target(self) -> Target:
        """What is judged."""
        return self.session.target

    @property
    def client(self) -> Client:
        """The good connection."""
        return self.session.client

    @property
    def services(self) -> tuple[str, ...]:
        """Full names of the services that the target has to serve."""
        stores = ("provider.v1.SecretStoreProvider",) if self.target.stores else ()
        generators = ("generator.v1.GeneratorProvider",) if self.target.generators else ()
        return stores + generators

    def harmless(self) -> Message:
        """A request that needs no I/O and has to succeed: Capabilities, or Generate when there are generators only."""
        if self.stores:
            return self.stores[0].capabilities_request()
        return self.generators[0].generate_request()

    def store(self) -> StoreJudge:
        """A store to try things with. Raises NotApplicable when the target has none."""
        if not self.stores:
            raise NotApplicable("the target has no store")
        return self.stores[0]

    def describe(self) -> description_pb2.DescribeResponse:
        """What the provider says of itself."""
        answer = cast(
            "Answer[description_pb2.DescribeResponse]", self.client.call(description_pb2.DescribeRequest())
        )
        return answer.ok("the description service")


def fault(keys: Faults, name: str) -> str:
    """The key that provokes a fault. Raises NotRun when the target names none."""
    key = getattr(keys, name)
    if not key:
        raise NotRun(f"not seeded: needs a key that provokes it (faults.{name})")
    return cast("str", key)


def together(jobs: Sequence[Callable[[], T]], *, width: int = 32) -> list[T]:
    """Run jobs at the same time, begun as one, and give their results in order."""
    barrier = threading.Barrier(min(width, len(jobs)))
    begun = threading.local()

    def run(job: Callable[[], T]) -> T:
        if not getattr(begun, "yes", False):
            begun.yes = True
            barrier.wait(30)
        return job()

    with ThreadPoolExecutor(min(width, len(jobs))) as pool:
        return list(pool.map(run, jobs))


class _Subject:
    """What stores and generators have in common."""

    def __init__(self, session: Session, named: StoreTarget | GeneratorTarget) -> None:
        self.session = session
        self.named = named
        self.subject = named.name

    @property
    def client(self) -> Client:
        """The good connection."""
        return self.session.client

    @property
    def target(self) -> Target:
        """What is judged."""
        return self.session.target

    def object(self, name: str) -> Obj:
        """Another config object. Raises NotRun when the target names none, NotApplicable when there can't be one."""
        if not self.named.credentials and name in {"foreign_selector", "referent", "bad_credentials"}:
            raise NotApplicable("declared: the kind uses no credentials")
        found = getattr(self.named, name)
        if found is None:
            raise NotRun(f"not seeded: needs another config object ({name})")
        return cast("Obj", found)


class StoreJudge(_Subject):
    """Judges one store."""

    def __init__(self, session: Session, store: StoreTarget) -> None:
        super().__init__(session, store)
        self.store = store
        self.limits: Limits = store.limits
        self.seeds = Seeds(
            canary=session.canary,
            prefix=store.key_prefix,
            put=self._putter(),
            remove=self._remove,
            refuses_value=self.limits.refuses_value,
            refuses_key=self.limits.refuses_key,
            existing=tuple(
                Item(entry.key, entry.value, entry.property, ours=False)
                for entry in store.keys
                if not entry.version
            ),
        )
        session.secret_values.update(entry.value for entry in store.keys if 12 <= len(entry.value) <= 4096)

    @property
    def no_property(self) -> Code:
        """The status for a property that the secret does not have; the target may declare another one."""
        return {"FAILED_PRECONDITION": Code.FAILED_PRECONDITION, "NOT_FOUND": Code.NOT_FOUND}[
            self.limits.missing_property
        ]

    # Who asks

    @property
    def me(self) -> Asker:
        """The usual caller: a namespaced store in the config object's own namespace."""
        kind = "Provider" if self.target.dialect == "p" else "SecretStore"
        return Asker(self.store.object, self.store.namespace, self.store.namespace, kind)

    def cluster(self, obj: Obj | None = None, *, source: str = OTHER_NAMESPACE, scope: str = "") -> Asker:
        """A cluster-scoped store with this config object (the usual one), used from the namespace `source`."""
        kind = "ClusterProvider" if self.target.dialect == "p" else "ClusterSecretStore"
        obj = obj or Obj(self.store.object, self.store.namespace)
        return Asker(obj.object, obj.namespace, source, kind, scope)

    def by(self, obj: Obj) -> Asker:
        """A namespaced store with this config object, used from the object's namespace."""
        return replace(self.me, object=obj.object, namespace=obj.namespace, source=obj.namespace)

    def ref(self, asker: Asker | None = None) -> pb.ProviderReference:
        """The reference on the wire."""
        who = asker or self.me
        return pb.ProviderReference(
            api_version=who.api_version or self.store.api_version,
            kind=who.config_kind or self.store.kind,
            name=who.object,
            namespace=who.namespace,
            store_ref_kind=who.kind,
        )

    def full(self, asker: Asker | None = None) -> pb.StoreContext | None:
        """The full store as a v2 core sends it; None for a baseline core."""
        if self.target.dialect != "v2" or self.target.contract < (1, 1):
            return None
        return self.full_store(asker)

    def full_store(self, asker: Asker | None = None) -> pb.StoreContext:
        """The full store of EXT-1, whatever the dialect."""
        who = asker or self.me
        cluster = who.kind in {"ClusterSecretStore", "ClusterProvider"}
        spec = pb.SecretStoreSpec(
            refresh_interval="1h",
            gating_policy="Enabled",
            authentication_scope=who.scope or ("ProviderNamespace" if cluster else ""),
            provider_config=pb.ProviderConfig(
                address=self.target.endpoint,
                provider_ref=pb.StoreProviderRef(
                    api_version=self.store.api_version,
                    kind=self.store.kind,
                    name=who.object,
                    namespace=who.namespace,
                ),
            ),
        )
        return pb.StoreContext(
            api_version="secretstore.external-secrets.io/v2alpha1",
            kind="ClusterSecretStore" if cluster else "SecretStore",
            name="conformance",
            namespace="" if cluster else who.source,
            uid=f"5f0c7d1e-0000-4000-8000-{'c' if cluster else 'a'}00000000000",
            generation=1,
            spec=spec,
        )

    # Requests

    def get_request(
        self,
        key: str,
        *,
        property: str = "",  # noqa: A002 - the contract's word
        version: str = "",
        decoding: str = "None",
        metadata: str = "None",
        asker: Asker | None = None,
    ) -> pb.GetSecretRequest:
        """GetSecret."""
        return pb.GetSecretRequest(
            remote_ref=pb.ExternalSecretDataRemoteRef(
                key=key,
                version=version,
                property=property,
                decoding_strategy=decoding,
                metadata_policy=metadata,
            ),
            provider_ref=self.ref(asker),
            source_namespace=(asker or self.me).source,
            store=self.full(asker),
        )

    def map_request(self, key: str, **kwargs: Any) -> pb.GetSecretMapRequest:
        """GetSecretMap."""
        like = self.get_request(key, **kwargs)
        return pb.GetSecretMapRequest(
            remote_ref=like.remote_ref,
            provider_ref=like.provider_ref,
            source_namespace=like.source_namespace,
            store=like.store if like.HasField("store") else None,
        )

    def find_request(
        self,
        name: str | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        path: str = "",
        decoding: str = "None",
        asker: Asker | None = None,
    ) -> pb.GetAllSecretsRequest:
        """GetAllSecrets."""
        return pb.GetAllSecretsRequest(
            provider_ref=self.ref(asker),
            find=pb.ExternalSecretFind(
                path=path,
                name=None if name is None else pb.FindName(regexp=name),
                tags=tags or {},
                conversion_strategy="Default",
                decoding_strategy=decoding,
            ),
            source_namespace=(asker or self.me).source,
            store=self.full(asker),
        )

    def push_request(
        self,
        key: str,
        value: bytes = b"",
        *,
        property: str = "",  # noqa: A002 - the contract's word
        secret_key: str = "value",  # noqa: S107 - a name, not a secret
        data: Mapping[str, bytes] | None = None,
        metadata: bytes = b"",
        asker: Asker | None = None,
    ) -> pb.PushSecretRequest:
        """PushSecret of one value, or of `data`."""
        return pb.PushSecretRequest(
            provider_ref=self.ref(asker),
            secret_data={"value": value} if data is None else dict(data),
            push_secret_data=pb.PushSecretData(
                metadata=metadata, secret_key=secret_key, remote_key=key, property=property
            ),
            source_namespace=(asker or self.me).source,
            secret_type="Opaque",  # noqa: S106 - a type, not a secret
            store=self.full(asker),
        )

    def delete_request(
        self,
        key: str,
        *,
        property: str = "",  # noqa: A002
        asker: Asker | None = None,
    ) -> pb.DeleteSecretRequest:
        """DeleteSecret."""
        return pb.DeleteSecretRequest(
            provider_ref=self.ref(asker),
            remote_ref=pb.PushSecretRemoteRef(remote_key=key, property=property),
            source_namespace=(asker or self.me).source,
            store=self.full(asker),
        )

    def exists_request(
        self,
        key: str,
        *,
        property: str = "",  # noqa: A002
        asker: Asker | None = None,
    ) -> pb.SecretExistsRequest:
        """SecretExists."""
        return pb.SecretExistsRequest(
            provider_ref=self.ref(asker),
            remote_ref=pb.PushSecretRemoteRef(remote_key=key, property=property),
            source_namespace=(asker or self.me).source,
            store=self.full(asker),
        )

    def validate_request(self, asker: Asker | None = None) -> pb.ValidateRequest:
        """Validate."""
        return pb.ValidateRequest(
            provider_ref=self.ref(asker), source_namespace=(asker or self.me).source, store=self.full(asker)
        )

    def capabilities_request(self, asker: Asker | None = None) -> pb.CapabilitiesRequest:
        """Capabilities."""
        return pb.CapabilitiesRequest(
            provider_ref=self.ref(asker), source_namespace=(asker or self.me).source, store=self.full(asker)
        )

    def data_requests(self, asker: Asker | None = None) -> dict[str, Message]:
        """One harmless request of every data call, by method name: nothing is there under their key."""
        key = self.absent()
        requests: dict[str, Message] = {
            "GetSecret": self.get_request(key, asker=asker),
            "GetSecretMap": self.map_request(key, asker=asker),
        }
        if self.limits.find:
            requests["GetAllSecrets"] = self.find_request(f"^{re.escape(key)}$", asker=asker)
        if self.writable:
            requests["PushSecret"] = self.push_request(key, b"never to be written", asker=asker)
            requests["DeleteSecret"] = self.delete_request(key, asker=asker)
            requests["SecretExists"] = self.exists_request(key, asker=asker)
        return requests

    # Calls

    def get(self, key: str, **kwargs: Any) -> Answer[pb.GetSecretResponse]:
        """GetSecret."""
        return cast("Answer[pb.GetSecretResponse]", self.client.call(self.get_request(key, **kwargs)))

    def begin_get(self, key: str, *, timeout: float, **kwargs: Any) -> Pending[Message]:
        """GetSecret, begun and not waited for."""
        return self.client.send(self.get_request(key, **kwargs), timeout=timeout)

    def map(self, key: str, **kwargs: Any) -> Answer[pb.GetSecretMapResponse]:
        """GetSecretMap."""
        return cast("Answer[pb.GetSecretMapResponse]", self.client.call(self.map_request(key, **kwargs)))

    def find(self, name: str | None = None, **kwargs: Any) -> Answer[pb.GetAllSecretsResponse]:
        """GetAllSecrets. Raises NotApplicable when the kind declares that it can't find."""
        if not self.limits.find:
            raise NotApplicable("backend limit: find []")
        return cast("Answer[pb.GetAllSecretsResponse]", self.client.call(self.find_request(name, **kwargs)))

    def push(self, key: str, value: bytes = b"", **kwargs: Any) -> Answer[pb.PushSecretResponse]:
        """PushSecret."""
        return cast(
            "Answer[pb.PushSecretResponse]", self.client.call(self.push_request(key, value, **kwargs))
        )

    def delete(self, key: str, **kwargs: Any) -> Answer[pb.DeleteSecretResponse]:
        """DeleteSecret."""
        return cast("Answer[pb.DeleteSecretResponse]", self.client.call(self.delete_request(key, **kwargs)))

    def exists(self, key: str, **kwargs: Any) -> Answer[pb.SecretExistsResponse]:
        """SecretExists."""
        return cast("Answer[pb.SecretExistsResponse]", self.client.call(self.exists_request(key, **kwargs)))

    def validate(self, asker: Asker | None = None) -> Answer[pb.ValidateResponse]:
        """Validate."""
        return cast("Answer[pb.ValidateResponse]", self.client.call(self.validate_request(asker)))

    def capabilities(self, asker: Asker | None = None) -> Answer[pb.CapabilitiesResponse]:
        """Capabilities."""
        return cast("Answer[pb.CapabilitiesResponse]", self.client.call(self.capabilities_request(asker)))

    # What is there

    def absent(self) -> str:
        """A key under which there is nothing."""
        return self.seeds.key("absent")

    def item(self, sample: Sample) -> Item:
        """A secret with the sample's value, to be read and not changed."""
        return self.seeds.item(sample)

    def document(self, sample: Sample) -> Item:
        """A secret that is a JSON document as a whole, to be read by property or as a map."""
        if not self.limits.property:
            raise NotApplicable("backend limit: property false")
        return self.seeds.item(sample)

    def property_of(self, sample: Sample, path: str) -> bytes:
        """The property of the sample's document."""
        return self.get(self.document(sample).key, property=path).ok(f"property {path!r} is there").value

    def read(self, item: Item, **kwargs: Any) -> bytes:
        """The item's value as the provider answers it."""
        return self.get(item.key, property=item.property, **kwargs).ok("the secret is there").value

    def same(self, item: Item, got: bytes, *, where: str = "GetSecret") -> None:
        """Fails unless what was read is what is there; a store of maps may have written the map anew."""
        if got == item.value:
            return
        is_map = self.limits.values == "object" and not item.property and json_object(item.value) is not None
        if is_map and json_object(got) == json_object(item.value):
            return
        raise Failed(f"{where} answered another value than the backend has: {difference(item, got)}")

    def whole(self, item: Item) -> Item:
        """The item as a find shows it: for a store of maps, the map that holds the value."""
        if item.property:
            text = item.value.decode()
            return replace(item, property="", value=json.dumps({item.property: text}).encode())
        return item

    @cached_property
    def capability(self) -> str | None:
        """`READ_ONLY`, `WRITE_ONLY` or `READ_WRITE` as the provider says; None when it does not say."""
        answer = self.capabilities()
        if answer.code is not Code.OK:
            return None
        number = answer.ok().capabilities
        return (
            pb.SecretStoreCapabilities.Name(number) if number in pb.SecretStoreCapabilities.values() else None
        )

    @property
    def writable(self) -> bool:
        """Whether the store says that it can be written."""
        if self.capability is None:
            return self.store.seed == "push"
        return self.capability in {"READ_WRITE", "WRITE_ONLY"}

    # Seeding

    def _putter(self) -> Callable[[str, bytes, Mapping[str, str]], str] | None:
        if self.store.seed == "none":
            return None
        return self._push if self.store.seed == "push" else self._put_past

    def _push(self, key: str, value: bytes, tags: Mapping[str, str]) -> str:
        if tags:
            raise NotRun("not seeded: tags can't be set by PushSecret; needs a command or hook")
        inside = "value" if self.limits.values == "object" and json_object(value) is None else ""
        self.push(key, value, property=inside).ok("to seed a secret")
        return inside

    def _put_past(self, key: str, value: bytes, tags: Mapping[str, str]) -> str:
        inside = "value" if self.limits.values == "object" and json_object(value) is None else ""
        if inside:
            value = json.dumps({inside: value.decode()}).encode()
        assert not isinstance(self.store.seed, str)
        try:
            self.store.seed.put(self.store.name, key, value, tags)
        except Exception as problem:
            raise Failed(
                f"the seeder could not store {len(value)} bytes under {key!r}: {problem}"
            ) from problem
        return inside

    def _remove(self, key: str) -> None:
        if not isinstance(self.store.seed, str):
            self.store.seed.delete(self.store.name, key)
        elif self.writable and self.limits.delete:
            self.delete(key).ok("to remove what the suite made")


class GeneratorJudge(_Subject):
    """Judges one generator."""

    def __init__(self, session: Session, generator: GeneratorTarget) -> None:
        super().__init__(session, generator)
        self.generator = generator

    def ref(self, obj: Obj | None = None, *, kind: str = "", api_version: str = "") -> gen.GeneratorRef:
        """The reference on the wire."""
        return gen.GeneratorRef(
            api_version=api_version or self.generator.api_version,
            kind=kind or self.generator.kind,
            name=obj.object if obj else self.generator.object,
            namespace=obj.namespace if obj else self.generator.namespace,
        )

    def full(self, obj: Obj | None, *, cluster: bool) -> gen.GeneratorContext | None:
        """The full generator as a v2 core sends it; None for a baseline core."""
        if self.target.dialect != "v2" or self.target.contract < (1, 1):
            return None
        ref = self.ref(obj)
        return gen.GeneratorContext(
            api_version="generator.external-secrets.io/v2alpha1",
            kind="ClusterGenerator" if cluster else "Generator",
            name="conformance",
            namespace="" if cluster else self.generator.namespace,
            generation=1,
            spec=gen.GeneratorSpec(
                provider_config=gen.ProviderConfig(
                    address=self.target.endpoint,
                    provider_ref=gen.GeneratorProviderRef(
                        api_version=ref.api_version, kind=ref.kind, name=ref.name, namespace=ref.namespace
                    ),
                ),
                authentication_namespace="ManifestReference" if cluster else "",
            ),
        )

    def generate_request(
        self, obj: Obj | None = None, *, source: str | None = None, kind: str = "", cluster: bool = False
    ) -> gen.GenerateRequest:
        """Generate."""
        return gen.GenerateRequest(
            generator_ref=self.ref(obj, kind=kind),
            source_namespace=self.generator.namespace if source is None else source,
            generator=self.full(obj, cluster=cluster),
        )

    def cleanup_request(
        self, state: bytes, obj: Obj | None = None, *, source: str | None = None
    ) -> gen.CleanupRequest:
        """Cleanup."""
        return gen.CleanupRequest(
            generator_ref=self.ref(obj),
            state=state,
            source_namespace=self.generator.namespace if source is None else source,
            generator=self.full(obj, cluster=False),
        )

    def generate(self, obj: Obj | None = None, **kwargs: Any) -> Answer[gen.GenerateResponse]:
        """Generate. What it leaves in a backend is cleaned up again by `made`."""
        answer = cast("Answer[gen.GenerateResponse]", self.client.call(self.generate_request(obj, **kwargs)))
        if answer.code is Code.OK and (state := answer.ok().state):
            self.states.append(state)
        return answer

    def cleanup(self, state: bytes, obj: Obj | None = None, **kwargs: Any) -> Answer[gen.CleanupResponse]:
        """Cleanup."""
        return cast(
            "Answer[gen.CleanupResponse]", self.client.call(self.cleanup_request(state, obj, **kwargs))
        )

    @cached_property
    def states(self) -> list[bytes]:
        """States of what was generated and may still be there."""
        return []

    def tidy(self) -> list[str]:
        """Clean up all that was generated; what could not be, with the reason."""
        left = []
        for state in self.states:
            answer = self.cleanup(state)
            if answer.code is not Code.OK:
                left.append(f"a generated value of {self.subject}: {answer.said()}")
        self.states.clear()
        return left


def difference(item: Item, got: bytes) -> str:
    """What differs, without showing a value that the suite did not make itself."""
    want = item.value
    at = next(
        (i for i, (a, b) in enumerate(zip(want, got, strict=False)) if a != b), min(len(want), len(got))
    )
    text = f"{len(got)} bytes in place of {len(want)}, first difference at byte {at}"
    if item.ours and len(want) <= 80 and len(got) <= 80:
        text += f": {got!r} in place of {want!r}"
    return text
