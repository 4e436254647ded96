"""What each operation needs to be allowed: exactly the permissions that the README lists, and each one is named when it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from grpc import StatusCode

if TYPE_CHECKING:
    from provider_common.testing import ProviderHarness, StoreHandle

    from .conftest import Cloud

OURS = {"managed-by": "external-secrets"}
LABELS = {
    "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
    "kind": "PushSecretMetadata",
    "spec": {"labels": {"a": "b"}},
}
Act = Callable[["ProviderHarness", "StoreHandle"], Any]
OPERATIONS: dict[str, tuple[set[str], Act]] = {
    "read": ({"versions.access"}, lambda h, s: h.get_secret(s, "doc")),
    "read where the latest is disabled": (
        {"versions.access", "versions.list"},
        lambda h, s: h.get_secret(s, "disabled"),
    ),
    "metadata": ({"secrets.get"}, lambda h, s: h.get_secret(s, "doc", metadata_policy="Fetch")),
    "find by name": ({"secrets.list", "versions.access"}, lambda h, s: h.find(s, name="^doc")),
    "find by labels": ({"secrets.list", "versions.access"}, lambda h, s: h.find(s, tags=OURS, path="doc")),
    "push a new secret": (
        {"secrets.get", "secrets.create", "versions.access", "versions.add"},
        lambda h, s: h.push(s, "new", {"k": b"v"}, secret_key="k"),
    ),
    "push a changed value": (
        {"secrets.get", "versions.access", "versions.add"},
        lambda h, s: h.push(s, "doc", {"k": b"v"}, secret_key="k", property="b"),
    ),
    "push changed labels": (
        {"secrets.get", "secrets.update", "versions.access"},
        lambda h, s: h.push(s, "doc", {"a": b"1"}, metadata=LABELS),
    ),
    "delete": ({"secrets.get", "secrets.delete"}, lambda h, s: h.delete(s, "doc")),
    "delete a property": (
        {"secrets.get", "versions.access", "versions.add"},
        lambda h, s: h.delete(s, "two", property="a"),
    ),
    "exists": ({"versions.access"}, lambda h, s: h.exists(s, "doc")),
    "exists where the latest is disabled": (
        {"versions.access", "versions.list"},
        lambda h, s: h.exists(s, "disabled"),
    ),
    "validate": (set(), lambda h, s: h.validate(s).valid or pytest.fail("not ready")),
}
EVERY = set().union(*(needed for needed, _ in OPERATIONS.values()))


def store_of(cloud: Cloud) -> StoreHandle:
    cloud.google.put("doc", b'{"a":"1"}', labels=OURS)
    cloud.google.put("two", b'{"a":"1","b":"2"}', labels=OURS)
    cloud.google.put("disabled", b"old", labels=OURS)
    cloud.google.put("disabled", b"new")
    cloud.google.set_state("disabled", 2, "DISABLED")
    return cloud.store(secretVersionSelectionPolicy="LatestOrFetch")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_needs_no_more_than_its_permissions(cloud: Cloud, operation: str) -> None:
    needed, act = OPERATIONS[operation]
    store = store_of(cloud)
    cloud.google.denied |= {f"secretmanager.{permission}" for permission in EVERY - needed}

    act(cloud.harness, store)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [(name, permission) for name, (needed, _) in OPERATIONS.items() for permission in sorted(needed)],
)
def test_a_missing_permission_is_named(cloud: Cloud, operation: str, permission: str) -> None:
    """And so none of them is listed in vain."""
    _, act = OPERATIONS[operation]
    store = store_of(cloud)
    cloud.google.denied.add(f"secretmanager.{permission}")

    with cloud.harness.fails() as failure:
        act(cloud.harness, store)

    assert failure.code is StatusCode.PERMISSION_DENIED
    assert f"secretmanager.{permission}" in failure.message


def test_the_readme_lists_every_permission_and_no_other() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text()
    table = text.partition("| to do | roles | permissions |")[2].partition("\n\n")[0]

    assert set(re.findall(r"`(?:secretmanager\.)?((?:secrets|versions)\.[a-z]+)`", table)) == EVERY
