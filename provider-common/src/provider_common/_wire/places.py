"""From a request's references to a `Place`: which configuration object, for whom, credentials from where.

The namespace rule of docs/contract.md is decided here and in `auth`, before anything is read. A pure function of the
request, so its answers are kept.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any

from google.protobuf import json_format
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

from provider_common._stores import Place
from provider_common.auth import Scope
from provider_common.catalog import Catalog
from provider_common.durations import parse_duration
from provider_common.errors import AccessDeniedError, InvalidRequestError
from provider_common.requests import RetrySettings, StoreInfo

_CLUSTER_STORES = frozenset({"ClusterSecretStore", "ClusterProvider"})
_CALLERS_CREDENTIALS = frozenset({"Provider", "ClusterProvider"})
"""Kinds whose core carries the scope in `source_namespace`: credentials are read there."""


_LONGEST_NAME = 253
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_KEPT = 4096
_LARGEST_KEPT = 8 * 1024
"""Answers kept, and the bytes of the largest store sent along for which that is done: memory is bounded by both."""


class Places:
    """Resolves the references of one provider's requests. Raises InvalidRequestError and AccessDeniedError."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._store = lru_cache(maxsize=_KEPT)(self._resolve_store)
        self._generator = lru_cache(maxsize=_KEPT)(self._resolve_generator)

    def store(
        self,
        ref: secretstore_pb2.ProviderReference,
        source_namespace: str,
        store: secretstore_pb2.StoreContext | None,
        *,
        validating: bool = False,
    ) -> Place:
        """The place of a store request. Only while `validating` may `source_namespace` be empty."""
        context = b"" if store is None else store.SerializeToString(deterministic=True)
        resolve = self._store if len(context) <= _LARGEST_KEPT else self._resolve_store
        return resolve(
            ref.api_version,
            ref.kind,
            ref.name,
            ref.namespace,
            ref.store_ref_kind,
            source_namespace,
            context,
            validating,
        )

    def generator(
        self,
        ref: generator_pb2.GeneratorRef,
        source_namespace: str,
        generator: generator_pb2.GeneratorContext | None,
    ) -> Place:
        """The place of a generator request."""
        context = b"" if generator is None else generator.SerializeToString(deterministic=True)
        resolve = self._generator if len(context) <= _LARGEST_KEPT else self._resolve_generator
        return resolve(ref.api_version, ref.kind, ref.name, ref.namespace, source_namespace, context)

    def _resolve_store(
        self,
        api_version: str,
        kind_name: str,
        name: str,
        namespace: str,
        store_kind: str,
        source: str,
        context: bytes,
        validating: bool,
    ) -> Place:
        if not source and not validating:
            raise InvalidRequestError("source_namespace is required")
        if not name:
            raise InvalidRequestError(
                "provider_ref.name is required: the store's providerRef has to name an object"
            )
        _check_names(("provider_ref", name, namespace), source)
        kind = self._catalog.store(api_version, kind_name)
        info = _store_info(context) if context else None
        if info is not None and (info.kind in _CLUSTER_STORES) != (store_kind in _CLUSTER_STORES):
            raise InvalidRequestError(
                f"provider_ref.store_ref_kind is {store_kind!r}, but the store sent along is a {info.kind!r}"
            )
        config = namespace or source
        if not config:
            raise InvalidRequestError(
                f"{kind_name} {name!r}: neither provider_ref.namespace nor source_namespace is given"
            )
        cluster = store_kind in _CLUSTER_STORES
        if not cluster:
            owner = info.namespace if info is not None else ""
            source = source or config
            for other in (config, owner):
                if other and other != source:
                    raise _foreign(kind_name, name, store_kind or "store", other, source)
        scope = Scope(
            store_kind=store_kind,
            cluster_scoped=cluster,
            config_namespace=config,
            credentials_namespace=_credentials_namespace(store_kind, config, source, info),
            source_namespace=source,
        )
        return Place(kind, config, name, scope, info, _digest(context), _retry(info))

    def _resolve_generator(
        self, api_version: str, kind_name: str, name: str, namespace: str, source: str, context: bytes
    ) -> Place:
        if not source:
            raise InvalidRequestError("source_namespace is required")
        _check_names(("generator_ref", name, namespace), source)
        kind = self._catalog.generator(api_version, kind_name)
        if not name and kind.cls.needs_object:
            raise InvalidRequestError(
                "generator_ref.name is required: the generator's providerRef has to name an object"
            )
        info = _generator_info(context) if context else None
        owner = info.kind if info is not None else "Generator"
        config = namespace or source
        if config != source and owner != "ClusterGenerator":
            raise _foreign(kind_name, name, owner, config, source)
        if owner != "ClusterGenerator" and info is not None and info.namespace and info.namespace != source:
            raise _foreign(kind_name, name, owner, info.namespace, source)
        scope = Scope(
            store_kind=owner,
            cluster_scoped=False,
            config_namespace=config,
            credentials_namespace=source,
            source_namespace=source,
        )
        return Place(kind, config, name, scope, info, _digest(context), _retry(info))


