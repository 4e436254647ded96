"""The least rights of a provider, told from its specs."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import pytest
from provider_common.context import Context
from provider_common.generator import GeneratorV2
from provider_common.provider import ProviderV2
from provider_common.rbac import Rule, cluster_role_rules, object_rules, rbac_manifests
from provider_common.requests import Generated
from provider_common.spec import (
    Alias,
    Block,
    CAProvider,
    ConfigMapKeySelector,
    OneOf,
    SecretKeySelector,
    ServiceAccountSelector,
    Spec,
)


def store(**fields: Any) -> type[ProviderV2[Any]]:
    """A store class whose spec has `fields`."""
    namespace = {"__annotations__": fields, "kind": "Thing", "__module__": __name__}
    model = type("ThingSpec", (Spec,), namespace)

    class Store(ProviderV2[Any]):
        spec = model

        @classmethod
        def open(cls, ctx: Context[Any]) -> Self:
            return cls()

    return Store


class Inner(Block):
    deep: dict[str, tuple[SecretKeySelector, ...]]


class Auth(OneOf):
    token: Inner | None = None
    account: ServiceAccountSelector | None = None


def core(resource: str, verb: str) -> Rule:
    return {"apiGroups": [""], "resources": [resource], "verbs": [verb]}


OWN: Rule = {
    "apiGroups": ["provider.secretstore.external-secrets.io"],
    "resources": ["things"],
    "verbs": ["get", "list", "watch"],
}


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"name": str}, []),
        ({"ref": SecretKeySelector | None}, [core("secrets", "get")]),
        ({"ref": ConfigMapKeySelector}, [core("configmaps", "get")]),
        ({"ca": CAProvider}, [core("configmaps", "get"), core("secrets", "get")]),
        (
            {"sa": ServiceAccountSelector},
            [core("serviceaccounts", "get"), core("serviceaccounts/token", "create")],
        ),
        (
            {"auth": Auth},
            [core("secrets", "get"), core("serviceaccounts", "get"), core("serviceaccounts/token", "create")],
        ),
    ],
    ids=["nothing", "secret", "config-map", "ca", "service-account", "nested"],
)
def test_a_provider_may_read_only_what_its_specs_can_refer_to(
    fields: dict[str, Any], rules: list[Rule]
) -> None:
    """A generator of passwords has no business with Secrets. Secrets are never listed or watched."""
    assert cluster_role_rules(store(**fields)) == [OWN, *rules]


def test_kinds_of_one_group_share_a_rule_and_aliases_have_theirs() -> None:
    """What is watched has to be allowed, under every name; without aliases less is asked for."""

    class PinSpec(Spec):
        kind: ClassVar = "Pin"
        aliases: ClassVar = (Alias("generators.external-secrets.io/v1alpha1", "Pin"),)

    class Pin(GeneratorV2[PinSpec]):
        def generate(self, ctx: Context[PinSpec]) -> Generated:
            return Generated({})

    groups = [rule["apiGroups"] for rule in object_rules(Pin, store(name=str))]
    fewer = [rule["apiGroups"] for rule in object_rules(Pin, store(name=str), aliases=False)]

    assert groups == [
        ["generators.external-secrets.io"],
        ["provider.generator.external-secrets.io"],
        ["provider.secretstore.external-secrets.io"],
    ]
    assert fewer == groups[1:]


class TestManifests:
    def made(self, *kinds: Any, credentials_in: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
        manifests = rbac_manifests(
            *kinds, name="provider-x", account="x", namespace="eso", credentials_in=credentials_in
        )
        return [
            (made["kind"], made["metadata"]["name"], made["metadata"].get("namespace", ""))
            for made in manifests
        ]

    def test_an_account_without_credentials_to_read_gets_no_role_for_them(self) -> None:
        """Nothing is asked for that is not needed."""
        assert self.made(store()) == [
            ("ServiceAccount", "x", "eso"),
            ("ClusterRole", "provider-x", ""),
            ("ClusterRoleBinding", "provider-x", ""),
        ]

    def test_credentials_are_read_everywhere_or_where_it_is_said(self) -> None:
        """Objects are watched in all namespaces, credentials may be kept to some."""
        kind = store(token=SecretKeySelector)
        assert self.made(kind)[3:] == [
            ("ClusterRole", "provider-x-credentials", ""),
            ("ClusterRoleBinding", "provider-x-credentials", ""),
        ]
        assert self.made(kind, credentials_in=("team-a", "team-b"))[4:] == [
            ("RoleBinding", "provider-x-credentials", "team-a"),
            ("RoleBinding", "provider-x-credentials", "team-b"),
        ]

    def test_the_two_roles_hold_what_the_provider_needs(self) -> None:
        """Together exactly the rules told from the specs; every binding leads to the account and to its role."""
        kind = store(token=SecretKeySelector)
        manifests = rbac_manifests(kind, name="provider-x", account="x", namespace="eso")
        rules = [rule for made in manifests for rule in made.get("rules", ())]

        assert rules == cluster_role_rules(kind)
        for binding in (made for made in manifests if "roleRef" in made):
            assert binding["roleRef"]["name"] == binding["metadata"]["name"]
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "x", "namespace": "eso"}]
