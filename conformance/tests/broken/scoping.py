"""Faults of the authentication scope: who may use which config object, and whose credentials are read."""

from __future__ import annotations

from typing import Any

from provider_proto.provider.v1 import secretstore_pb2 as pb

from .fault import caught_by
from .right import Call, Code, Config, Refusal, Right


@caught_by("namespaces.empty-source")
class NobodyIsTheOwner(Right):
    """A call without a source namespace is taken for one from the config object's own."""

    def open(self, request: Any) -> Any:
        if not request.source_namespace and request.HasField("provider_ref"):
            request.source_namespace = request.provider_ref.namespace or "team-a"
        return super().open(request)


@caught_by(
    "namespaces.foreign-object-denied",
    "validate.foreign-denied",
    "namespaces.foreign-hidden",
    "namespaces.foreign-denied-everywhere",
    "namespaces.unknown-kind-is-namespaced",
    "namespaces.no-kind-is-namespaced",
    "namespaces.other-dialect-is-namespaced",
    "namespaces.denial-names-both",
    "namespaces.foreign-object",
)
class FollowsAnyReference(Right):
    """A config object in another namespace may be used by everybody."""

    def config(self, ref: pb.ProviderReference, source: str) -> Config:
        config = self.lookup_store(self.config_namespace(ref.namespace, source), ref.name)
        if config.selector and not self.is_cluster_scoped(ref.store_ref_kind):
            self.deny_foreign(config.selector, source)
        return config


@caught_by("namespaces.foreign-denied-everywhere")
class GuardsReadingOnly(Right):
    """What can't be read from another namespace can be deleted from there."""

    def delete_secret(self, request: pb.DeleteSecretRequest, call: Call) -> pb.DeleteSecretResponse:
        if request.source_namespace and request.provider_ref.namespace:
            request.source_namespace = request.provider_ref.namespace
        return super().delete_secret(request, call)


class Kinds(Right):
    """A provider that takes other kinds of stores for cluster-scoped."""

    def crosses(self, kind: str) -> bool:
        """The fault."""
        raise NotImplementedError

    def is_cluster_scoped(self, kind: str) -> bool:
        return self.crosses(kind)


@caught_by("namespaces.unknown-kind-is-namespaced")
class UnknownKindsCross(Kinds):
    """Every kind but the namespaced ones crosses namespaces."""

    def crosses(self, kind: str) -> bool:
        return kind not in {"", "SecretStore", "Provider"}


@caught_by("namespaces.no-kind-is-namespaced")
class NoKindCrosses(Kinds):
    """A request without a store kind crosses namespaces."""

    def crosses(self, kind: str) -> bool:
        return kind in {*self.CLUSTER, ""}


@caught_by("namespaces.other-dialect-is-namespaced")
class ProvidersCross(Kinds):
    """The other dialect's namespaced kind crosses namespaces."""

    def crosses(self, kind: str) -> bool:
        return kind in {*self.CLUSTER, "Provider"}


@caught_by(
    "namespaces.cluster-store-crosses",
    "validate.no-source",
    "validate.referent",
    "namespaces.cluster-selector-honoured",
    "namespaces.referent-scope",
    "namespaces.referent-dialects",
    "namespaces.contradicting-store",
    "namespaces.foreign-object",
)
class NothingCrosses(Kinds):
    """No kind of store crosses namespaces."""

    def crosses(self, kind: str) -> bool:
        return False


@caught_by("namespaces.denial-names-both")
class DeniesWithoutNames(Right):
    """The denial does not say which namespaces it is about."""

    def deny_foreign(self, namespace: str, source: str) -> None:
        if namespace != source:
            raise Refusal(Code.PERMISSION_DENIED, "ACCESS_DENIED", "permission denied")


@caught_by("namespaces.foreign-selector-denied")
class IgnoresForeignSelectors(Right):
    """The namespace in a namespaced store's selector is silently ignored."""

    def config(self, ref: pb.ProviderReference, source: str) -> Config:
        found = self.stores.get((self.config_namespace(ref.namespace, source), ref.name))
        if found is not None and found.selector and not self.is_cluster_scoped(ref.store_ref_kind):
            self.deny_foreign(self.config_namespace(ref.namespace, source), source)
            return Config()
        return super().config(ref, source)


class Credentials(Right):
    """A provider that reads credentials somewhere else."""

    def where(self, config: Config, namespace: str, source: str, kind: str, scope: str) -> str:
        """The fault; empty: where they should be read."""
        raise NotImplementedError

    def credentials_namespace(
        self, config: Config, namespace: str, source: str, kind: str, scope: str
    ) -> str:
        wrong = self.where(config, namespace, source, kind, scope)
        return wrong or super().credentials_namespace(config, namespace, source, kind, scope)


@caught_by("namespaces.referent-scope", "namespaces.cluster-store-crosses")
class IgnoresTheScope(Credentials):
    """The scope of the full store is ignored: credentials are read in the caller's namespace."""

    def where(self, config: Config, namespace: str, source: str, kind: str, scope: str) -> str:
        return source if scope and not config.selector else ""


@caught_by("namespaces.referent-dialects")
class OneRuleForBothKinds(Credentials):
    """Without the full store credentials are always read in the config object's namespace."""

    def where(self, config: Config, namespace: str, source: str, kind: str, scope: str) -> str:
        return namespace if kind == "ClusterProvider" and not scope else ""
