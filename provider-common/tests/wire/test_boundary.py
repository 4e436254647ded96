"""The namespace rule, as the table in docs/contract.md states it: every row is tried, and what is denied reads nothing."""

import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from provider_common.testing import GeneratorHandle, ProviderHarness, StoreHandle
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2 as pb

CONTRACT = Path(__file__).parents[3] / "docs" / "contract.md"
NAMESPACES = {"source": "team-a", "config": "infra", "other": "elsewhere"}


@dataclass(frozen=True)
class Case:
    store_kind: str
    full_store: bool
    scope: str
    config_namespace: str
    selector_namespace: str
    answer: str
    credentials: str


def cases() -> list[Case]:
    """The table's rows, multiplied out."""
    text = CONTRACT.read_text(encoding="utf-8")
    table = re.search(r"<!-- boundary-table:begin -->(.*?)<!-- boundary-table:end -->", text, re.DOTALL)
    assert table is not None, "docs/contract.md lost its boundary table"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].strip().splitlines()]
    found = []
    for row in rows[2:]:
        kinds, full, scopes, configs, selectors = (
            [part.strip() for part in cell.split(",")] for cell in row[:5]
        )
        scopes = ["", "ProviderNamespace", "ManifestNamespace"] if scopes == ["any"] else scopes
        for kind, sent, scope, config, selector in itertools.product(kinds, full, scopes, configs, selectors):
            if sent == "no" and scope:
                continue  # only the full store carries a scope
            if kind in CLUSTER and sent == "yes" and not scope and selector == "none":
                continue  # a row of its own in the table
            name = "" if kind == "(empty)" else "Mystery" if kind == "(unknown)" else kind
            found.append(Case(name, sent == "yes", scope, config, selector, row[5], row[6]))
    return list(dict.fromkeys(found))


CLUSTER = {"ClusterSecretStore", "ClusterProvider"}
ALL = cases()


def case_id(case: Case) -> str:
    sent = f"full[{case.scope or 'no scope'}]" if case.full_store else "bare"
    return f"{case.store_kind or 'empty'}-{sent}-config_{case.config_namespace}-selector_{case.selector_namespace}"


def selector(case: Case) -> dict[str, object]:
    namespace = NAMESPACES.get(case.selector_namespace)
    return {
        "tokenSecretRef": {"name": "token", "key": "value", **({"namespace": namespace} if namespace else {})}
    }


@pytest.fixture
def kube(harness: ProviderHarness):
    for namespace in NAMESPACES.values():
        harness.kube.add_secret(namespace, "token", {"value": namespace.encode()})
    return harness.kube


def test_the_table_has_a_row_for_every_kind_and_both_answers() -> None:
    assert {case.store_kind for case in ALL} >= {
        "SecretStore", "Provider", "", "Mystery", *CLUSTER, "Generator", "ClusterGenerator",
    }  # fmt: skip
    assert {case.answer for case in ALL} == {"allow", "deny"}
    assert len(ALL) > 100


