"""Authentication scope and namespaces: who may use which config object, and whose credentials are read."""

from __future__ import annotations

from dataclasses import replace

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import ABSENT_OBJECT, OTHER_NAMESPACE, Asker, StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed, NotApplicable


def _reads(judge: StoreJudge, asker: Asker, why: str) -> None:
    item = judge.item(seed.TEXT)
    judge.same(item, judge.get(item.key, property=item.property, asker=asker).ok(why).value)


def _denied(judge: StoreJudge, asker: Asker, why: str) -> None:
    item = judge.item(seed.TEXT)
    judge.get(item.key, property=item.property, asker=asker).refused(Code.PERMISSION_DENIED, why=why)


@check("namespaces.empty-source", area="namespaces", profile="core", contract=("NS-2",))
def empty_source(judge: StoreJudge) -> None:
    """A data call with an empty source namespace is INVALID_ARGUMENT.

    If this fails: credentials are read from a namespace that nobody named.
    Likely cause: an empty namespace means "all" or "default" somewhere.
    Fix: refuse it before anything is read.
    """
    for request in judge.data_requests(replace(judge.me, source="")).values():
        judge.client.call(request).refused(Code.INVALID_ARGUMENT, why="source_namespace is empty")


@check("namespaces.own-written-out", area="namespaces", profile="core", contract=("NS-3", "NS-5"))
def own_written_out(judge: StoreJudge) -> None:
    """The caller's own namespace, written out in the reference, is fine.

    If this fails: stores whose reference names their own namespace do not work.
    Likely cause: any namespace in the reference counts as foreign.
    Fix: compare it with source_namespace.
    """
    _reads(judge, judge.me, "the reference names the caller's own namespace")


@check("namespaces.empty-config-namespace", area="namespaces", profile="core", contract=("NS-3",))
def empty_config_namespace(judge: StoreJudge) -> None:
    """A reference without a namespace means the source namespace.

    If this fails: stores with references as users write them do not work.
    Likely cause: an empty namespace is looked up as it is.
    Fix: fall back to source_namespace.
    """
    _reads(judge, replace(judge.me, namespace=""), "an empty namespace means the caller's")


@check("namespaces.foreign-object-denied", area="namespaces", profile="core", contract=("NS-5",))
def foreign_object_denied(judge: StoreJudge) -> None:
    """A namespaced store with a config object in another namespace is PERMISSION_DENIED.

    If this fails: everybody who may create a store in his own namespace reads all other teams' secrets.
    Likely cause: the reference's namespace is followed without a look at the caller's.
    Fix: refuse it before anything is read.
    """
    _denied(judge, replace(judge.me, source=OTHER_NAMESPACE), "the config object is in another namespace")


@check("namespaces.foreign-hidden", area="namespaces", contract=("NS-6",))
def foreign_hidden(judge: StoreJudge) -> None:
    """The denial is the same whether or not the config object exists.

    If this fails: a caller finds out which stores other teams have.
    Likely cause: the object is loaded before the rule is applied.
    Fix: apply the rule first.
    """
    answer = judge.get(judge.absent(), asker=replace(judge.me, source=OTHER_NAMESPACE, object=ABSENT_OBJECT))
    answer.refused(Code.PERMISSION_DENIED, why="the namespace is foreign, whatever is in it")


@check("namespaces.foreign-denied-everywhere", area="namespaces", profile="core", contract=("NS-5",))
def foreign_denied_everywhere(judge: StoreJudge) -> None:
    """The denial holds for every data call.

    If this fails: what cannot be read can still be written, deleted or found.
    Likely cause: the rule stands in one method, and not before all of them.
    Fix: apply it where requests come in.
    """
    for request in judge.data_requests(replace(judge.me, source=OTHER_NAMESPACE)).values():
        judge.client.call(request).refused(
            Code.PERMISSION_DENIED, why="the config object is in another namespace"
        )


@check("namespaces.unknown-kind-is-namespaced", area="namespaces", profile="core", contract=("NS-4", "NS-5"))
def unknown_kind_is_namespaced(judge: StoreJudge) -> None:
    """A store kind that nobody knows counts as namespaced.

    If this fails: a made-up word in the request opens all namespaces.
    Likely cause: the test is for "not SecretStore" in place of "is ClusterSecretStore".
    Fix: list the cluster-scoped kinds; everything else is namespaced.
    """
    for kind in ("ConformanceStore", "clustersecretstore", "ClusterSecretStore2"):
        _denied(
            judge,
            replace(judge.me, source=OTHER_NAMESPACE, kind=kind),
            f"{kind!r} is not a cluster-scoped kind",
        )


