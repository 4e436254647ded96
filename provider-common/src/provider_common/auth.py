"""AuthResolver: the only way from a reference in a manifest to a credential, and so the one place of the namespace rule.

The rule (docs/contract.md, "Namespaces"): a namespaced store or generator reads credentials in the caller's namespace and
nowhere else; a selector that names another is refused before anything is read. A cluster-scoped store reads where the
selector says, and where it says nothing, in the credentials namespace of its authentication scope.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provider_common._locks import KeyedLocks
from provider_common.errors import (
    AccessDeniedError,
    InvalidSpecError,
    MissingReferenceError,
    UnknownNamespaceError,
)
from provider_common.kube import IssuedToken, KubeReader, ServiceAccountInfo
from provider_common.sensitive import SecretBytes
from provider_common.spec import (
    CAProvider,
    ConfigMapKeySelector,
    SecretKeySelector,
    Selector,
    ServiceAccountSelector,
    Spec,
    selectors,
)

# Hashes of credentials are keyed by the process: they can be compared here, and are worth nothing elsewhere.
_HASH_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where one request may read. `credentials_namespace` is empty when it is the caller's and the caller is not known.

    `source_namespace` is the namespace on whose behalf the core asks; it may be empty only while a store is validated.
    """

    store_kind: str
    cluster_scoped: bool
    config_namespace: str
    credentials_namespace: str
    source_namespace: str

    def namespace_of(self, selector: Selector, *, field: str) -> str:
        """The namespace in which `selector` is followed; `field` is its path in the manifest.

        Raises AccessDeniedError for a namespace that must not be read, UnknownNamespaceError when it depends on a caller
        who is not known yet, InvalidSpecError for a CA source of a cluster-scoped store that names no namespace.
        """
        if self.cluster_scoped:
            if selector.namespace:
                return selector.namespace
            if isinstance(selector, CAProvider):
                raise InvalidSpecError(
                    f"{field}.namespace: has to be given in a configuration that a {self.store_kind} uses"
                )
            if not self.credentials_namespace:
                raise UnknownNamespaceError(
                    f"{field}: {selector.name!r} is read in the caller's namespace, and no caller is known yet"
                )
            return self.credentials_namespace
        if selector.namespace and selector.namespace != self.credentials_namespace:
            raise AccessDeniedError(
                f"{field}: {selector.name!r} is in namespace {selector.namespace!r}, but a {self.store_kind or 'store'}"
                f" used from namespace {self.credentials_namespace!r} may read only there: remove the namespace,"
                " or use a cluster-scoped store",
                details={
                    "field": field,
                    "namespace": selector.namespace,
                    "allowed": self.credentials_namespace,
                },
            )
        return self.credentials_namespace


