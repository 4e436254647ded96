"""What is judged, and what the judge may assume about it: the target file, as frozen objects.

Everything a maintainer knows about his provider stands here and nowhere in the checks: where it listens, which objects
exist, how to seed, which limits the backend has. What is not declared is not excused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Dialect = Literal["v2", "s", "p"]


class TargetError(Exception):
    """The target file says what can't be; the text names the field."""


class Seeder(Protocol):
    """Puts secrets into a backend past the provider. What a hook has to offer; the object given may be a class instance or
    a module. Names of methods and arguments are stable.
    """

    def put(self, store: str, key: str, value: bytes, tags: Mapping[str, str]) -> None:
        """Create or replace a secret in the backend of the store with this name."""

    def delete(self, store: str, key: str) -> None:
        """Remove a secret; removing what is not there is fine."""


class Process(Protocol):
    """The provider's process. `stop` does what Kubernetes does: SIGTERM, then wait."""

    def start(self) -> None:
        """Start the provider at the same endpoint; may return before it serves."""

    def stop(self) -> int:
        """End the provider as SIGTERM does, wait, and give its exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificates of the caller, and what is needed to make bad ones."""

    ca: bytes
    cert: bytes
    key: bytes = field(repr=False)
    server_name: str = ""
    """Name to verify in the server's certificate, when it is not the host of the endpoint."""
    ca_key: bytes | None = field(default=None, repr=False)
    bad: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
    """Ready-made bad client certificates: `expired`, `not-yet-valid` -> (certificate, key)."""
    rewrite_dir: Path | None = None
    """The server's own certificate folder, which the suite may rewrite (and restores)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the backend cannot do by its nature. A check outside them is not applicable; anything else is expected to work."""

    values: Literal["bytes", "text", "object"] = "bytes"
    """`object`: every secret is a map of names to values, as in Vault's KV or a Kubernetes Secret."""
    members: Literal["bytes", "text"] = "text"
    """For `object`: what the values of the map can be."""
    max_value_bytes: int | None = None
    empty_value: bool = True
    key_pattern: str = ""
    """Regular expression that a whole key has to match; empty means any text."""
    max_key_bytes: int | None = None
    missing_property: Literal["FAILED_PRECONDITION", "NOT_FOUND"] = "FAILED_PRECONDITION"
    property: bool = True
    """`property` selects by JSON path. False: the provider does not look into values."""
    find: tuple[str, ...] = ("name",)
    """Selectors that GetAllSecrets supports: `name`, `tags`, `path`. None: it is not implemented."""
    find_count: int = 120
    """How many secrets the paging check makes."""
    metadata_fetch: bool = False
    """`metadata_policy: Fetch` has something to answer."""
    push_property: bool = True
    push_whole: bool = True
    push_metadata: bool = True
    """Push metadata is read, and so must be refused when it is wrong. False: it is ignored."""
    delete: bool = True
    """DeleteSecret removes. False: it is documented to do nothing."""
    exists_property: bool = False
    """SecretExists honours `property`."""
    backend_calls: bool = False
    """There is a backend whose calls are counted (MET-6)."""

    def __post_init__(self) -> None:
        try:
            re.compile(self.key_pattern)
        except re.error as problem:
            raise TargetError(f"limits.key_pattern: not a regular expression: {problem}") from None

    def refuses_key(self, key: str) -> str:
        """Why the backend can't have this key; empty when it can."""
        if self.key_pattern and not re.fullmatch(self.key_pattern, key):
            return f"key_pattern {self.key_pattern}"
        if self.max_key_bytes is not None and len(key.encode()) > self.max_key_bytes:
            return f"max_key_bytes {self.max_key_bytes}"
        return ""

    def refuses_value(self, value: bytes) -> str:
        """Why the backend can't have this value; empty when it can."""
        if not value and not self.empty_value:
            return "empty_value false"
        if self.max_value_bytes is not None and len(value) > self.max_value_bytes:
            return f"max_value_bytes {self.max_value_bytes}"
        if self.values == "text" or (self.values == "object" and self.members == "text"):
            try:
                value.decode()
            except UnicodeDecodeError:
                return "values text" if self.values == "text" else "members text"
        return ""


