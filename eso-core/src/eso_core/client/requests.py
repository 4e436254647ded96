"""From our models to the wire: references, and the whole store or generator beside them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from provider_proto.generator.v1 import generator_pb2 as gen
from provider_proto.provider.v1 import secretstore_pb2 as pb

from eso_core.api.externalsecret import Find, RemoteRef
from eso_core.api.stores import (
    ClusterGeneratorSpec,
    ClusterSecretStoreSpec,
    Condition,
    LabelSelector,
    ProviderAuth,
    RetrySettings,
    Store,
)
from eso_core.reconcile.calls import Via


def provider_ref(via: Via) -> pb.ProviderReference:
    """Names the configuration object of a store."""
    return pb.ProviderReference(
        api_version=via.api_version,
        kind=via.kind,
        name=via.name,
        namespace=via.namespace,
        store_ref_kind=via.store_ref_kind,
    )


def generator_ref(via: Via) -> gen.GeneratorRef:
    """Names the configuration object of a generator."""
    return gen.GeneratorRef(
        api_version=via.api_version, kind=via.kind, name=via.name, namespace=via.namespace
    )


def remote_ref(ref: RemoteRef) -> pb.ExternalSecretDataRemoteRef:
    """Names what to read."""
    return pb.ExternalSecretDataRemoteRef(
        key=ref.key,
        version=ref.version,
        property=ref.property,
        decoding_strategy=ref.decoding_strategy or "None",
        metadata_policy=ref.metadata_policy or "None",
    )


def find_of(find: Find) -> pb.ExternalSecretFind:
    """Selects what to read. A name that is not given stays unset: its presence counts."""
    return pb.ExternalSecretFind(
        path=find.path,
        name=None if find.name is None else pb.FindName(regexp=find.name.regexp),
        tags=dict(find.tags),
        conversion_strategy=find.conversion_strategy or "Default",
        decoding_strategy=find.decoding_strategy or "None",
    )


def store_context(store: Store) -> pb.StoreContext:
    """The whole store."""
    spec = pb.SecretStoreSpec(
        refresh_interval=store.spec.refresh_interval,
        controller=store.spec.controller,
        gating_policy=store.spec.gating_policy,
        retry_settings=_retry(store.spec.retry_settings, pb),
        provider_config=_provider_config(store, pb, pb.StoreProviderRef),
    )
    if isinstance(store.spec, ClusterSecretStoreSpec):
        spec.authentication_scope = store.spec.authentication_scope
        spec.conditions.extend(_condition(item, pb, pb.StoreCondition) for item in store.spec.conditions)
    return pb.StoreContext(spec=spec, **_identity(store))


def generator_context(store: Store) -> gen.GeneratorContext:
    """The whole generator."""
    spec = gen.GeneratorSpec(
        refresh_interval=store.spec.refresh_interval,
        controller=store.spec.controller,
        gating_policy=store.spec.gating_policy,
        retry_settings=_retry(store.spec.retry_settings, gen),
        provider_config=_provider_config(store, gen, gen.GeneratorProviderRef),
    )
    if isinstance(store.spec, ClusterGeneratorSpec):
        spec.authentication_namespace = store.spec.authentication_namespace
        spec.conditions.extend(
            _condition(item, gen, gen.GeneratorCondition) for item in store.spec.conditions
        )
    return gen.GeneratorContext(spec=spec, **_identity(store))


# The two packages of the contract declare the same blocks under the same names, so each is filled from one place; `wire` is
# the module whose messages are made.


def _identity(store: Store) -> dict[str, Any]:
    return {
        "api_version": store.api_version,
        "kind": store.kind,
        "name": store.meta.name,
        "namespace": store.meta.namespace,
        "uid": store.meta.uid,
        "generation": store.meta.generation,
    }


def _retry(settings: RetrySettings | None, wire: ModuleType) -> Any:
    if settings is None:
        return None
    return wire.RetrySettings(max_retries=settings.max_retries, retry_interval=settings.retry_interval)


def _provider_config(store: Store, wire: ModuleType, reference: type[Any]) -> Any:
    config = store.spec.provider_config
    ref = config.provider_ref
    return wire.ProviderConfig(
        address=config.address,
        auth=_auth(config.auth, wire),
        provider_ref=reference(
            api_version=ref.api_version, kind=ref.kind, name=ref.name, namespace=ref.namespace or ""
        ),
    )


def _auth(auth: ProviderAuth | None, wire: ModuleType) -> Any:
    if auth is None:
        return None
    certificate, account = auth.client_certificate, auth.service_account_ref
    return wire.ProviderAuth(
        client_certificate=certificate
        and wire.ClientCertificate(name=certificate.name or "", namespace=certificate.namespace or ""),
        service_account_ref=account
        and wire.ServiceAccountRef(
            name=account.name or "", namespace=account.namespace or "", audiences=account.audiences
        ),
    )


def _condition(condition: Condition, wire: ModuleType, message: type[Any]) -> Any:
    selector = condition.namespace_selector
    return message(
        namespace_selector=None if selector is None else _selector(selector, wire),
        namespaces=condition.namespaces,
        namespace_regexes=condition.namespace_regexes,
    )


def _selector(selector: LabelSelector, wire: ModuleType) -> Any:
    expressions = [
        wire.LabelSelectorRequirement(key=item.key, operator=item.operator, values=item.values)
        for item in selector.match_expressions
    ]
    return wire.LabelSelector(match_labels=dict(selector.match_labels), match_expressions=expressions)
