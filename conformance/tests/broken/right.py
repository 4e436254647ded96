"""The right provider: all of the contract on bare grpcio, with a backend in its memory. Every fault is one override of it.

It is written to be overridden: each promise sits in a method of its own. It shares no code with the suite or the SDK.
Three parts: `Right` says what calls mean, `Backend` holds secrets, `Served` puts a `Right` on the network.
"""

from __future__ import annotations

import bisect
import datetime as dt
import hashlib
import json
import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import grpc
import re2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from provider_proto import CONTRACT_VERSION_KEY
from provider_proto.generator.v1 import generator_pb2 as gen
from provider_proto.provider.v1 import description_pb2 as desc
from provider_proto.provider.v1 import secretstore_pb2 as pb

from . import document

Code = grpc.StatusCode
STORE_API = "provider.secretstore.external-secrets.io/v2alpha1"
GENERATOR_API = "provider.generator.external-secrets.io/v2alpha1"
LIMIT = 4 * 1024 * 1024
UNMANAGED = "made-by-hand"


class Refusal(Exception):  # noqa: N818 - what happens to a call
    """A call that is refused: everything its status says."""

    def __init__(
        self, code: grpc.StatusCode, name: str, text: str, *, retry: float | None = None, **details: str
    ) -> None:
        super().__init__(text)
        self.code, self.name, self.text, self.retry, self.details = code, name, text, retry, details


def invalid(text: str) -> Refusal:
    """A request that can't be."""
    return Refusal(Code.INVALID_ARGUMENT, "INVALID_REQUEST", text)


@dataclass(frozen=True)
class Config:
    """A config object. `selector` is the namespace written in its credentials selector."""

    selector: str = ""
    problem: str = ""
    fixed: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class Secret:
    """A secret of the backend, all versions of it; the last one is current."""

    versions: list[bytes]
    tags: dict[str, str] = field(default_factory=dict)


