"""What calls cost: tokens, reads, connections; and how they are counted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from grpc import StatusCode

if TYPE_CHECKING:
    from .conftest import Cloud


@pytest.mark.slow
def test_a_thousand_reads_cost_one_token(cloud: Cloud) -> None:
    for number in range(1000):
        cloud.google.put(f"s{number}", str(number))
    store = cloud.store()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: cloud.harness.get_secret(store, f"s{n}", timeout=30), range(1000)))

    assert found == [str(number).encode() for number in range(1000)]
    assert cloud.proxy.count(host="oauth2.googleapis.com") == 1
    assert cloud.google.count("AccessSecretVersion") == 1000


def test_ten_secrets_with_ten_properties_are_ten_reads(cloud: Cloud) -> None:
    document = json.dumps({f"p{number}": f"v{number}" for number in range(10)})
    for number in range(10):
        cloud.google.put(f"s{number}", document)
    store = cloud.store()
    cloud.harness.validate(store)
    wanted = [(f"s{key}", f"p{prop}") for key in range(10) for prop in range(10)]

    with ThreadPoolExecutor(20) as pool:
        found = list(
            pool.map(lambda w: cloud.harness.get_secret(store, w[0], property=w[1], timeout=30), wanted)
        )

    assert found == [prop.replace("p", "v").encode() for _, prop in wanted]
    assert cloud.google.count("AccessSecretVersion") == 10


def test_stores_with_one_identity_share_a_token_and_others_do_not(cloud: Cloud) -> None:
    cloud.google.put("db", b"1")
    other = "other@acme.iam.gserviceaccount.com"

    for name, email in (("a", ""), ("b", ""), ("c", other)):
        store = cloud.store(name=name, **({"email": email} if email else {}))
        cloud.harness.get_secret(store, "db")

    assert cloud.proxy.count(host="oauth2.googleapis.com") == 2


def test_an_identity_that_is_never_accepted_costs_two_tokens_and_not_one_per_call(cloud: Cloud) -> None:
    """One new token shows that it is not the token's fault."""
    cloud.google.fail("AccessSecretVersion", StatusCode.UNAUTHENTICATED)
    store = cloud.store()

    for number in range(10):
        with cloud.harness.fails() as failure:
            cloud.harness.get_secret(store, f"s{number}")
        assert failure.code is StatusCode.UNAUTHENTICATED

    assert cloud.proxy.count(host="oauth2.googleapis.com") == 2


def test_two_namespaces_never_share_a_token(cloud: Cloud) -> None:
    """The same names, other content: each reads with its own key."""
    cloud.google.put("db", b"1")
    spec = cloud.spec()
    foreign = cloud.tokens.service_account_key("b@acme.iam.gserviceaccount.com")
    cloud.harness.kube.add_secret("team-b", "reader", {"key.json": foreign.encode()})
    for namespace in ("team-a", "team-b"):
        cloud.harness.get_secret(cloud.harness.add_store(namespace, spec), "db")

    cloud.tokens.forget_key("b@acme.iam.gserviceaccount.com")
    cloud.tokens.revoke_all()

    assert cloud.harness.exists(cloud.harness.add_store("team-a", spec, name="again"), "db")
    with cloud.harness.fails() as failure:
        cloud.harness.exists(cloud.harness.add_store("team-b", spec, name="again"), "db")
    assert failure.code is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "auth",
    [
        {
            "workloadIdentity": {
                "serviceAccountRef": {"name": "app"},
                "clusterLocation": "l",
                "clusterName": "c",
            }
        },
        {
            "workloadIdentityFederation": {
                "serviceAccountRef": {"name": "app"},
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            }
        },
    ],
    ids=["workload", "federation"],
)
def test_accounts_of_one_name_in_two_namespaces_never_share_a_token(
    cloud: Cloud, auth: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One manifest, two teams: who asks Google is the ServiceAccount, and that is the namespace's. Its token lives 15 minutes."""
    cloud.google.put("db", b"1")
    kube, lives = cloud.harness.kube, []
    issue = kube.create_token

    def create_token(namespace: str, name: str, **more: Any) -> Any:
        lives.append(more["expiration_seconds"])
        return issue(namespace, name, **more)

    monkeypatch.setattr(kube, "create_token", create_token)
    for namespace in ("team-a", "team-b", "team-b"):
        kube.add_service_account(namespace, "app", uid=f"uid-of-{namespace}")
        store = cloud.harness.add_store(namespace, {"projectID": "acme", "auth": auth})
        assert cloud.harness.get_secret(store, "db") == b"1"

    subjects = [request["subject_token"] for request in cloud.tokens.subjects]
    assert subjects == ["token-team-a-app-1", "token-team-b-app-2"]
    assert lives == [900, 900]


def test_every_call_is_counted_failed_ones_as_errors(cloud: Cloud) -> None:
    """By the names that dashboards know."""
    cloud.google.put("old", b"1")
    cloud.google.put("old", b"2")
    cloud.google.set_state("old", 2, "DISABLED")
    store = cloud.store(secretVersionSelectionPolicy="LatestOrFetch")
    cloud.harness.get_secret(store, "old")
    cloud.harness.get_secret(store, "old", metadata_policy="Fetch")
    cloud.harness.find(store, name="nothing")
    ours = {
        "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata",
        "spec": {"labels": {"a": "b"}},
    }
    for _ in range(2):
        cloud.harness.push(store, "db", {"k": b"v"}, secret_key="k")
        cloud.harness.push(store, "db", {"k": b"v"}, secret_key="k", metadata=ours)
    cloud.harness.delete(store, "db")

    assert cloud.calls() == {
        "ExchangeToken success": 1,
        "AccessSecretVersion success": 4,
        "AccessSecretVersion error": 2,
        "ListSecretVersions success": 1,
        "GetSecret success": 5,
        "GetSecret error": 1,
        "ListSecrets success": 1,
        "CreateSecret success": 1,
        "AddSecretVersion success": 1,
        "UpdateSecret success": 1,
        "DeleteSecret success": 1,
    }


def test_stores_of_one_endpoint_share_a_connection(cloud: Cloud) -> None:
    """Whatever their identity: the token is in the call and not in the connection."""
    cloud.google.put("db", b"1")
    other = "other@acme.iam.gserviceaccount.com"
    for name, email in (("a", "x@acme.iam.gserviceaccount.com"), ("b", other)):
        cloud.harness.get_secret(cloud.store(name=name, email=email), "db")

    assert len(cloud.google.peers) == 1


def test_a_find_reads_a_few_secrets_at_a_time(cloud: Cloud) -> None:
    """In parallel, and bounded."""
    for number in range(30):
        cloud.google.put(f"s{number}", "v")
    lock, now, most = threading.Lock(), [0], [0]
    both = threading.Event()

    def enter() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] >= 2:
                both.set()
        both.wait(5)
        with lock:
            now[0] -= 1

    cloud.google.before("AccessSecretVersion", enter, times=None)

    assert len(cloud.harness.find(cloud.store(), name="")) == 30
    assert 2 <= most[0] <= 8


def test_opening_a_store_needs_only_the_grpc_client() -> None:
    """Google's REST and asyncio transports come along with its package; others must not."""
    code = (
        "import sys, provider_gcp._client, provider_gcp._google;"
        "print(*{'pandas', 'aiohttp', 'google.cloud.storage'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
