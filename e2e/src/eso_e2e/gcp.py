"""A Secret Manager of Google Cloud that runs in a test: Google's published messages over real gRPC and TLS.

Google offers no emulator. This server keeps secrets in memory and is strict where Google is: names, label and payload
limits, etags, states of versions, pages, project numbers in answers, global or one location. Permissions are a set of
what is denied, not IAM. It needs google-cloud-secret-manager and google-crc32c, which its own provider brings along.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import google_crc32c
import grpc
from google.cloud import secretmanager_v1 as sm
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from eso_e2e.pki import KeyPair

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
NUMBER = "704529631812"
"""The number that every known project has here."""
LARGEST_PAYLOAD = 65536
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_TERM = re.compile(
    r'(?P<field>name|state|labels\.[^=:\s]+)(?P<op>[:=])(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<bare>\S*))'
)


@dataclass
class Version:
    """One version of a secret."""

    number: int
    payload: bytes = field(repr=False)
    created: float
    state: str = "ENABLED"


@dataclass
class Secret:
    """A secret, as it is kept."""

    message: sm.Secret
    versions: list[Version] = field(default_factory=list)
    changes: int = 0

    @property
    def etag(self) -> str:
        """Changes with the secret, not with its versions."""
        return f'"{self.changes:x}"'


@dataclass
class Rule:
    """What is to go wrong with some calls."""

    method: str
    act: Callable[[grpc.ServicerContext], None]
    times: int | None
    key: str


class SecretManagerServer:
    """Secret Manager at `address`, for `projects`. `accepts` decides about access tokens."""

    def __init__(
        self,
        pair: KeyPair,
        *,
        location: str = "",
        projects: tuple[str, ...] = ("acme",),
        accepts: Callable[[str], bool] = bool,
        page: int = 25_000,
    ) -> None:
        """Listen at once. `page` is the most that a page of a list holds."""
        self.location = location
        self.projects = projects
        self.accepts = accepts
        self.page = page
        self.calls: list[tuple[str, str]] = []
        """Method and resource of every call that came, in order."""
        self.muted: set[str] = set()
        """Keys whose versions are answered without their payload."""
        self.spoiled: set[str] = set()
        """Keys whose values do not arrive as they are kept."""
        self.checked: set[str] = set()
        """Keys of which a version came with its checksum."""
        self.quota_projects: list[str] = []
        self.peers: set[str] = set()
        """Connections from which calls came."""
        self.denied: set[str] = set()
        """Permissions that are refused, such as `secretmanager.versions.access`, or `permission:key`."""
        self._secrets: dict[tuple[str, str], Secret] = {}
        self._rules: list[Rule] = []
        self._lock = threading.RLock()
        self._clock = 1_700_000_000.0
        self._stopping = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(32, thread_name_prefix="fake-gcp"))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    @property
    def address(self) -> str:
        """host:port, by the name that the certificate has."""
        return f"localhost:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, ending what hangs."""
        self._stopping.set()
        self._server.stop(None).wait()

    # -- what tests do past the wire -----------------------------------------------------------------------------------

    def reset(self) -> None:
        """As new, for the next test."""
        with self._lock:
            self._secrets.clear()
            self._rules.clear()
            self.calls.clear()
            self.denied.clear()
            self.muted.clear()
            self.spoiled.clear()
            self.checked.clear()
            self.quota_projects.clear()
            self.peers.clear()

    def put(
        self,
        key: str,
        value: bytes | str | None,
        *,
        project: str = "acme",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create a secret or add a version to it; None gives a secret without versions."""
        with self._lock:
            secret = self._secrets.get((project, key))
            if secret is None:
                message = sm.Secret(labels=dict(labels or {}), annotations=dict(annotations or {}))
                secret = self._secrets[project, key] = Secret(message)
            if value is not None:
                self._add(secret, value.encode() if isinstance(value, str) else value)

    def remove(self, key: str, *, project: str = "acme") -> None:
        """Delete a secret, if it is there."""
        with self._lock:
            self._secrets.pop((project, key), None)

    def set_state(self, key: str, number: int, state: str, *, project: str = "acme") -> None:
        """Make a version ENABLED, DISABLED or DESTROYED."""
        self._secrets[project, key].versions[number - 1].state = state

    def set_alias(self, key: str, alias: str, number: int, *, project: str = "acme") -> None:
        """Let `alias` stand for a version."""
        self._secrets[project, key].message.version_aliases[alias] = number

    def secret(self, key: str, *, project: str = "acme") -> sm.Secret | None:
        """What is kept of a secret, or None."""
        found = self._secrets.get((project, key))
        return None if found is None else found.message

    def values(self, key: str, *, project: str = "acme") -> list[bytes]:
        """The payloads of a secret's versions, oldest first."""
        found = self._secrets.get((project, key))
        return [] if found is None else [version.payload for version in found.versions]

    def count(self, method: str, key: str = "") -> int:
        """How often a method was called (for a secret)."""
        return sum(m == method and (not key or f"/secrets/{key}" in f"{r}/") for m, r in self.calls)

    def fail(
        self,
        method: str,
        code: grpc.StatusCode,
        message: str = "made to fail by the test",
        *,
        key: str = "",
        times: int | None = None,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Answer calls of `method` (for `key`) with an error."""
        self._rules.insert(
            0,
            Rule(method, lambda context: _abort(context, code, message, reason, retry_after), times, key),
        )

    def hang(self, method: str, *, key: str = "", seconds: float = 60) -> None:
        """Let calls wait, until the caller gives up or the server stops."""

        def wait(context: grpc.ServicerContext) -> None:
            end = time.monotonic() + seconds
            while context.is_active() and time.monotonic() < end:
                if self._stopping.wait(0.02):
                    return

        self._rules.insert(0, Rule(method, wait, None, key))

    def before(self, method: str, act: Callable[[], None], *, key: str = "", times: int | None = 1) -> None:
        """Run `act` before a call of `method` is answered: what somebody else does at that moment."""
        self._rules.insert(0, Rule(method, lambda _: act(), times, key))

    # -- the wire ------------------------------------------------------------------------------------------------------

    def _handlers(self) -> grpc.GenericRpcHandler:
        empty: Any = type("Empty", (), {"serialize": staticmethod(lambda _: b"")})
        methods: dict[str, tuple[Callable[..., Any], Any, Any, str]] = {
            "GetSecret": (self._get, sm.GetSecretRequest, sm.Secret, "secrets.get"),
            "ListSecrets": (self._list, sm.ListSecretsRequest, sm.ListSecretsResponse, "secrets.list"),
            "CreateSecret": (self._create, sm.CreateSecretRequest, sm.Secret, "secrets.create"),
            "UpdateSecret": (self._update, sm.UpdateSecretRequest, sm.Secret, "secrets.update"),
            "DeleteSecret": (self._delete, sm.DeleteSecretRequest, empty, "secrets.delete"),
            "AddSecretVersion": (
                self._add_version,
                sm.AddSecretVersionRequest,
                sm.SecretVersion,
                "versions.add",
            ),
            "AccessSecretVersion": (
                self._access,
                sm.AccessSecretVersionRequest,
                sm.AccessSecretVersionResponse,
                "versions.access",
            ),
            "ListSecretVersions": (
                self._list_versions,
                sm.ListSecretVersionsRequest,
                sm.ListSecretVersionsResponse,
                "versions.list",
            ),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: self._handler(name, *parts) for name, parts in methods.items()}
        )

    def _handler(
        self, method: str, act: Callable[..., Any], request: Any, response: Any, permission: str
    ) -> grpc.RpcMethodHandler[Any, Any]:
        def answer(message: Any, context: grpc.ServicerContext) -> Any:
            resource = _resource(message)
            with self._lock:
                self.calls.append((method, resource))
                self.peers.add(context.peer())
            self._authenticate(context)
            for rule in self._due(method, resource):
                rule.act(context)
            key = resource.partition("/secrets/")[2].partition("/")[0]
            full = f"secretmanager.{permission}"
            if full in self.denied or f"{full}:{key}" in self.denied:
                text = f"Permission '{full}' denied for resource '{resource}' (or it may not exist)."
                _abort(context, grpc.StatusCode.PERMISSION_DENIED, text, "IAM_PERMISSION_DENIED")
            with self._lock:
                return act(message, context)

        return grpc.unary_unary_rpc_method_handler(answer, request.deserialize, response.serialize)

    def _authenticate(self, context: grpc.ServicerContext) -> None:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        if "x-goog-user-project" in metadata:
            self.quota_projects.append(metadata["x-goog-user-project"])
        scheme, _, token = metadata.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self.accepts(token):
            text = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            _abort(context, grpc.StatusCode.UNAUTHENTICATED, text, "ACCESS_TOKEN_EXPIRED")

    def _due(self, method: str, resource: str) -> list[Rule]:
        with self._lock:
            due = [
                rule
                for rule in self._rules
                if rule.method == method
                and rule.times != 0
                and (not rule.key or f"/secrets/{rule.key}/" in f"{resource}/")
            ]
            for rule in due[:1]:
                if rule.times is not None:
                    rule.times -= 1
        return due[:1]

    def _project(self, name: str, context: grpc.ServicerContext) -> str:
        parts = name.split("/")
        located = parts[3] if len(parts) > 3 and parts[2] == "locations" else ""
        if located != self.location or parts[0] != "projects":
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, f"Invalid resource field value: {name}")
        if parts[1] not in self.projects:
            text = f"Permission denied on resource project {parts[1]}."
            _abort(context, grpc.StatusCode.PERMISSION_DENIED, text, "CONSUMER_INVALID")
        return parts[1]

    def _find(self, name: str, context: grpc.ServicerContext) -> Secret:
        project = self._project(name, context)
        key = name.partition("/secrets/")[2].split("/")[0]
        secret = self._secrets.get((project, key))
        if secret is None:
            _abort(context, grpc.StatusCode.NOT_FOUND, f"Secret [{self._shown(key)}] not found.")
        return secret

    def _shown(self, key: str) -> str:
        location = f"/locations/{self.location}" if self.location else ""
        return f"projects/{NUMBER}{location}/secrets/{key}"

    def _message(self, key: str, secret: Secret) -> sm.Secret:
        message = sm.Secret(secret.message)
        message.name = self._shown(key)
        message.etag = secret.etag
        return message

    # -- methods -------------------------------------------------------------------------------------------------------

    def _get(self, request: sm.GetSecretRequest, context: grpc.ServicerContext) -> sm.Secret:
        return self._message(request.name.rpartition("/")[2], self._find(request.name, context))

    def _list(self, request: sm.ListSecretsRequest, context: grpc.ServicerContext) -> sm.ListSecretsResponse:
        project = self._project(request.parent, context)
        terms = _terms(request.filter, context)
        chosen = [
            (key, secret)
            for (owner, key), secret in sorted(self._secrets.items())
            if owner == project and all(_meets(key, secret.message, *term) for term in terms)
        ]
        start, size = int(request.page_token or 0), min(request.page_size or self.page, self.page)
        page = chosen[start : start + size]
        more = str(start + size) if start + size < len(chosen) else ""
        return sm.ListSecretsResponse(
            secrets=[self._message(key, secret) for key, secret in page],
            next_page_token=more,
            total_size=len(chosen),
        )

    def _create(self, request: sm.CreateSecretRequest, context: grpc.ServicerContext) -> sm.Secret:
        project = self._project(request.parent, context)
        key, wanted = request.secret_id, request.secret
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", key):
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "Secret ID is not valid.")
        if (project, key) in self._secrets:
            _abort(context, grpc.StatusCode.ALREADY_EXISTS, f"Secret [{self._shown(key)}] already exists.")
        if ("replication" in wanted) == bool(self.location):
            text = "Replication must be given for global secrets and only for them."
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, text)
        _check_labels(wanted, context)
        secret = self._secrets[project, key] = Secret(sm.Secret(wanted))
        return self._message(key, secret)

    def _update(self, request: sm.UpdateSecretRequest, context: grpc.ServicerContext) -> sm.Secret:
        secret = self._find(request.secret.name, context)
        _check_etag(request.secret.etag, secret, context)
        _check_labels(request.secret, context)
        paths = list(request.update_mask.paths)
        if not paths or not set(paths) <= {"labels", "annotations", "topics", "version_aliases"}:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "The update mask is not valid.")
        for path in paths:
            setattr(secret.message, path, getattr(request.secret, path))
        secret.changes += 1
        return self._message(request.secret.name.rpartition("/")[2], secret)

    def _delete(self, request: sm.DeleteSecretRequest, context: grpc.ServicerContext) -> None:
        secret = self._find(request.name, context)
        _check_etag(request.etag, secret, context)
        project = request.name.split("/")[1]
        del self._secrets[project, request.name.rpartition("/")[2]]

    def _add_version(
        self, request: sm.AddSecretVersionRequest, context: grpc.ServicerContext
    ) -> sm.SecretVersion:
        secret = self._find(request.parent, context)
        if not request.payload.data:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "Field [payload] is required.")
        if len(request.payload.data) > LARGEST_PAYLOAD:
            _abort(
                context, grpc.StatusCode.INVALID_ARGUMENT, "The secret payload is larger than 65536 bytes."
            )
        key = request.parent.rpartition("/")[2]
        if "data_crc32c" in request.payload:
            if request.payload.data_crc32c != google_crc32c.value(request.payload.data):
                _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "The checksum does not match the payload.")
            self.checked.add(key)
        return self._version(key, self._add(secret, request.payload.data))

    def _add(self, secret: Secret, payload: bytes) -> Version:
        self._clock += 1
        version = Version(len(secret.versions) + 1, payload, self._clock)
        secret.versions.append(version)
        return version

    def _version(self, key: str, version: Version) -> sm.SecretVersion:
        return sm.SecretVersion(
            name=f"{self._shown(key)}/versions/{version.number}",
            create_time={"seconds": int(version.created)},
            state=getattr(sm.SecretVersion.State, version.state),
        )

    def _access(
        self, request: sm.AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> sm.AccessSecretVersionResponse:
        project = self._project(request.name, context)
        key, _, asked = request.name.partition("/secrets/")[2].partition("/versions/")
        secret = self._secrets.get((project, key))
        if secret is None or (asked == "latest" and not secret.versions):
            text = f"Secret [{self._shown(key)}] not found or has no versions."
            _abort(context, grpc.StatusCode.NOT_FOUND, text)
        number = secret.message.version_aliases.get(asked, int(asked) if asked.isdecimal() else 0)
        if asked == "latest":
            number = len(secret.versions)
        name = f"{self._shown(key)}/versions/{number or asked}"
        if not 0 < number <= len(secret.versions):
            _abort(context, grpc.StatusCode.NOT_FOUND, f"Secret Version [{name}] not found.")
        version = secret.versions[number - 1]
        if version.state != "ENABLED":
            text = f"Secret Version [{name}] is in {version.state} state."
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, text)
        if key in self.muted:
            return sm.AccessSecretVersionResponse(name=name)
        payload = sm.SecretPayload(data=version.payload, data_crc32c=google_crc32c.value(version.payload))
        if key in self.spoiled:
            payload.data = payload.data[:-1]
        return sm.AccessSecretVersionResponse(name=name, payload=payload)

    def _list_versions(
        self, request: sm.ListSecretVersionsRequest, context: grpc.ServicerContext
    ) -> sm.ListSecretVersionsResponse:
        secret = self._find(request.parent, context)
        states = [value for name, _, value in _terms(request.filter, context) if name == "state"]
        chosen = [v for v in reversed(secret.versions) if not states or v.state in states]
        start, size = int(request.page_token or 0), min(request.page_size or self.page, self.page)
        more = str(start + size) if start + size < len(chosen) else ""
        key = request.parent.rpartition("/")[2]
        return sm.ListSecretVersionsResponse(
            versions=[self._version(key, version) for version in chosen[start : start + size]],
            next_page_token=more,
            total_size=len(chosen),
        )


@contextmanager
def trusted_by_grpc(ca_file: Path) -> Iterator[None]:
    """Let clients of this process that name no roots trust `ca_file`. gRPC reads it once, at the first such client."""
    import os

    name = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
    old = os.environ.get(name)
    os.environ[name] = str(ca_file)
    try:
        yield
    finally:
        if old is None:
            del os.environ[name]
        else:
            os.environ[name] = old


def _resource(message: Any) -> str:
    for name in ("name", "parent"):
        found = getattr(message, name, "")
        if found:
            extra = f"/secrets/{message.secret_id}" if hasattr(message, "secret_id") else ""
            return f"{found}{extra}"
    return str(message.secret.name)


def _terms(text: str, context: grpc.ServicerContext) -> list[tuple[str, str, str]]:
    """The terms of a filter as (field, operator, value); all have to hold."""
    terms, rest = [], text.strip()
    while rest:
        found = _TERM.match(rest)
        if found is None:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "The filter is not valid.")
        quoted = found["quoted"]
        value = found["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        terms.append((found["field"], found["op"], value))
        rest = rest[found.end() :].lstrip()
    return terms


def _meets(key: str, message: sm.Secret, name: str, operator: str, value: str) -> bool:
    if name == "name":
        return value in key if operator == ":" else value == key
    label = name.removeprefix("labels.").strip('"')
    found = message.labels.get(label)
    return found == value if operator == "=" else found is not None and value in found


def _check_labels(message: sm.Secret, context: grpc.ServicerContext) -> None:
    for key, value in message.labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "Label keys or values are not valid.")


def _check_etag(etag: str, secret: Secret, context: grpc.ServicerContext) -> None:
    if etag and etag != secret.etag:
        text = "The provided etag does not match the current etag."
        _abort(context, grpc.StatusCode.FAILED_PRECONDITION, text)


def _abort(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    text: str,
    reason: str = "",
    retry_after: float | None = None,
) -> NoReturn:
    details: list[Any] = [error_details_pb2.RequestInfo(request_id=f"{time.monotonic_ns():x}")]
    if reason:
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com"))
    if retry_after is not None:
        seconds = int(retry_after)
        delay = duration_pb2.Duration(seconds=seconds, nanos=int((retry_after - seconds) * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        item = any_pb2.Any()
        item.Pack(detail)
        packed.append(item)
    status = status_pb2.Status(code=code.value[0], message=text, details=packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, text)