@dataclass(frozen=True, slots=True)
class Obj:
    """A config object by name and namespace."""

    object: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Existing:
    """A secret that is in the backend already. The suite reads it and never shows its value."""

    key: str
    value: bytes = field(repr=False)
    property: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Hang:
    """A key whose reading takes this long in the backend."""

    key: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Keys whose reading makes the backend misbehave. An empty key: not to be had."""

    timeout: str = ""
    unavailable: str = ""
    denied: str = ""
    unauthenticated: str = ""
    rate_limited: str = ""
    bug: str = ""
    """A key that shows a defect of the provider itself. Who knows of none has none to be judged by."""
    unmanaged: str = ""
    """A secret that exists and that the provider must not touch: not its own, by the backend's ownership rule."""
    oversize: str = ""
    hang: Hang | None = None
    slow: Hang | None = None
    """A key that exists, and whose reading takes this long and then succeeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTarget:
    """One kind of store, one usable config object of it, and what else there is to try."""

    name: str
    api_version: str
    kind: str
    object: str
    namespace: str
    seed: Literal["push", "none"] | Seeder = "none"
    keys: tuple[Existing, ...] = ()
    key_prefix: str = "conformance-"
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    credentials: bool = True
    """The kind uses credentials. False: there are none that could be missing, refused or of another namespace."""
    second: Obj | None = None
    """A second usable config object of the same kind, with content of its own."""
    foreign: Obj | None = None
    """A usable config object in another namespace: a namespaced store must not reach it, a cluster-scoped one does."""
    foreign_selector: Obj | None = None
    """One in `namespace` whose credentials selector names another namespace."""
    referent: Obj | None = None
    """One in another namespace whose selector names none; the credentials exist in `namespace` only."""
    bad_credentials: Obj | None = None
    invalid: Obj | None = None
    """One whose settings can't work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorTarget:
    """One kind of generator and one usable config object of it."""

    name: str
    api_version: str
    kind: str
    object: str
    namespace: str
    fixed: bool = False
    """It gives the same values every time, for tests."""
    stateful: bool = False
    """Generate answers a state."""
    credentials: bool = True
    """The kind uses credentials."""
    object_optional: bool = False
    """The kind has no settings, and generates without a config object, too."""
    foreign: Obj | None = None
    foreign_selector: Obj | None = None
    invalid: Obj | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A provider to be judged."""

    endpoint: str
    tls: Tls | None
    name: str = "provider"
    stores: tuple[StoreTarget, ...] = ()
    generators: tuple[GeneratorTarget, ...] = ()
    dialect: Dialect = "v2"
    """How the suite asks: as our core (`v2`), or as one of the two Go dialects' cores."""
    contract: tuple[int, int] = (1, 1)
    """Contract version of the run: what the caller sends, and what the provider is held to."""
    differences_of: Literal["", "s", "p"] = ""
    """The peer is a Go server of this dialect: its documented differences are reported as such."""
    call_timeout: float = 10.0
    metrics_url: str = ""
    health_url: str = ""
    process: Process | None = None
    known_failures: Mapping[str, str] = field(default_factory=dict)
    """Check id, or `id[subject]`, to the reason why its failure is known."""

    def __post_init__(self) -> None:
        if not (self.stores or self.generators):
            raise TargetError("stores, generators: the target names neither, so there is nothing to judge")
        for name in self.subjects:
            if self.subjects.count(name) > 1:
                raise TargetError(f"stores, generators: the name {name!r} is used twice; results go by it")
        for id_, reason in self.known_failures.items():
            if not reason.strip():
                raise TargetError(f"known_failures.{id_}: a known failure needs a reason")
        if not re.fullmatch(r".+:\d+", self.endpoint):
            raise TargetError(f"endpoint: {self.endpoint!r} is not HOST:PORT")

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names by which results go: the server itself, the stores, the generators."""
        stores = (store.name for store in self.stores)
        return ("server", *stores, *(generator.name for generator in self.generators))

    @property
    def host(self) -> str:
        """The host part of the endpoint, without brackets."""
        return self.endpoint.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of the endpoint."""
        return int(self.endpoint.rpartition(":")[2])
