"""CustomResourceDefinitions made from the spec models, so that what the API server checks and what the provider parses
can't drift apart.

The status has the usual conditions; nobody is made to write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import yaml

from provider_common._crd_schema import spec_schema
from provider_common.generator import GeneratorV2
from provider_common.provider import ProviderV2
from provider_common.spec import GENERATOR_API_VERSION, STORE_API_VERSION, Alias, Spec, plural_of

Role = Literal["store", "generator"]
Kind = type[ProviderV2[Any]] | type[GeneratorV2[Any]]
Manifest = dict[str, Any]

CATEGORY = "external-secrets"
"""`kubectl get external-secrets` lists the objects of every kind."""


def crd(spec_model: type[Spec], *, role: Role, alias: Alias | None = None) -> Manifest:
    """The CRD of a kind, or of one of its aliases.

    Raises TypeError, naming the field, for a model that a CRD can't express.
    """
    api_version, kind, plural = names_of(spec_model, role=role, alias=alias)
    group, _, version = api_version.partition("/")
    spec = spec_schema(spec_model)
    columns = [{"name": c.name, "type": c.type, "jsonPath": c.path} for c in spec_model.columns]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "categories": [CATEGORY],
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        *columns,
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                    "schema": {"openAPIV3Schema": _object(spec)},
                }
            ],
        },
    }


def crds(kinds: Iterable[Kind], *, aliases: bool = False) -> list[Manifest]:
    """The CRDs of `kinds`, sorted by name. With `aliases`, those of their other names too."""
    made = [
        crd(kind.spec, role=role_of(kind), alias=alias)
        for kind in kinds
        for alias in (None, *(kind.spec.aliases if aliases else ()))
    ]
    return sorted(made, key=lambda manifest: str(manifest["metadata"]["name"]))


def crds_yaml(*kinds: Kind, aliases: bool = False) -> str:
    """The same as YAML for `kubectl apply`: the same text for the same models, always."""
    return manifests_yaml(crds(kinds, aliases=aliases))


def manifests_yaml(manifests: Iterable[Mapping[str, Any]]) -> str:
    """Manifests as one YAML text."""
    return "".join(
        f"---\n{yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)}"
        for manifest in manifests
    )


def role_of(kind: Kind) -> Role:
    """Whether `kind` is a store or a generator."""
    return "generator" if issubclass(kind, GeneratorV2) else "store"


def names_of(spec_model: type[Spec], *, role: Role, alias: Alias | None = None) -> tuple[str, str, str]:
    """apiVersion, kind and plural of a kind, or of one of its aliases."""
    if alias is not None:
        return alias.api_version, alias.kind, alias.plural or plural_of(alias.kind)
    default = STORE_API_VERSION if role == "store" else GENERATOR_API_VERSION
    return spec_model.api_version or default, spec_model.kind, spec_model.plural_name()


def all_names(kinds: Iterable[Kind], *, aliases: bool = True) -> Iterator[tuple[str, str, str]]:
    """`names_of` for every kind, and for every alias."""
    for kind in kinds:
        for alias in (None, *(kind.spec.aliases if aliases else ())):
            yield names_of(kind.spec, role=role_of(kind), alias=alias)


def _object(spec: Manifest) -> Manifest:
    return {
        **({"description": spec.pop("description")} if "description" in spec else {}),
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _STATUS,
        },
        **({"required": ["spec"]} if spec.get("required") or spec.get("x-kubernetes-validations") else {}),
    }


_STATUS: Manifest = {
    "type": "object",
    "properties": {
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The generation that was looked at.",
        },
        "conditions": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["lastTransitionTime", "message", "reason", "status", "type"],
                "properties": {
                    "type": {"type": "string", "maxLength": 316},
                    "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                    "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                    "message": {"type": "string", "maxLength": 32768},
                    "lastTransitionTime": {"type": "string", "format": "date-time"},
                    "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                },
            },
        },
    },
}


class _Dumper(yaml.SafeDumper):
    """Writes what is used twice twice: an anchor in a CRD would be a surprise."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True
