"""The least that a provider has to be allowed in a cluster, told from the spec models of its kinds.

Its own objects are listed and watched; Secrets, ConfigMaps and ServiceAccounts are only ever read one by one, and only
when some spec can refer to one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from provider_common.crd import Kind, all_names
from provider_common.spec import CAProvider, ConfigMapKeySelector, Selector, ServiceAccountSelector

Rule = dict[str, list[str]]


def cluster_role_rules(*kinds: Kind, aliases: bool = True) -> list[Rule]:
    """`rules` of the ClusterRole: `object_rules`, then `credential_rules`."""
    return [*object_rules(*kinds, aliases=aliases), *credential_rules(*kinds)]


def object_rules(*kinds: Kind, aliases: bool = True) -> list[Rule]:
    """What following the configuration objects takes, in every namespace. One rule per API group."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for api_version, _, plural in all_names(kinds, aliases=aliases):
        groups[api_version.partition("/")[0]].add(plural)
    return [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": ["get", "list", "watch"]}
        for group, plurals in sorted(groups.items())
    ]


def credential_rules(*kinds: Kind) -> list[Rule]:
    """What following the selectors takes. May be granted by Roles instead, in the namespaces that providers may read."""
    needed: set[tuple[str, str]] = set()
    for selector in {found for kind in kinds for found in _selectors(kind.spec, set())}:
        if issubclass(selector, ServiceAccountSelector):
            needed |= {("serviceaccounts", "get"), ("serviceaccounts/token", "create")}
        elif issubclass(selector, CAProvider):
            needed |= {("secrets", "get"), ("configmaps", "get")}
        else:
            needed.add(("configmaps" if issubclass(selector, ConfigMapKeySelector) else "secrets", "get"))
    return [{"apiGroups": [""], "resources": [what], "verbs": [verb]} for what, verb in sorted(needed)]


def _selectors(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[Selector]]:
    """The kinds of selectors that a spec may hold."""
    if model in seen:
        return
    seen.add(model)
    if issubclass(model, Selector):
        yield model
    for info in model.model_fields.values():
        for part in _models_in(info.annotation):
            yield from _selectors(part, seen)


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