@check("namespaces.no-kind-is-namespaced", area="namespaces", profile="core", contract=("NS-4", "NS-5"))
def no_kind_is_namespaced(judge: StoreJudge) -> None:
    """A request without a store kind counts as namespaced.

    If this fails: leaving a field out opens all namespaces.
    Likely cause: the rule is applied only if there is a kind.
    Fix: the absence of a kind is the strictest case.
    """
    _denied(judge, replace(judge.me, source=OTHER_NAMESPACE, kind=""), "no store kind")


@check("namespaces.other-dialect-is-namespaced", area="namespaces", contract=("NS-4", "NS-5"))
def other_dialect_is_namespaced(judge: StoreJudge) -> None:
    """The namespaced kinds of both dialects, SecretStore and Provider, are held to the same rule.

    If this fails: the other dialect's word opens all namespaces.
    Likely cause: only one of the two kinds is known.
    Fix: list the cluster-scoped kinds of both dialects; everything else is namespaced.
    """
    for kind in ("SecretStore", "Provider"):
        _denied(judge, replace(judge.me, source=OTHER_NAMESPACE, kind=kind), f"{kind!r} is namespaced")


@check("namespaces.denial-names-both", area="namespaces", contract=("NS-6", "ERR-4"))
def denial_names_both(judge: StoreJudge) -> None:
    """The text of the denial names both namespaces.

    If this fails: the user cannot see which of the two names is the mistake.
    Likely cause: a general "permission denied".
    Fix: name the namespace of the reference and that of the caller.
    """
    answer = judge.get(judge.absent(), asker=replace(judge.me, source=OTHER_NAMESPACE))
    for namespace in (OTHER_NAMESPACE, judge.store.namespace):
        if namespace not in answer.text:
            raise Failed(f"the text does not name {namespace!r}: {answer.said()}")


@check("namespaces.cluster-store-crosses", area="namespaces", profile="core", contract=("NS-4", "NS-7"))
def cluster_store_crosses(judge: StoreJudge) -> None:
    """A cluster-scoped store with a config object in one namespace is used from another.

    If this fails: ClusterSecretStores do not work.
    Likely cause: every foreign namespace is refused.
    Fix: allow it for ClusterSecretStore and ClusterProvider.
    """
    # The P dialect's own core sends the config object's namespace as the source for this kind of store.
    source = judge.store.namespace if judge.target.dialect == "p" else OTHER_NAMESPACE
    _reads(judge, judge.cluster(source=source), "a cluster-scoped store")


@check("namespaces.both-cluster-kinds", area="namespaces", contract=("NS-4", "NS-7"))
def both_cluster_kinds(judge: StoreJudge) -> None:
    """ClusterSecretStore and ClusterProvider are both cluster-scoped.

    If this fails: cluster-scoped stores of the other dialect's core do not work.
    Likely cause: only one of the two kinds is known.
    Fix: know both.
    """
    if judge.target.differences_of:
        raise NotApplicable(f"a Go server of dialect {judge.target.differences_of} knows its own kind only")
    for kind in ("ClusterSecretStore", "ClusterProvider"):
        asker = replace(judge.cluster(source=judge.store.namespace), kind=kind)
        _reads(judge, asker, f"{kind} from the config object's own namespace")


@check("namespaces.foreign-selector-denied", area="namespaces", profile="core", contract=("NS-5", "NS-6"))
def foreign_selector_denied(judge: StoreJudge) -> None:
    """A selector of a namespaced store that names another namespace is PERMISSION_DENIED.

    If this fails: a store borrows another team's credentials.
    Likely cause: the selector's namespace is followed, or silently replaced.
    Fix: refuse it before anything is read.
    """
    asker = judge.by(judge.object("foreign_selector"))
    answer = judge.get(judge.absent(), asker=asker)
    answer.refused(Code.PERMISSION_DENIED, why="a selector names another namespace")


