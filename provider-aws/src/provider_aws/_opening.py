"""From a spec to a client that is ready: what both stores and the generators do first."""

from __future__ import annotations

from typing import Any

from provider_common import Context, UnknownNamespaceError

from provider_aws._chain import Chain, Hop
from provider_aws._client import Client
from provider_aws.auth import source_of
from provider_aws.spec import AwsStoreSpec, ECRAuthorizationTokenSpec, STSSessionTokenSpec


def store_chain(ctx: Context[Any], spec: AwsStoreSpec) -> Chain:
    """The credentials of a store. Reads Secrets and ServiceAccounts; AWS is asked at the first call."""
    hops = [Hop(role) for role in spec.additional_roles]
    if spec.role is not None:
        hops.append(Hop(spec.role, spec.external_id, session_tags(ctx, spec), spec.transitive_tag_keys))
    return Chain(ctx, source_of(spec.auth, ctx.auth), tuple(hops), region=spec.region)


def generator_chain(ctx: Context[Any], spec: ECRAuthorizationTokenSpec | STSSessionTokenSpec) -> Chain:
    """The credentials of a generator."""
    hops = (Hop(spec.role),) if spec.role is not None else ()
    return Chain(ctx, source_of(spec.auth, ctx.auth), hops, region=spec.region)


def client(ctx: Context[Any], chain: Chain, service: str, *, region: str) -> Client:
    """A client of `service` that signs with `chain`."""
    return Client(ctx, service, region=region, keys=chain.keys, refused=chain.refused)


def session_tags(ctx: Context[Any], spec: AwsStoreSpec) -> tuple[tuple[str, str], ...]:
    """The tags of the session of `spec.role`, sorted by key.

    The store's name and kind are those of the store that the user pointed at. A core that does not send the store leaves
    only its kind; then the configuration object's name stands for the store's. Raises UnknownNamespaceError when a tag is to
    name a caller who is not known.
    """
    if not spec.tags_depend_on_caller:
        return tuple((tag.key, tag.value) for tag in spec.session_tags)
    if not ctx.source_namespace:
        raise UnknownNamespaceError(
            "spec.sessionTagsPolicy: the session is tagged with the caller's namespace, and no caller is known yet"
        )
    built_in = {
        "esoNamespace": ctx.source_namespace,
        "esoStoreName": ctx.store.name if ctx.store is not None else ctx.name,
        "esoStoreKind": ctx.store.kind if ctx.store is not None else ctx.store_kind,
    }
    custom = spec.custom_session_tags if spec.session_tags_policy == "Custom" else {}
    tags = {key: value for key, value in custom.items() if key and value} | built_in
    return tuple(sorted(tags.items()))