def _check_names(ref: tuple[str, str, str], source: str) -> None:
    """Refuse what no object in Kubernetes is called: it is not to become a part of a path, nor a key of a cache."""
    field, name, namespace = ref
    if len(name) > _LONGEST_NAME:
        raise InvalidRequestError(f"{field}.name has {len(name)} characters, more than a name may have")
    for of, text in ((f"{field}.namespace", namespace), ("source_namespace", source)):
        if text and not _NAMESPACE.fullmatch(text):
            raise InvalidRequestError(f"{of} {text[:80]!r} can't be the name of a namespace")


def _credentials_namespace(store_kind: str, config: str, source: str, info: StoreInfo | None) -> str:
    """Where credentials are read. The full store's authenticationScope decides when it says anything."""
    scope = info.spec.get("authenticationScope", "") if info is not None else ""
    match scope:
        case "ProviderNamespace":
            return config
        case "ManifestNamespace":
            return source
        case "":
            return source if store_kind in _CALLERS_CREDENTIALS else config
        case _:
            raise InvalidRequestError(
                f"authenticationScope {scope!r} has to be ProviderNamespace or ManifestNamespace"
            )


def _foreign(kind: str, name: str, owner: str, namespace: str, source: str) -> AccessDeniedError:
    return AccessDeniedError(
        f"{kind} {name!r}: a {owner} in use from namespace {source!r} may not reach into namespace {namespace!r}: "
        "move the object, or use a cluster-scoped one",
        details={"kind": kind, "name": name, "namespace": namespace, "allowed": source},
    )


def _digest(context: bytes) -> bytes:
    return hashlib.sha256(context).digest() if context else b""


def _store_info(context: bytes) -> StoreInfo:
    return _info(secretstore_pb2.StoreContext.FromString(context))


def _generator_info(context: bytes) -> StoreInfo:
    return _info(generator_pb2.GeneratorContext.FromString(context))


def _info(message: secretstore_pb2.StoreContext | generator_pb2.GeneratorContext) -> StoreInfo:
    spec: dict[str, Any] = json_format.MessageToDict(message.spec)
    return StoreInfo(
        api_version=message.api_version,
        kind=message.kind,
        name=message.name,
        namespace=message.namespace,
        uid=message.uid,
        generation=message.generation,
        spec=spec,
    )


def _retry(info: StoreInfo | None) -> RetrySettings:
    settings = info.spec.get("retrySettings") if info is not None else None
    if not settings:
        return RetrySettings()
    retries, interval = settings.get("maxRetries"), settings.get("retryInterval")
    if retries is not None and retries < 0:
        raise InvalidRequestError("retrySettings.maxRetries has to be 0 or more")
    try:
        seconds = parse_duration(interval) if interval else None
    except ValueError as error:
        raise InvalidRequestError(f"retrySettings.retryInterval: {error}") from None
    if seconds is not None and seconds < 0:
        raise InvalidRequestError("retrySettings.retryInterval has to be 0 or more")
    return RetrySettings(retries, seconds)