@check("namespaces.cluster-selector-honoured", area="namespaces", contract=("NS-7",))
def cluster_selector_honoured(judge: StoreJudge) -> None:
    """A cluster-scoped store reads credentials in the namespace that the selector names.

    If this fails: central credentials cannot be used.
    Likely cause: the selector's namespace is ignored.
    Fix: honour it for cluster-scoped stores.
    """
    obj = judge.object("foreign_selector")
    answer = judge.get(judge.absent(), asker=judge.cluster(obj, source=obj.namespace))
    answer.refused(Code.NOT_FOUND, why="its credentials are where the selector says, and the key is absent")


@check("namespaces.referent-scope", area="namespaces", since=(1, 1), contract=("NS-8", "EXT-1"))
def referent_scope(judge: StoreJudge) -> None:
    """The full store's scope decides where a selector without a namespace is followed.

    If this fails: callers use each other's credentials, or cluster stores with callers' credentials do not work.
    Likely cause: the full store is ignored, or the two scopes are mixed up.
    Fix: ManifestNamespace reads in source_namespace, ProviderNamespace in the config object's namespace.
    """
    if judge.target.dialect != "v2":
        raise NotApplicable(f"dialect {judge.target.dialect} sends no full store")
    obj = judge.object("referent")
    manifest = judge.cluster(obj, source=judge.store.namespace, scope="ManifestNamespace")
    provider = replace(manifest, scope="ProviderNamespace")
    answer = judge.get(judge.absent(), asker=manifest)
    answer.refused(Code.NOT_FOUND, why="the caller's namespace has the credentials, and the key is absent")
    answer = judge.get(judge.absent(), asker=provider)
    if answer.code in {Code.OK, Code.NOT_FOUND}:
        raise Failed("with scope ProviderNamespace the credentials of the caller's namespace were used")


@check("namespaces.referent-dialects", area="namespaces", contract=("NS-8",))
def referent_dialects(judge: StoreJudge) -> None:
    """Without the full store ClusterProvider reads the caller's credentials, ClusterSecretStore the config object's.

    If this fails: a Go core's cluster stores use the wrong credentials.
    Likely cause: one rule for both kinds.
    Fix: source_namespace for ClusterProvider, the config object's namespace for ClusterSecretStore.
    """
    obj = judge.object("referent")
    if judge.target.differences_of:
        raise NotApplicable("a Go server knows its own dialect's rule only")
    for kind, reads in (("ClusterProvider", True), ("ClusterSecretStore", False)):
        asker = Asker(obj.object, obj.namespace, judge.store.namespace, kind)
        request = judge.get_request(judge.absent(), asker=asker)
        request.ClearField("store")
        answer = judge.client.call(request)
        if (answer.code is Code.NOT_FOUND) is not reads:
            where = "the caller's" if reads else "the config object's"
            raise Failed(f"{kind}: credentials are to be read in {where} namespace, but: {answer.said()}")


@check("namespaces.contradicting-store", area="namespaces", since=(1, 1), contract=("NS-11", "EXT-1"))
def contradicting_store(judge: StoreJudge) -> None:
    """A full store whose kind contradicts the store kind of the reference is INVALID_ARGUMENT.

    If this fails: two fields that say different things open a namespace that neither would open alone.
    Likely cause: each rule looks at another of the two fields.
    Fix: compare them first, and refuse the request.
    """
    for named, sent in ((judge.me, judge.cluster()), (judge.cluster(), judge.me)):
        request = judge.get_request(judge.absent(), asker=replace(named, source=judge.store.namespace))
        request.store.CopyFrom(judge.full_store(sent))
        answer = judge.client.call(request)
        answer.refused(
            Code.INVALID_ARGUMENT, why=f"{named.kind} in the reference, {sent.kind} in the full store"
        )


@check("namespaces.foreign-object", area="namespaces", contract=("NS-5", "NS-7", "NS-10"))
def foreign_object(judge: StoreJudge) -> None:
    """A usable config object of another namespace is reached by a cluster-scoped store, and by no namespaced one.

    If this fails: the rule hangs on the object's content, and not on its namespace.
    Likely cause: the rule is applied after the object was found in a cache.
    Fix: apply the rule first, on every call.
    """
    obj = judge.object("foreign")
    source = obj.namespace if judge.target.dialect == "p" else judge.store.namespace
    answer = judge.get(judge.absent(), asker=judge.cluster(obj, source=source))
    answer.refused(Code.NOT_FOUND, why="a cluster-scoped store may use it, and the key is absent")
    asker = replace(judge.by(obj), source=judge.store.namespace)
    _denied(judge, asker, "a namespaced store may not use it")
