"""From a reference in an ExternalSecret to the way to a provider: which store, may it be used, what to say on the wire.

The namespace rule for stores lives here: a namespaced store leads nowhere but its own namespace.
"""

from __future__ import annotations

from dataclasses import dataclass

from eso_core.api.externalsecret import GeneratorRef, StoreRef
from eso_core.api.meta import GENERATOR_API_VERSION, STORE_API_VERSION
from eso_core.api.stores import (
    ClusterGeneratorSpec,
    ClusterSecretStoreSpec,
    Store,
)
from eso_core.reconcile.calls import Via
from eso_core.reconcile.conditions import allows
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.world import World

_STORE_KINDS = ("SecretStore", "ClusterSecretStore")
_GENERATOR_KINDS = ("Generator", "ClusterGenerator")
# A Go provider of the other family degrades a store kind that it does not know to a namespaced one.
_PROVIDER_DIALECT = {"SecretStore": "Provider", "ClusterSecretStore": "ClusterProvider"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides once for a core."""

    controller_class: str = "default"
    dialect: str = "secret-store"
    """How providers name store kinds, for stores that do not say: `secret-store` or `provider`."""


def find_store(ref: StoreRef, namespace: str, world: World) -> Store:
    """The store that `ref` names. Raises SyncError naming the field when it is not one of ours, or not there."""
    if ref.api_version == "" or ref.api_version.startswith("external-secrets.io/"):
        said = f"apiVersion {ref.api_version!r} means" if ref.api_version else "no apiVersion means"
        raise SyncError(
            f"apiVersion: {said} a v1 store, which this core does not call: write {STORE_API_VERSION} "
            "and a store of that group",
            retry=False,
        )
    if ref.api_version != STORE_API_VERSION:
        raise SyncError(f"apiVersion: {ref.api_version!r} is unknown: write {STORE_API_VERSION}", retry=False)
    if ref.kind not in _STORE_KINDS:
        raise SyncError(f"kind: {ref.kind!r} is unknown: write {' or '.join(_STORE_KINDS)}", retry=False)
    return _existing(ref.kind, namespace if ref.kind == "SecretStore" else "", ref.name, world)


def find_generator(ref: GeneratorRef, namespace: str, world: World) -> Store:
    """The generator that `ref` names. Raises SyncError naming the field when it is not one of ours, or not there."""
    if ref.api_version != GENERATOR_API_VERSION:
        said = f"{ref.api_version!r} is" if ref.api_version else "empty means"
        raise SyncError(
            f"apiVersion: {said} a v1 generator, which this core does not call: write {GENERATOR_API_VERSION}, kind "
            "Generator, and name a Generator whose providerRef names the provider's object",
            retry=False,
        )
    if ref.kind not in _GENERATOR_KINDS:
        raise SyncError(f"kind: {ref.kind!r} is unknown: write {' or '.join(_GENERATOR_KINDS)}", retry=False)
    return _existing(ref.kind, namespace if ref.kind == "Generator" else "", ref.name, world)


def _existing(kind: str, namespace: str, name: str, world: World) -> Store:
    store = world.store(kind, namespace, name)
    if store is None:
        where = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        raise SyncError(f"{where} does not exist: apply it, or correct the reference")
    return store


def is_ours(store: Store, settings: Settings) -> bool:
    """False when another controller class owns the store."""
    return store.spec.controller in {"", settings.controller_class}


def permit(store: Store, namespace: str, world: World) -> None:
    """Return when `namespace` may use the store now. Raises SyncError for conditions that deny it, and for a store that is
    not ready (unless its gatingPolicy is Disabled).
    """
    spec = store.spec
    if isinstance(spec, ClusterSecretStoreSpec | ClusterGeneratorSpec) and not allows(
        spec.conditions, world.namespace_labels(namespace)
    ):
        raise SyncError(
            f"using {store.where} is not allowed from namespace {namespace!r}: denied by its spec.conditions"
        )
    if spec.gating_policy == "Disabled":
        return
    readiness = world.readiness(store)
    if not readiness.ready:
        raise SyncError(f"{store.where} is not ready: {readiness.message}", retry_after=readiness.retry_after)


def way(store: Store, caller: str, settings: Settings) -> Via:
    """What to put on the wire for a call by namespace `caller`; `caller` is empty while a store is validated on its own.

    Raises SyncError, naming both namespaces, for a namespaced store whose configuration object is elsewhere.
    """
    reference = store.spec.provider_config.provider_ref
    namespace = reference.namespace or ""
    source = caller
    kind = store.kind
    dialect = store.dialect or settings.dialect
    field = "spec.providerConfig.providerRef.namespace"
    match store.spec:
        case ClusterSecretStoreSpec(authentication_scope="ProviderNamespace"):
            if not namespace:
                raise SyncError(
                    f"{store.where}: {field}: is required with authenticationScope ProviderNamespace: name the namespace "
                    f"of the {reference.kind}, or write authenticationScope: ManifestNamespace",
                    retry=False,
                )
            # Providers of that family know the scope from the source namespace alone.
            if dialect == "provider":
                source = namespace
        case ClusterGeneratorSpec(authentication_namespace="ProviderReference"):
            if not namespace:
                raise SyncError(
                    f"{store.where}: {field}: is required with authenticationNamespace ProviderReference: name the "
                    f"namespace of the {reference.kind}, or write authenticationNamespace: ManifestReference",
                    retry=False,
                )
            source = namespace
        case ClusterSecretStoreSpec() | ClusterGeneratorSpec():
            namespace = namespace or caller
        case _:
            own = store.meta.namespace
            if namespace and namespace != own:
                raise SyncError(
                    f"{store.where}: {field}: a {kind} in namespace {own!r} can't use a {reference.kind} in namespace "
                    f"{namespace!r}: move it to {own!r}, or use a Cluster{kind}",
                    retry=False,
                )
            namespace, source = own, own
    if store.generates:
        kind = ""
    elif dialect == "provider":
        kind = _PROVIDER_DIALECT[kind]
    return Via(
        address=store.spec.provider_config.address,
        api_version=store.provider_api_version,
        kind=reference.kind,
        name=reference.name,
        namespace=namespace,
        source_namespace=source,
        store_ref_kind=kind,
        store=store,
    )
