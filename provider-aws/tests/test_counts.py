"""How many calls AWS sees. The numbers are promises of the README."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from provider_aws import KINDS
from provider_aws._secret_finding import find_secrets
from provider_common import Find, ServerConfig
from provider_common.testing import ProviderHarness

from .bench import Bench

pytestmark = pytest.mark.real

FIRST = "arn:aws:iam::123456789012:role/first"
ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def harness():
    """Without the window of recent reads: every read is one of the backend's."""
    with ProviderHarness(*KINDS, config=ServerConfig(read_window=0)) as made:
        yield made


def test_a_thousand_reads_through_two_roles_cost_two_sts_calls(bench: Bench) -> None:
    """Go asks STS for every role of the chain at every single call: two thousand times."""
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="x")
    store = bench.store(additionalRoles=[FIRST], role=ROLE)
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: bench.harness.get_secret(store, "db", timeout=30), range(1000)))

    assert values == [b"x"] * 1000
    assert bench.sent("AssumeRole") == 2


def test_ten_secrets_with_ten_properties_each_cost_ten_reads(bench: Bench) -> None:
    document = "{" + ",".join(f'"p{i}":"{i}"' for i in range(10)) + "}"
    for number in range(10):
        bench.aws("ssm").put_parameter(Name=f"/s{number}", Value=document, Type="String")
    # The ten wait for the slow first read of their secret, as they do where AWS is not next door.
    bench.proxy.inject(delay=0.5, headers={"X-Amz-Target": "GetParameter$"})
    store = bench.store("AWSParameterStore")
    wanted = [(f"/s{s}", f"p{p}") for s in range(10) for p in range(10)]
    with ProviderHarness(*KINDS, kube=bench.harness.kube) as windowed, ThreadPoolExecutor(20) as pool:
        values = list(pool.map(lambda w: windowed.get_secret(store, w[0], property=w[1], timeout=30), wanted))

    assert values == [prop[1:].encode() for _, prop in wanted]
    assert bench.sent("GetParameter") == 10


def test_a_find_of_five_thousand_secrets_pages_and_holds_nothing_twice() -> None:
    """50 pages of names, 250 batches of values; beside the result there is room for a few batches only."""
    count, size = 5000, 2000
    pages: list[str] = []

    class Listing:
        """AWS with 5 000 secrets, which moto would need minutes to make."""

        def pages(self, operation, what, **parameters):
            if operation == "ListSecrets":
                for start in range(0, count, parameters["MaxResults"]):
                    pages.append(operation)
                    yield {
                        "SecretList": [
                            {"Name": f"s{n}"} for n in range(start, start + parameters["MaxResults"])
                        ]
                    }
            else:
                pages.append(operation)
                yield {
                    "SecretValues": [
                        {"Name": n, "SecretString": n.ljust(size)} for n in parameters["SecretIdList"]
                    ]
                }

    find_secrets(Listing(), Find(name="^s0$"))
    pages.clear()
    tracemalloc.start()
    found = find_secrets(Listing(), Find(name=""))
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(found) == count
    assert (pages.count("ListSecrets"), pages.count("BatchGetSecretValue")) == (50, 250)
    assert peak < kept * 1.25


def test_a_find_over_the_wire_pages(bench: Bench) -> None:
    """moto's page is a hundred names, a batch twenty values."""
    client = bench.aws("secretsmanager")
    for number in range(130):
        client.create_secret(Name=f"s{number:03}", SecretString=str(number))

    found = bench.harness.find(bench.store(), name="^s")
    assert found == {f"s{number:03}": str(number).encode() for number in range(130)}
    assert (bench.sent("ListSecrets"), bench.sent("BatchGetSecretValue")) == (2, 7)
    assert bench.sent("GetSecretValue") == 0


@pytest.mark.parametrize(
    ("find", "calls"),
    [
        ({"name": "^/"}, {"GetParametersByPath": 3}),
        ({"tags": {"a": "b"}}, {"DescribeParameters": 3, "GetParameters": 3}),
    ],
    ids=["name", "tags"],
)
def test_parameters_are_found_ten_at_a_time(bench: Bench, find: dict, calls: dict[str, int]) -> None:
    """moto's pages of DescribeParameters are of ten, too, whatever it is asked for."""
    for number in range(25):
        bench.aws("ssm").put_parameter(
            Name=f"/p{number}", Value="x", Type="String", Tags=[{"Key": "a", "Value": "b"}]
        )

    assert len(bench.harness.find(bench.store("AWSParameterStore"), **find)) == 25
    assert {operation: bench.sent(operation) for operation in calls} == calls
    assert len(bench.proxy.requests) == sum(calls.values())


def test_the_list_of_parameters_is_counted_by_the_name_that_go_gives_it(bench: Bench) -> None:
    """Dashboards ask for it by that name; AWS's own has an s at its end."""
    bench.harness.find(bench.store("AWSParameterStore"), tags={"a": "b"})

    assert bench.calls() == {"DescribeParameter": 1}


def test_every_call_is_counted_sts_too(bench: Bench) -> None:
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="x")
    store = bench.store(role=ROLE)
    bench.harness.get_secret(store, "db", metadata_policy="Fetch")
    bench.harness.exists(store, "db")
    with bench.harness.fails():
        bench.harness.get_secret(store, "none")

    metrics = bench.harness.metrics()
    for provider, call, status, number in (
        ("AWS/STS", "AssumeRole", "success", 1),
        ("AWS/SecretsManager", "DescribeSecret", "success", 1),
        ("AWS/SecretsManager", "GetSecretValue", "success", 1),
        ("AWS/SecretsManager", "GetSecretValue", "error", 1),
    ):
        (line,) = [
            line
            for line in metrics.splitlines()
            if line.startswith("externalsecret_provider_api_calls_count")
            and all(f'"{label}"' in line for label in (provider, call, status))
        ]
        assert float(line.rsplit(" ", 1)[1]) == number
