"""What the other tests assume of Google, asked of Google: needs a project that may be written to.

gcloud auth application-default login
LIVE=1 GCP_LIVE_PROJECT=my-project pytest provider-gcp/tests/live
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from grpc import StatusCode
from provider_common.testing import ProviderHarness, StoreHandle
from provider_gcp import KINDS

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        os.environ.get("LIVE") != "1" or not os.environ.get("GCP_LIVE_PROJECT"),
        reason="needs LIVE=1, GCP_LIVE_PROJECT, and Application Default Credentials for Secret Manager",
    ),
]


@pytest.fixture(scope="module")
def harness() -> Iterator[ProviderHarness]:
    with ProviderHarness(*KINDS) as running:
        yield running


@pytest.fixture(scope="module")
def store(harness: ProviderHarness) -> StoreHandle:
    return harness.add_store("team-a", {"projectID": os.environ["GCP_LIVE_PROJECT"]})


@pytest.fixture
def key(harness: ProviderHarness, store: StoreHandle) -> Iterator[str]:
    name = f"eso-live-{uuid.uuid4().hex[:12]}"
    yield name
    harness.delete(store, name, timeout=30)


def test_a_secret_lives_and_ends(harness: ProviderHarness, store: StoreHandle, key: str) -> None:
    """Pushed, read, found by its mark, changed by a property, and gone."""
    harness.push(store, key, {"user": b"ann", "password": b"one"}, timeout=30)
    harness.push(store, key, {"p": b"two"}, secret_key="p", property="password", timeout=30)

    assert harness.get_secret(store, key, timeout=30) == b'{"password":"two","user":"ann"}'
    assert harness.get_secret(store, key, version="1", property="password", timeout=30) == b"one"
    assert key in harness.find(store, name=f"^{key}$")
    assert key in harness.find(store, tags={"managed-by": "external-secrets"}, path=key)

    harness.delete(store, key, timeout=30)
    assert not harness.exists(store, key, timeout=30)


@pytest.mark.parametrize("version", ["", "7"])
def test_what_is_absent_is_not_found(
    harness: ProviderHarness, store: StoreHandle, key: str, version: str
) -> None:
    """Google's own words for it are those that we take for "no secret"."""
    if version:
        harness.push(store, key, {"k": b"v"}, secret_key="k", timeout=30)

    with harness.fails() as failure:
        harness.get_secret(store, key, version=version, timeout=30)

    assert failure.code is StatusCode.NOT_FOUND


def test_an_absent_project_is_not_not_found(harness: ProviderHarness) -> None:
    """Whatever Google's words for that are."""
    store = harness.add_store("team-a", {"projectID": f"absent-{uuid.uuid4().hex[:12]}"}, name="absent")

    with harness.fails() as failure:
        harness.get_secret(store, "db", timeout=30)

    assert failure.code in (StatusCode.FAILED_PRECONDITION, StatusCode.PERMISSION_DENIED)
