"""Which namespaces may use a cluster-scoped store or generator. Decided here, before any provider is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provider_common.values import compile_name

from eso_core.api.stores import Condition, LabelSelector

NAME_LABEL = "kubernetes.io/metadata.name"


def allows(conditions: Sequence[Condition], labels: Mapping[str, str]) -> bool:
    """True when no condition is set, or any part of any condition matches the namespace with these `labels`."""
    return not conditions or any(_matches(condition, labels) for condition in conditions)


def _matches(condition: Condition, labels: Mapping[str, str]) -> bool:
    name = labels.get(NAME_LABEL, "")
    return (
        (condition.namespace_selector is not None and selects(condition.namespace_selector, labels))
        or name in condition.namespaces
        or any(compile_name(pattern).matches(name) for pattern in condition.namespace_regexes)
    )


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """True when every requirement of `selector` holds; an empty selector selects all."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for requirement in selector.match_expressions:
        value = labels.get(requirement.key)
        match requirement.operator:
            case "In":
                holds = value in requirement.values
            case "NotIn":
                holds = value not in requirement.values
            case "Exists":
                holds = value is not None
            case "DoesNotExist":
                holds = value is None
        if not holds:
            return False
    return True