@pytest.mark.parametrize("case", [c for c in ALL if "Generator" not in c.store_kind], ids=case_id)
def test_stores(harness: ProviderHarness, kube, case: Case) -> None:
    """Allowed: the credential of the promised namespace is used. Denied: PERMISSION_DENIED, both namespaces named, and
    not one Secret read."""
    home = "infra" if case.config_namespace == "foreign" else "team-a"
    written = {"empty": "", "source": "team-a", "foreign": "infra"}[case.config_namespace]
    made = harness.add_store(home, selector(case))
    whole = None
    if case.full_store:
        kind = "ClusterSecretStore" if case.store_kind in CLUSTER else "SecretStore"
        owner = "" if case.store_kind in CLUSTER else "team-a"
        spec = pb.SecretStoreSpec(authentication_scope=case.scope)
        whole = pb.StoreContext(kind=kind, name="s", namespace=owner, spec=spec)
    store = StoreHandle(made.api_version, made.kind, made.name, written, case.store_kind, "team-a", whole)
    if case.answer == "allow":
        promised = {"source": "team-a", "config": "infra", "other": "elsewhere"}[case.credentials]
        assert harness.get_secret(store, "whoami") == promised.encode()
        assert set(kube.secrets_read) == {(promised, "token")}
        return
    for call in (
        lambda: harness.get_secret(store, "whoami"),
        lambda: harness.find(store, name=""),
        lambda: harness.push(store, "k", {"a": b"b"}),
        lambda: harness.delete(store, "k"),
        lambda: harness.validate(store),
    ):
        with harness.fails() as failure:
            call()
        assert (failure.code, failure.error.code) == (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED")
        denied = "elsewhere" if case.selector_namespace == "other" and home == "team-a" else "infra"
        assert "team-a" in failure.message
        assert denied in failure.message
    assert kube.secrets_read == []


@pytest.mark.parametrize("case", [c for c in ALL if "Generator" in c.store_kind], ids=case_id)
def test_generators(harness: ProviderHarness, kube, case: Case) -> None:
    home = "infra" if case.config_namespace == "foreign" else "team-a"
    written = {"empty": "", "source": "team-a", "foreign": "infra"}[case.config_namespace]
    made = harness.add_generator(home, selector(case))
    whole = generator_pb2.GeneratorContext(kind=case.store_kind, name="g") if case.full_store else None
    generator = GeneratorHandle(made.api_version, made.kind, made.name, written, "team-a", whole)
    if case.answer == "allow":
        values, _ = harness.generate(generator)
        assert values["pin"] == b"team-a"
        assert set(kube.secrets_read) == {("team-a", "token")}
        return
    with harness.fails() as failure:
        harness.generate(generator)
    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    assert "team-a" in failure.message
    assert kube.secrets_read == []


def test_a_store_sent_along_cannot_widen_what_its_reference_says(harness, kube, acme_spec) -> None:
    """A namespaced reference with a cluster store's context would be a way around the rule."""
    store = harness.add_store("infra", acme_spec())
    whole = pb.StoreContext(kind="ClusterSecretStore", name="s")
    lying = replace(store, source_namespace="team-a", store=whole)
    with harness.fails() as failure:
        harness.get_secret(lying, "whoami")
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert kube.secrets_read == []


@pytest.mark.parametrize("method", ["get", "map", "find", "push", "delete", "exists", "generate"])
def test_a_data_call_without_a_source_namespace_is_refused(harness, kube, acme_spec, method) -> None:
    store = replace(harness.cluster_store("infra", acme_spec(), caller="x"), source_namespace="")
    generator = replace(harness.add_generator("infra", {}), source_namespace="")
    call = {
        "get": lambda: harness.get_secret(store, "k"),
        "map": lambda: harness.get_secret_map(store, "k"),
        "find": lambda: harness.find(store, name=""),
        "push": lambda: harness.push(store, "k", {}),
        "delete": lambda: harness.delete(store, "k"),
        "exists": lambda: harness.exists(store, "k"),
        "generate": lambda: harness.generate(generator),
    }[method]
    with harness.fails() as failure:
        call()
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "source_namespace" in failure.message


def test_validate_without_a_caller_checks_what_can_be_checked(harness, kube, acme_spec) -> None:
    """What a Go core sends for a cluster-scoped store."""
    store = replace(harness.cluster_store("infra", acme_spec(), caller="x"), source_namespace="")
    assert harness.validate(store).valid
    assert kube.secrets_read == [("infra", "token")]


def test_validate_of_a_referent_store_without_a_caller_is_valid_with_a_warning(
    harness, kube, acme_spec
) -> None:
    """Its credentials are the caller's, and there is none yet. "Unknown" can't be said over the wire."""
    whole = pb.StoreContext(
        kind="ClusterSecretStore", name="s", spec=pb.SecretStoreSpec(authentication_scope="ManifestNamespace")
    )
    store = replace(harness.cluster_store("infra", acme_spec(), caller="x"), source_namespace="", store=whole)
    verdict = harness.validate(store)
    assert verdict.valid
    assert "not checked" in verdict.warnings[0]
    assert kube.secrets_read == []


def test_capabilities_reads_nothing_and_needs_no_object(harness, kube) -> None:
    store = StoreHandle("provider.secretstore.external-secrets.io/v2alpha1", "AcmeKeyValue", "", "")
    harness.kube.unavailable = True
    assert harness.capabilities(store) == "READ_WRITE"


def test_an_unknown_scope_is_an_error_that_names_the_choices(harness, kube, acme_spec) -> None:
    whole = pb.StoreContext(
        kind="ClusterSecretStore", spec=pb.SecretStoreSpec(authentication_scope="Everywhere")
    )
    store = replace(harness.cluster_store("infra", acme_spec(), caller="team-a"), store=whole)
    with harness.fails() as failure:
        harness.get_secret(store, "k")
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "ProviderNamespace or ManifestNamespace" in failure.message