class TokenCache:
    """ServiceAccount tokens, shared by all stores, each kept until 80 % of its life is over.

    The key holds everything a token depends on: the namespace, the account's name and UID, the audiences, the lifetime.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        limit: int = 10_000,
        timeout: Callable[[], float] = lambda: 30.0,
    ) -> None:
        """`timeout` tells how many seconds a caller may wait for another who requests the same token. `clock` may be set by
        hand at any time, `steady` may stand still while the machine sleeps: a token is as old as the later of both says.
        """
        self._clock = clock
        self._steady = steady
        self._limit = limit
        self._timeout = timeout
        self._tokens: dict[tuple[object, ...], tuple[IssuedToken, float]] = {}
        """With the steady time of its request."""
        self._making = KeyedLocks()
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get(self, key: tuple[object, ...], make: Callable[[], IssuedToken]) -> IssuedToken:
        """The token of `key`, made by `make` when there is none that is fresh. One caller makes, the others wait.

        Raises what `make` raises, DeadlineError when the wait takes too long.
        """
        if (token := self._fresh(key)) is not None:
            self.hits += 1
            return token
        with self._making.hold(key, timeout=self._timeout()):
            if (token := self._fresh(key)) is not None:
                self.hits += 1
                return token
            self.misses += 1
            asked = self._steady()
            token = make()
            with self._lock:
                if len(self._tokens) >= self._limit:
                    now = self._clock()
                    self._tokens = {k: kept for k, kept in self._tokens.items() if kept[0].expires_at > now}
                while len(self._tokens) >= self._limit:
                    del self._tokens[next(iter(self._tokens))]
                self._tokens[key] = (token, asked)
            return token

    def _fresh(self, key: tuple[object, ...]) -> IssuedToken | None:
        kept = self._tokens.get(key)
        if kept is None:
            return None
        token, asked = kept
        age = max(self._clock() - token.issued_at, self._steady() - asked)
        return token if age < 0.8 * (token.expires_at - token.issued_at) else None


@dataclass(slots=True)
class _Read:
    """One object that was read for credentials, and a hash of what was in it."""

    read: Callable[[], bytes] = field(repr=False)
    digest: bytes = field(repr=False)


class AuthResolver:
    """Follows the selectors of one spec on behalf of one scope. Made by the SDK, handed out as `Context.auth`.

    Every method raises AccessDeniedError (before any read) for a namespace that must not be read,
    MissingReferenceError when an object or a key is not there, and TemporaryError when Kubernetes can't be asked.
    """

    def __init__(self, kube: KubeReader, *, scope: Scope, spec: Spec, tokens: TokenCache) -> None:
        self._kube = kube
        self._scope = scope
        self._tokens = tokens
        self._fields = {id(selector): path for path, selector in selectors(spec)}
        self._reads: dict[tuple[str, str, str], _Read] = {}
        # Every selector is checked before the first is followed, so that what is denied reads nothing at all.
        for path, selector in selectors(spec):
            scope.namespace_of(selector, field=path)

    @property
    def namespace(self) -> str:
        """The namespace in which selectors without one are followed; empty when it is not known yet."""
        return self._scope.credentials_namespace

    @property
    def cluster_scoped(self) -> bool:
        """True when a cluster-scoped store or generator asks."""
        return self._scope.cluster_scoped

    def secret_key(self, selector: SecretKeySelector) -> SecretBytes:
        """The value of one key of a Secret, as stored."""
        return SecretBytes(self._key("Secret", selector, selector.key))

    def secret_text(self, selector: SecretKeySelector, *, strip: bool = False) -> str:
        """The value of one key of a Secret, as text. Raises InvalidSpecError when it is not UTF-8."""
        try:
            text = self.secret_key(selector).decode()
        except UnicodeDecodeError:
            raise InvalidSpecError(
                f"{self._field(selector)}: key {selector.key!r} of Secret {selector.name!r} is not UTF-8 text"
            ) from None
        return text.strip() if strip else text

    def secret(self, selector: Selector) -> Mapping[str, SecretBytes]:
        """All keys of a Secret."""
        namespace = self._namespace(selector)
        data = self._object("Secret", namespace, selector)
        return {key: SecretBytes(value) for key, value in data.items()}

    def config_map_key(self, selector: ConfigMapKeySelector) -> bytes:
        """The value of one key of a ConfigMap."""
        return self._key("ConfigMap", selector, selector.key)

    def ca_bundle(self, bundle: str | None, source: CAProvider | None) -> bytes | None:
        """CA certificates in PEM: from `bundle` (base64 of PEM, as `caBundle` is written), else from `source`, else None.

        Raises InvalidSpecError when `bundle` holds no certificate.
        """
        if bundle:
            return _certificates(bundle)
        if source is None:
            return None
        return self._key(source.type, source, source.key or "ca.crt")

    def service_account(self, selector: ServiceAccountSelector) -> ServiceAccountInfo:
        """The ServiceAccount, for its annotations."""
        namespace = self._namespace(selector)
        account = self._kube.read_service_account(namespace, selector.name)
        if account is None:
            raise self._missing("ServiceAccount", selector, namespace)

        def again() -> bytes:
            info = self._kube.read_service_account(namespace, selector.name)
            return b"" if info is None else _digest_of_account(info)

        self._remember("ServiceAccount", namespace, selector.name, _Read(again, _digest_of_account(account)))
        return account

    def service_account_token(
        self,
        selector: ServiceAccountSelector,
        *,
        audiences: tuple[str, ...] = (),
        expiration_seconds: int | None = None,
    ) -> IssuedToken:
        """A token of the ServiceAccount for `audiences` followed by the selector's own. Kept until 80 % of its life.

        Raises UnsupportedError where tokens can't be had (manifests in a folder).
        """
        account = self.service_account(selector)
        wanted = tuple(dict.fromkeys((*audiences, *selector.audiences)))
        key = (account.namespace, account.name, account.uid, wanted, expiration_seconds)
        return self._tokens.get(
            key,
            lambda: self._kube.create_token(
                account.namespace, account.name, audiences=wanted, expiration_seconds=expiration_seconds
            ),
        )

    def changed(self) -> bool:
        """True when anything that was read has other content now, or is gone. Reads each object again.

        Raises TemporaryError when Kubernetes can't be asked.
        """
        return any(read.read() != read.digest for read in tuple(self._reads.values()))

    def _namespace(self, selector: Selector) -> str:
        return self._scope.namespace_of(selector, field=self._field(selector))

    def _field(self, selector: Selector) -> str:
        return self._fields.get(id(selector), "spec")

    def _key(self, kind: str, selector: Selector, key: str) -> bytes:
        namespace = self._namespace(selector)
        data = self._object(kind, namespace, selector)
        if key not in data:
            raise MissingReferenceError(
                f"{kind} {selector.name!r} in namespace {namespace!r} has no key {key!r} ({self._field(selector)})",
                details={"kind": kind, "name": selector.name, "namespace": namespace, "key": key},
            )
        return data[key]

    def _object(self, kind: str, namespace: str, selector: Selector) -> Mapping[str, bytes]:
        read = self._kube.read_secret if kind == "Secret" else self._kube.read_config_map
        data = read(namespace, selector.name)
        if data is None:
            raise self._missing(kind, selector, namespace)

        def again() -> bytes:
            found = read(namespace, selector.name)
            return b"" if found is None else _digest_of(found)

        self._remember(kind, namespace, selector.name, _Read(again, _digest_of(data)))
        return data

    def _remember(self, kind: str, namespace: str, name: str, read: _Read) -> None:
        """Keep the first: what is open may hold what was in the object then, whatever a later call reads there."""
        self._reads.setdefault((kind, namespace, name), read)

    def _missing(self, kind: str, selector: Selector, namespace: str) -> MissingReferenceError:
        return MissingReferenceError(
            f"There is no {kind} {selector.name!r} in namespace {namespace!r} ({self._field(selector)})",
            details={"kind": kind, "name": selector.name, "namespace": namespace},
        )


def _digest(content: bytes) -> bytes:
    return hmac.digest(_HASH_KEY, content, hashlib.sha256)


def _digest_of(data: Mapping[str, bytes]) -> bytes:
    parts = (part for key in sorted(data) for part in (key.encode(), data[key]))
    return _digest(b"".join(len(part).to_bytes(8, "big") + part for part in parts))


def _digest_of_account(account: ServiceAccountInfo) -> bytes:
    # With the UID: an account of the same name is another one, and the tokens of the old one are void.
    return _digest(repr((account.uid, account.secrets, sorted(account.annotations.items()))).encode())


def _certificates(bundle: str) -> bytes:
    """`caBundle` is base64 in the manifest, of PEM or, by mistake often made, of PEM in another layer of base64."""
    content = bundle.encode()
    for _ in range(2):
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except (binascii.Error, ValueError):
            break
    try:
        # OpenSSL and not `cryptography`: a CA that Go made may have the serial number 0, which the latter will refuse.
        # Comments around the certificates may be in any language.
        text = content.decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ValueError, ssl.SSLError):
        raise InvalidSpecError("spec: caBundle holds no certificate: it has to be base64 of PEM") from None
    return content