class Backend:
    """The secrets of one config object. Its pages are small, so that a page can be lost."""

    PAGE = 50

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self.lock = threading.Lock()

    def write(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a value in one step."""
        with self.lock:
            found = self.secrets.setdefault(key, Secret([]))
            found.versions.append(change(found.versions[-1] if found.versions else None))

    def page(self, number: int) -> list[str]:
        """One page of names, in order."""
        with self.lock:
            return sorted(self.secrets)[number * self.PAGE : (number + 1) * self.PAGE]


class Call:
    """What a handler may know of the call it answers: its time, and that the caller has gone."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context
        self.over = threading.Event()
        if not context.add_callback(self.over.set):
            self.over.set()

    def wait(self, seconds: float) -> None:
        """Wait like a backend that hangs, but no longer than the caller does."""
        self.over.wait(seconds)


class Right:
    """What calls mean. One instance is one running provider."""

    VERSION: ClassVar[tuple[int, int]] = (1, 1)
    CAPABILITIES: ClassVar[int] = pb.READ_WRITE
    STORE_KINDS: ClassVar[frozenset[str]] = frozenset({"Memory"})
    GENERATOR_KINDS: ClassVar[frozenset[str]] = frozenset({"Token"})
    CLUSTER: ClassVar[frozenset[str]] = frozenset({"ClusterSecretStore", "ClusterProvider"})
    CREDENTIALS: ClassVar[frozenset[str]] = frozenset({"team-a", "team-b", "shared"})
    """Namespaces in which the credentials Secret exists."""
    HANG_SECONDS: ClassVar[float] = 10.0
    SLOW_SECONDS: ClassVar[float] = 2.5
    PER_STORE: ClassVar[int] = 24

    def __init__(self) -> None:
        self.stores = {
            ("team-a", "main"): Config(),
            ("team-b", "main"): Config(),
            ("team-a", "borrower"): Config(selector="team-b"),
            ("elsewhere", "referent"): Config(),
            ("team-a", "locked-out"): Config(problem="credentials"),
            ("team-a", "nonsense"): Config(problem="spec"),
        }
        self.generators = {
            ("team-a", "token"): Config(),
            ("team-b", "token"): Config(),
            ("team-a", "borrower"): Config(selector="team-b"),
            ("team-a", "nonsense"): Config(problem="spec"),
        }
        self.backends: dict[tuple[str, str], Backend] = defaultdict(Backend)
        self.left: dict[str, str] = {}
        self.busy: dict[tuple[str, str], int] = defaultdict(int)
        self.lock = threading.Lock()
        self.counts: dict[tuple[str, str], int] = defaultdict(int)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.backend_calls: dict[tuple[str, str], int] = defaultdict(int)
        self._seed()

    def _seed(self) -> None:
        self.backends["team-a", "main"].secrets["versioned"] = Secret(
            [b"the first", b"the second", b"the third"]
        )
        self.backends["team-a", "main"].secrets["fixture"] = Secret([b"was here before"])
        self.backends["team-a", "main"].secrets[UNMANAGED] = Secret([b"by somebody else"])
        self.backends["team-a", "main"].secrets["slow"] = Secret([b"at last"])

    # Who may do what

    def config(self, ref: pb.ProviderReference, source: str) -> Config:
        """The config object of a store; refuses everything that the namespace rule forbids, before it looks."""
        namespace = self.config_namespace(ref.namespace, source)
        if not self.is_cluster_scoped(ref.store_ref_kind):
            self.deny_foreign(namespace, source)
        config = self.lookup_store(namespace, ref.name)
        if config.selector and not self.is_cluster_scoped(ref.store_ref_kind):
            self.deny_foreign(config.selector, source)
        return config

    def config_namespace(self, namespace: str, source: str) -> str:
        """Where the config object is."""
        return namespace or source

    def is_cluster_scoped(self, kind: str) -> bool:
        """Whether a store of this kind may cross namespaces."""
        return kind in self.CLUSTER

    def deny_foreign(self, namespace: str, source: str) -> None:
        """Refuses a namespace that is not the caller's."""
        if namespace != source:
            text = f"namespace {namespace!r} may not be used from namespace {source!r}"
            raise Refusal(Code.PERMISSION_DENIED, "ACCESS_DENIED", text, namespace=namespace, source=source)

    def lookup_store(self, namespace: str, name: str) -> Config:
        """The config object, or the refusal that it is missing."""
        if (found := self.stores.get((namespace, name))) is None:
            raise self.missing_object(namespace, name)
        return found

    def missing_object(self, namespace: str, name: str) -> Refusal:
        """How a missing config object is refused."""
        text = f"there is no config object {short(name)} in namespace {short(namespace)}"
        return Refusal(
            Code.FAILED_PRECONDITION, "MISSING_REFERENCE", text, object=cut(name), namespace=cut(namespace)
        )

    def credentials_namespace(
        self, config: Config, namespace: str, source: str, kind: str, scope: str
    ) -> str:
        """Where credentials are read."""
        if config.selector:
            return config.selector
        if not self.is_cluster_scoped(kind):
            return source
        if scope:
            return source if scope == "ManifestNamespace" else namespace
        return source if kind == "ClusterProvider" else namespace

    def log_in(self, config: Config, credentials: str) -> None:
        """Refuses a config object that can't be used."""
        if config.problem == "spec":
            raise self.invalid_settings()
        if config.problem == "credentials":
            raise self.refused_credentials()
        if credentials not in self.CREDENTIALS:
            raise self.missing_credentials(credentials)

    def invalid_settings(self) -> Refusal:
        """How settings that can't work are refused."""
        return Refusal(
            Code.INVALID_ARGUMENT, "INVALID_SPEC", "spec.limit: -1 is less than 0", field="spec.limit"
        )

    def refused_credentials(self) -> Refusal:
        """How a login that the backend refuses is told."""
        return Refusal(Code.UNAUTHENTICATED, "CREDENTIALS", "the backend refuses the token of Secret 'login'")

    def missing_credentials(self, namespace: str) -> Refusal:
        """How a missing credentials Secret is refused."""
        text = f"there is no Secret 'login' in namespace {namespace!r}"
        return Refusal(Code.FAILED_PRECONDITION, "MISSING_REFERENCE", text, namespace=namespace)

    def open(self, request: Any) -> Backend:
        """The backend that a data call is about."""
        ref, source = request.provider_ref, request.source_namespace
        self.check_reference(request)
        if not source:
            self.refuse_empty_source()
        self.check_full_store(request)
        config = self.config(ref, source)
        namespace = self.config_namespace(ref.namespace, source)
        scope = request.store.spec.authentication_scope
        self.log_in(config, self.credentials_namespace(config, namespace, source, ref.store_ref_kind, scope))
        return self.backends[self.backend_key(namespace, ref.name)]

    def check_full_store(self, request: Any) -> None:
        """Refuses a full store that contradicts the reference."""
        if not request.HasField("store"):
            return
        named, sent = request.provider_ref.store_ref_kind, request.store.kind
        if self.is_cluster_scoped(named) != self.is_cluster_scoped(sent):
            raise invalid(f"store_ref_kind is {short(named)}, but the full store is a {short(sent)}")

    def refuse_empty_source(self) -> None:
        """What happens to a data call without a source namespace."""
        raise invalid("source_namespace is empty")

    def backend_key(self, namespace: str, name: str) -> tuple[str, str]:
        """Which backend a store has: the store's own."""
        return namespace, name

    def check_reference(self, request: Any) -> None:
        """Refuses a request without a usable reference."""
        if not request.HasField("provider_ref"):
            raise invalid("provider_ref is missing")
        self.check_kind(
            request.provider_ref.api_version, request.provider_ref.kind, STORE_API, self.STORE_KINDS
        )

    def check_body(self, request: Any, name: str) -> None:
        """Refuses a request without what it asks for."""
        if not request.HasField(name):
            raise invalid(f"{name} is missing")

    def check_named(self, field: str, name: str) -> None:
        """Refuses an empty name."""
        if not name:
            raise invalid(f"{field} is empty")

    def check_kind(self, api_version: str, kind: str, served: str, kinds: frozenset[str]) -> None:
        """Refuses a kind that is not served."""
        if not re.fullmatch(r"[^/]+/[^/]+", api_version) or not kind:
            raise invalid("api_version has to be group/version, and kind has to be given")
        if api_version != served or kind not in kinds:
            text = f"kind {short(kind)} of {short(api_version)} is not served here"
            raise Refusal(Code.UNIMPLEMENTED, "UNSUPPORTED", text)

    # Reading

    def get_secret(self, request: pb.GetSecretRequest, call: Call) -> pb.GetSecretResponse:
        """GetSecret."""
        return pb.GetSecretResponse(
            value=self.decode(self.read(request, call), request.remote_ref.decoding_strategy)
        )

    def get_secret_map(self, request: pb.GetSecretMapRequest, call: Call) -> pb.GetSecretMapResponse:
        """GetSecretMap."""
        value = self.read(request, call)
        try:
            found = document.members(value)
        except document.Missing:
            raise self.not_an_object(request.remote_ref.key, value) from None
        return pb.GetSecretMapResponse(secrets={name: self.member(raw) for name, raw in found.items()})

    def member(self, raw: str) -> bytes:
        """A member's value."""
        return document.plain(raw) if raw.strip()[0] in '"n' else raw.encode()

    def not_an_object(self, key: str, value: bytes) -> Refusal:
        """How a map of something else is refused."""
        return Refusal(
            Code.FAILED_PRECONDITION, "PERMANENT", f"secret {short(key)} is not a JSON object", key=cut(key)
        )

    def read(self, request: Any, call: Call) -> bytes:
        """The bytes that a read is about."""
        self.check_reference(request)
        self.check_body(request, "remote_ref")
        ref = request.remote_ref
        backend = self.open(request)
        self.check_named("remote_ref.key", ref.key)
        self.misbehave(ref.key, call)
        value = self.fetch(backend, ref.key, ref.version)
        if ref.metadata_policy == "Fetch":
            value = self.metadata(backend, ref.key)
        return self.select(value, ref.key, ref.property) if ref.property else value

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        """A version of a secret."""
        self.backend_calls["GetSecretValue", "success" if key in backend.secrets else "error"] += 1
        found = backend.secrets.get(self.stored_key(key))
        if found is None or not found.versions:
            raise self.absent(key)
        return self.pick(found.versions, key, version)

    def stored_key(self, key: str) -> str:
        """The name by which a key is kept."""
        return key

    def pick(self, versions: list[bytes], key: str, version: str) -> bytes:
        """Versions are counted from 1."""
        if not version:
            return versions[-1]
        if not version.isdecimal() or not 1 <= int(version) <= len(versions):
            raise self.absent(key)
        return versions[int(version) - 1]

    def absent(self, key: str) -> Refusal:
        """How an absent secret is refused."""
        return Refusal(Code.NOT_FOUND, "NO_SECRET", f"Secret does not exist: {short(key)}", key=cut(key))

    def metadata(self, backend: Backend, key: str) -> bytes:
        """The metadata of a secret."""
        return json.dumps(backend.secrets[key].tags).encode()

    def select(self, value: bytes, key: str, path: str) -> bytes:
        """A property of a value."""
        try:
            return document.find(value, path)
        except document.Missing:
            raise self.no_property(key, path) from None

    def no_property(self, key: str, path: str) -> Refusal:
        """How a property that is not there is refused."""
        text = f"secret {short(key)} has no property {short(path)}"
        return Refusal(Code.FAILED_PRECONDITION, "NO_PROPERTY", text, key=cut(key), property=cut(path))

    def decode(self, value: bytes, strategy: str) -> bytes:
        """Decoding is the core's business."""
        return value

    def misbehave(self, key: str, call: Call) -> None:
        """Keys that make the backend misbehave."""
        match key:
            case "fault/timeout":
                raise self.backend_timed_out()
            case "fault/unavailable":
                raise self.backend_away()
            case "fault/denied":
                raise self.backend_denied()
            case "fault/unauthenticated":
                raise self.backend_forgot_us()
            case "fault/rate":
                raise self.backend_limits()
            case "fault/bug":
                raise ZeroDivisionError("division of hunter2 by zero")
            case "slow":
                call.wait(self.SLOW_SECONDS)
            case "fault/hang":
                self.hang(call)

    def backend_timed_out(self) -> Refusal:
        """How a backend's timeout is refused."""
        return Refusal(Code.UNAVAILABLE, "TEMPORARY", "the backend did not answer in time")

    def backend_away(self) -> Refusal:
        """How a backend that can't be reached is told."""
        return Refusal(Code.UNAVAILABLE, "TEMPORARY", "the backend is away")

    def backend_forgot_us(self) -> Refusal:
        """How a backend's 401 is told."""
        return Refusal(Code.UNAUTHENTICATED, "CREDENTIALS", "the backend no longer accepts the token")

    def backend_limits(self) -> Refusal:
        """How a backend's 429 is told."""
        return Refusal(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", "the backend asks to slow down", retry=2.5)

    def backend_denied(self) -> Refusal:
        """How a backend's 403 is refused."""
        return Refusal(
            Code.PERMISSION_DENIED, "ACCESS_DENIED", "the backend refuses this secret to this token"
        )

    def hang(self, call: Call) -> None:
        """Hang with the backend, as long as somebody waits."""
        call.wait(self.HANG_SECONDS)
        if call.over.is_set():
            raise Refusal(Code.DEADLINE_EXCEEDED, "DEADLINE", "the caller's time is over")
        raise self.backend_timed_out()

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        """GetAllSecrets."""
        self.check_reference(request)
        self.check_body(request, "find")
        find = request.find
        backend = self.open(request)
        if not (find.HasField("name") or find.tags or find.path):
            raise invalid("find: one of name, tags and path has to be given")
        matches = self.matcher(find.name.regexp if find.HasField("name") else "")
        found = {}
        for name in self.names(backend):
            secret = backend.secrets.get(name)
            if secret is None or not secret.versions:
                continue
            if name.startswith(find.path) and matches(name) and self.has_tags(secret, find.tags):
                found[name] = self.decode(secret.versions[-1], find.decoding_strategy)
        return pb.GetAllSecretsResponse(secrets=found)

    def matcher(self, pattern: str) -> Callable[[str], Any]:
        """RE2, searched anywhere."""
        try:
            search: Callable[[str], Any] = re2.compile(pattern, quiet()).search
            return search
        except re2.error:
            raise invalid(f"find.name.regexp: {short(pattern)} is not RE2") from None

    def names(self, backend: Backend) -> list[str]:
        """All names, page by page."""
        names: list[str] = []
        while page := backend.page(len(names) // backend.PAGE):
            names += page
            if len(page) < backend.PAGE:
                break
        return names

    def has_tags(self, secret: Secret, tags: Mapping[str, str]) -> bool:
        """All tags have to be there."""
        return all(secret.tags.get(name) == value for name, value in tags.items())

    # Writing

    def push_secret(self, request: pb.PushSecretRequest, call: Call) -> pb.PushSecretResponse:
        """PushSecret."""
        self.check_reference(request)
        self.check_body(request, "push_secret_data")
        backend, data = self.open(request), request.push_secret_data
        self.check_named("push_secret_data.remote_key", data.remote_key)
        self.check_metadata(data.metadata)
        value = self.payload(request)
        self.store(backend, data.remote_key, data.property, value)
        return pb.PushSecretResponse()

    def payload(self, request: pb.PushSecretRequest) -> bytes:
        """What is written: one entry, or the whole Secret."""
        key = request.push_secret_data.secret_key
        if not key:
            texts = {name: value.decode("utf-8", "replace") for name, value in request.secret_data.items()}
            return json.dumps(texts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if key not in request.secret_data:
            raise invalid(f"the Secret has no key {short(key)}")
        return request.secret_data[key]

    def check_owner(self, key: str) -> None:
        """Refuses to write what is not ours."""
        if key == UNMANAGED:
            text = f"secret {short(key)} was not made by a PushSecret"
            raise Refusal(Code.FAILED_PRECONDITION, "CONFLICT", text, key=cut(key))

    def store(self, backend: Backend, key: str, path: str, value: bytes) -> None:
        """Write a value, or one member of a document."""
        self.check_owner(key)

        def change(before: bytes | None) -> bytes:
            if not path:
                return value
            try:
                return document.put(before or b"{}", path, value.decode())
            except (document.Missing, UnicodeDecodeError, ValueError):
                text = f"property {short(path)} cannot be set in secret {short(key)}"
                raise Refusal(Code.FAILED_PRECONDITION, "PERMANENT", text) from None

        backend.write(self.stored_key(key), change)

    def check_metadata(self, metadata: bytes) -> None:
        """Push metadata is read strictly."""
        if not metadata:
            return
        try:
            given = json.loads(metadata)
        except (ValueError, RecursionError):
            raise invalid("push metadata is not JSON") from None
        wanted = {
            "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
            "kind": "PushSecretMetadata",
            "spec": {},
        }
        if given != wanted:
            raise invalid("push metadata has an unknown kind or field")

    def delete_secret(self, request: pb.DeleteSecretRequest, call: Call) -> pb.DeleteSecretResponse:
        """DeleteSecret."""
        backend, ref = self.writing(request)
        with backend.lock:
            self.remove(backend, self.stored_key(ref.remote_key), ref.property)
        return pb.DeleteSecretResponse()

    def remove(self, backend: Backend, key: str, path: str) -> None:
        """Remove a secret, or one member of it; absence is fine."""
        found = backend.secrets.get(key)
        if found is None or key == UNMANAGED:
            return
        if path:
            try:
                rest = document.remove(found.versions[-1], path)
            except document.Missing:
                return
            if rest:
                found.versions.append(rest)
                return
        del backend.secrets[key]

    def secret_exists(self, request: pb.SecretExistsRequest, call: Call) -> pb.SecretExistsResponse:
        """SecretExists."""
        backend, ref = self.writing(request)
        return pb.SecretExistsResponse(exists=self.is_there(backend, ref.remote_key, ref.property))

    def is_there(self, backend: Backend, key: str, path: str) -> bool:
        """Whether the secret, or the member of it, is there."""
        found = backend.secrets.get(self.stored_key(key))
        if found is None or not path:
            return found is not None
        try:
            document.find(found.versions[-1], path)
        except document.Missing:
            return False
        return True

    def writing(self, request: Any) -> tuple[Backend, pb.PushSecretRemoteRef]:
        """What DeleteSecret and SecretExists are about."""
        self.check_reference(request)
        self.check_body(request, "remote_ref")
        backend = self.open(request)
        self.check_named("remote_ref.remote_key", request.remote_ref.remote_key)
        return backend, request.remote_ref

    # About stores

    def validate(self, request: pb.ValidateRequest, call: Call) -> pb.ValidateResponse:
        """Validate."""
        self.check_reference(request)
        ref, source = request.provider_ref, request.source_namespace
        config = self.config(ref, source)
        namespace = self.config_namespace(ref.namespace, source)
        scope = request.store.spec.authentication_scope
        credentials = self.credentials_namespace(config, namespace, source, ref.store_ref_kind, scope)
        try:
            if credentials or config.problem:
                self.log_in(config, credentials)
        except Refusal as problem:
            return pb.ValidateResponse(valid=False, error=problem.text)
        return pb.ValidateResponse(valid=True)

    def capabilities(self, request: pb.CapabilitiesRequest, call: Call) -> pb.CapabilitiesResponse:
        """Capabilities."""
        self.check_reference(request)
        return pb.CapabilitiesResponse(capabilities=self.CAPABILITIES)  # type: ignore[arg-type]

    def describe(self, request: desc.DescribeRequest, call: Call) -> desc.DescribeResponse:
        """Describe."""
        words: dict[int, str] = {
            pb.READ_ONLY: "ReadOnly",
            pb.WRITE_ONLY: "WriteOnly",
            pb.READ_WRITE: "ReadWrite",
        }
        store = desc.ServedKind(
            role=desc.KIND_ROLE_STORE,
            api_version=STORE_API,
            kind="Memory",
            capabilities=words[self.CAPABILITIES],
        )
        token = desc.ServedKind(
            role=desc.KIND_ROLE_GENERATOR,
            api_version=GENERATOR_API,
            kind="Token",
            methods=["Generate", "Cleanup"],
        )
        return desc.DescribeResponse(
            name="right", version="1.0", contract_versions=["1.1", "1.0"], kinds=[store, token]
        )

    # Generators

    def generator(self, request: Any) -> Config:
        """The config object of a generator."""
        if not request.HasField("generator_ref"):
            raise invalid("generator_ref is missing")
        ref, source = request.generator_ref, request.source_namespace
        self.check_kind(ref.api_version, ref.kind, GENERATOR_API, self.GENERATOR_KINDS)
        if not source:
            self.refuse_empty_source()
        namespace = self.config_namespace(ref.namespace, source)
        if request.generator.kind != "ClusterGenerator":
            self.deny_foreign(namespace, source)
        if (config := self.generators.get((namespace, ref.name))) is None:
            raise self.missing_object(namespace, ref.name)
        if config.selector:
            self.deny_foreign(config.selector, source)
        self.log_in(config, source)
        return config

    def generate(self, request: gen.GenerateRequest, call: Call) -> gen.GenerateResponse:
        """Generate."""
        self.generator(request)
        token, name = self.new_token(), secrets.token_hex(8)
        with self.lock:
            self.left[name] = token
        return gen.GenerateResponse(secrets={"token": token.encode()}, state=self.state(name, token))

    def new_token(self) -> str:
        """A new value."""
        return secrets.token_urlsafe(24)

    def state(self, name: str, token: str) -> bytes:
        """What Cleanup needs."""
        return json.dumps({"name": name}).encode()

    def cleanup(self, request: gen.CleanupRequest, call: Call) -> gen.CleanupResponse:
        """Cleanup."""
        self.generator(request)
        if request.state:
            with self.lock:
                self.forget(self.parse_state(request.state))
        return gen.CleanupResponse()

    def parse_state(self, state: bytes) -> str:
        """The name in a state of ours."""
        try:
            found = json.loads(state)
        except (ValueError, RecursionError):
            raise invalid("the state is not JSON") from None
        if not isinstance(found, dict) or set(found) != {"name"} or not isinstance(found["name"], str):
            raise invalid("the state is not from this generator")
        return found["name"]

    def forget(self, name: str) -> None:
        """Remove what was generated; absence is fine."""
        self.left.pop(name, None)

    # The way in and out

    def answer(self, method: str, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """From bytes to bytes: version, parsing, admission, the call itself, and the size of the answer."""
        self.check_version(context)
        request = self.parse(method, payload)
        admitted = self.admit(request)
        try:
            handler = getattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())
            response: bytes = handler(request, Call(context)).SerializeToString()
        finally:
            self.release(admitted)
        self.check_size(response)
        return response

    def check_version(self, context: grpc.ServicerContext) -> None:
        """Another major version is refused."""
        metadata = dict(context.invocation_metadata())
        if CONTRACT_VERSION_KEY not in metadata:
            return
        said = str(metadata[CONTRACT_VERSION_KEY])
        found = re.fullmatch(r"(\d{1,9})\.(\d{1,9})", said)
        if found is None:
            raise invalid(f"contract version {short(said)} is not MAJOR.MINOR")
        if int(found[1]) != self.VERSION[0]:
            mine = "{}.{}".format(*self.VERSION)
            older = "the provider" if int(found[1]) > self.VERSION[0] else "the core"
            text = f"the caller speaks contract {said}, this provider {mine}: upgrade {older}"
            raise Refusal(Code.FAILED_PRECONDITION, "CONTRACT_VERSION", text)

    def parse(self, method: str, payload: bytes) -> Message:
        """The request. Parsed here, because gRPC would answer INTERNAL."""
        module: Any = desc if method == "Describe" else gen if method in {"Generate", "Cleanup"} else pb
        try:
            message: Message = getattr(module, f"{method}Request").FromString(payload)
        except DecodeError:
            raise invalid("the request cannot be parsed") from None
        return message

    def admit(self, request: Message) -> tuple[str, str] | None:
        """Bound the calls under way in one store."""
        ref = getattr(request, "provider_ref", None)
        if ref is None or request.DESCRIPTOR.name == "CapabilitiesRequest":
            return None
        store = ref.namespace, ref.name
        with self.lock:
            if self.busy[store] >= self.PER_STORE:
                raise self.overloaded()
            self.busy[store] += 1
        return store

    def overloaded(self) -> Refusal:
        """How a call too many is refused."""
        return Refusal(Code.RESOURCE_EXHAUSTED, "OVERLOADED", "too many calls of this store", retry=0.5)

    def release(self, store: tuple[str, str] | None) -> None:
        """The call is over."""
        if store is not None:
            with self.lock:
                self.busy[store] -= 1

    def check_size(self, response: bytes) -> None:
        """Answers that the caller can't receive are not sent."""
        if len(response) > LIMIT:
            text = f"the answer has {len(response)} bytes, more than {LIMIT}"
            raise Refusal(Code.FAILED_PRECONDITION, "TOO_LARGE", text)

    def status(self, problem: Exception) -> Refusal:
        """What a caller learns of an exception."""
        if isinstance(problem, Refusal):
            return problem
        return Refusal(Code.INTERNAL, "BUG", f"{type(problem).__name__} (request {secrets.token_hex(4)})")

    def trailers(self) -> list[tuple[str, str | bytes]]:
        """Trailing metadata of every answer."""
        return [(CONTRACT_VERSION_KEY, "{}.{}".format(*self.VERSION))]

    def details(self, refusal: Refusal) -> bytes:
        """`grpc-status-details-bin` of an error."""
        retryable = refusal.code in {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED}
        error = pb.Error(
            code=refusal.name, message=refusal.text, retryable=retryable, details=refusal.details
        )
        status = status_pb2.Status(code=refusal.code.value[0], message=refusal.text)
        info = error_details_pb2.RetryInfo()
        if refusal.retry is not None:
            delay = dt.timedelta(seconds=refusal.retry)
            error.retry_delay.FromTimedelta(delay)
            info.retry_delay.FromTimedelta(delay)
        status.details.add().Pack(error)
        if refusal.retry is not None:
            status.details.add().Pack(info)
        payload: bytes = status.SerializeToString()
        return payload

    def count(self, path: str, seconds: float, *, ok: bool) -> None:
        """Metrics of one finished call."""
        with self.lock:
            self.counts[path, "success" if ok else "error"] += 1
            self.seconds[path].append(seconds)

    BUCKETS: ClassVar[tuple[float, ...]] = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30)

    def metrics(self) -> str:
        """The metrics page."""
        lines = []
        with self.lock:
            for (path, status), number in self.counts.items():
                lines.append(f'grpc_server_requests_total{{method="{path}",status="{status}"}} {number}')
            for path, times in self.seconds.items():
                name = "grpc_server_request_duration_seconds"
                ordered = sorted(times)
                for bucket in self.BUCKETS:
                    inside = bisect.bisect_right(ordered, bucket)
                    lines.append(f'{name}_bucket{{method="{path}",le="{bucket:g}"}} {inside}')
                lines.append(f'{name}_bucket{{method="{path}",le="+Inf"}} {len(times)}')
                lines.append(f'{name}_count{{method="{path}"}} {len(times)}')
                lines.append(f'{name}_sum{{method="{path}"}} {sum(times)}')
            for (call, status), number in self.backend_calls.items():
                labels = f'provider="Right/Memory",call="{call}",status="{status}"'
                lines.append(f"externalsecret_provider_api_calls_count{{{labels}}} {number}")
        return "\n".join(lines) + "\n"

    def handle(self, path: str, payload: bytes, context: grpc.ServicerContext) -> bytes:
        """One call from the network."""
        started = time.monotonic()
        ok = False
        trailers = self.trailers()
        try:
            response = self.answer(path.rpartition("/")[2], payload, context)
            ok = True
            return response
        except Exception as problem:
            refusal = self.status(problem)
            trailers = [*trailers, *self.error_trailers(refusal)]
            context.set_code(refusal.code)
            context.set_details(refusal.text)
            return b""
        finally:
            context.set_trailing_metadata(tuple(trailers))
            self.count(path, time.monotonic() - started, ok=ok)

    def error_trailers(self, refusal: Refusal) -> list[tuple[str, str | bytes]]:
        """Trailing metadata of an error."""
        return [("grpc-status-details-bin", self.details(refusal))]


def cut(name: str) -> str:
    """A name of bearable length. What was cut away is told apart by a hash."""
    if len(name) <= 400:
        return name
    return f"{name[:300]}...{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def short(name: str) -> str:
    """A name for a text: one line, printable, not too long."""
    return repr(cut(name))


def quiet() -> Any:
    """RE2 options that keep its complaints out of stderr."""
    options = re2.Options()
    options.log_errors = False
    return options
