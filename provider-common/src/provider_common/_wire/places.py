"""From a request's references to a `Place`: which configuration object, for whom, credentials from where.

The namespace rule of docs/contract.md is decided here and in `auth`, before anything is read. A pure function of the
request: what it answered once may be kept.
"""

from __future__ import annotations

import hashlib
import re
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


_Whole = secretstore_pb2.StoreContext | generator_pb2.GeneratorContext
_LONGEST_NAME = 253
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Places:
    """Resolves the references of one provider's requests. Raises InvalidRequestError and AccessDeniedError."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def store(
        self,
        ref: secretstore_pb2.ProviderReference,
        source: str,
        store: secretstore_pb2.StoreContext | None,
        *,
        validating: bool = False,
    ) -> Place:
        """The place of a store request of namespace `source`. Only while `validating` may that be empty."""
        name, namespace, store_kind = ref.name, ref.namespace, ref.store_ref_kind
        if not source and not validating:
            raise InvalidRequestError("source_namespace is required")
        if not name:
            raise InvalidRequestError(
                "provider_ref.name is required: the store's providerRef has to name an object"
            )
        _check_names(("provider_ref", name, namespace), source)
        kind = self._catalog.store(ref.api_version, ref.kind)
        info = None if store is None else _info(store)
        if info is not None and (info.kind in _CLUSTER_STORES) != (store_kind in _CLUSTER_STORES):
            raise InvalidRequestError(
                f"provider_ref.store_ref_kind is {store_kind!r}, but the store sent along is a {info.kind!r}"
            )
        config = namespace or source
        if not config:
            raise InvalidRequestError(
                f"{ref.kind} {name!r}: neither provider_ref.namespace nor source_namespace is given"
            )
        cluster = store_kind in _CLUSTER_STORES
        if not cluster:
            owner = info.namespace if info is not None else ""
            source = source or config
            for other in (config, owner):
                if other and other != source:
                    raise _foreign(ref.kind, name, store_kind or "store", other, source)
        scope = Scope(
            store_kind=store_kind,
            cluster_scoped=cluster,
            config_namespace=config,
            credentials_namespace=_credentials_namespace(store_kind, config, source, info),
            source_namespace=source,
        )
        return Place(kind, config, name, scope, info, _digest(store), _retry(info))

    def generator(
        self,
        ref: generator_pb2.GeneratorRef,
        source: str,
        generator: generator_pb2.GeneratorContext | None,
    ) -> Place:
        """The place of a generator request of namespace `source`."""
        name, namespace = ref.name, ref.namespace
        if not source:
            raise InvalidRequestError("source_namespace is required")
        _check_names(("generator_ref", name, namespace), source)
        kind = self._catalog.generator(ref.api_version, ref.kind)
        if not name and kind.cls.needs_object:
            raise InvalidRequestError(
                "generator_ref.name is required: the generator's providerRef has to name an object"
            )
        info = None if generator is None else _info(generator)
        owner = info.kind if info is not None else "Generator"
        config = namespace or source
        if config != source and owner != "ClusterGenerator":
            raise _foreign(ref.kind, name, owner, config, source)
        if owner != "ClusterGenerator" and info is not None and info.namespace and info.namespace != source:
            raise _foreign(ref.kind, name, owner, info.namespace, source)
        scope = Scope(
            store_kind=owner,
            cluster_scoped=False,
            config_namespace=config,
            credentials_namespace=source,
            source_namespace=source,
        )
        return Place(kind, config, name, scope, info, _digest(generator), _retry(info))


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


def _digest(message: _Whole | None) -> bytes:
    return b"" if message is None else hashlib.sha256(message.SerializeToString(deterministic=True)).digest()


def _info(message: _Whole) -> StoreInfo:
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
