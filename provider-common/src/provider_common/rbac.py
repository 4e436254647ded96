"""The least that a provider has to be allowed in a cluster, told from the spec models of its kinds.

Its own objects are listed and watched; Secrets, ConfigMaps and ServiceAccounts are only ever read one by one, and only
when some spec can refer to one. These are two roles, because the second need not hold in every namespace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from provider_common.crd import Kind, all_names
from provider_common.spec import CAProvider, ConfigMapKeySelector, Selector, ServiceAccountSelector

Rule = dict[str, list[str]]
_GROUP = "rbac.authorization.k8s.io"


def rbac_manifests(
    *kinds: Kind, name: str, account: str, namespace: str, credentials_in: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What `kubectl apply` takes: the ServiceAccount `account` in `namespace`, the roles, and their bindings.

    Credentials may be read in the namespaces `credentials_in` only; in every namespace when there are none.
    """
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    made = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}},
        _role(name, object_rules(*kinds)),
        _binding(name, subject),
    ]
    if rules := credential_rules(*kinds):
        role = f"{name}-credentials"
        made.append(_role(role, rules))
        made += [_binding(role, subject, place) for place in credentials_in or ("",)]
    return made


def _role(name: str, rules: list[Rule]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(role: str, subject: dict[str, str], namespace: str = "") -> dict[str, Any]:
    """Of a ClusterRole, in one namespace or in all."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": role} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


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
