"""Metric names are what dashboards and alerts ask for, so they are compared letter by letter; counting is exact."""

from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families
from provider_common._metrics import BUCKETS, Metrics

GET = "/provider.v1.SecretStoreProvider/GetSecret"


def rendered(metrics: Metrics) -> str:
    body, _ = metrics.render()
    return body.decode()


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Of the sample with exactly this name (a parser would rename some counters) and these labels."""
    inner = ",".join(f'{label}="{text}"' for label, text in sorted(labels.items()))
    start = f"{name}{{{inner}}} " if inner else f"{name} "
    found = [line.removeprefix(start) for line in rendered(metrics).splitlines() if line.startswith(start)]
    assert len(found) == 1, f"{start} is there {len(found)} times"
    return float(found[0])


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


SAMPLES = {
    'grpc_server_requests_total{method="/provider.v1.SecretStoreProvider/GetSecret",status="success"} 1.0',
    'grpc_server_requests_total{method="/provider.v1.SecretStoreProvider/GetSecret",status="error"} 1.0',
    *(
        f'grpc_server_request_duration_seconds_bucket{{le="{bound}",method="{GET}"}} {number}'
        for bound, number in (
            ("0.01", "1.0"),
            ("0.05", "1.0"),
            ("0.1", "1.0"),
            ("0.5", "1.0"),
            ("1", "1.0"),
            ("2", "2.0"),
            ("5", "2.0"),
            ("10", "2.0"),
            ("30", "2.0"),
            ("+Inf", "2.0"),
        )
    ),
    'grpc_server_request_duration_seconds_count{method="/provider.v1.SecretStoreProvider/GetSecret"} 2.0',
    'grpc_server_request_duration_seconds_sum{method="/provider.v1.SecretStoreProvider/GetSecret"} 1.5',
    'externalsecret_provider_api_calls_count{call="ReadSecretData",provider="HashiCorp/Vault",status="success"} 1.0',
    'externalsecret_provider_api_calls_count{call="ReadSecretData",provider="HashiCorp/Vault",status="error"} 2.0',
    "eso_provider_reloads_total 3.0",
    'eso_provider_certificate_expiry_seconds{file="tls.crt"} 12.0',
}
TYPES = {
    "# TYPE grpc_server_requests_total counter",
    "# TYPE grpc_server_request_duration_seconds histogram",
    "# TYPE externalsecret_provider_api_calls_count counter",
    "# TYPE eso_provider_reloads_total counter",
    "# TYPE eso_provider_certificate_expiry_seconds gauge",
}


def test_samples_and_types_are_exactly_those_of_the_table(metrics: Metrics) -> None:
    """The names of the Go servers, buckets included: nothing renamed, nothing added (`_created`, a second `_total`)."""
    metrics.rpc(GET, True, 0.0)
    metrics.rpc(GET, False, 1.5)
    metrics.count("HashiCorp/Vault", "ReadSecretData", ok=True)
    metrics.count("HashiCorp/Vault", "ReadSecretData", ok=False)
    metrics.count("HashiCorp/Vault", "ReadSecretData", ok=False)
    metrics.counter_fn("eso_provider_reloads_total", "Reloads.", lambda: 3)
    metrics.gauge("eso_provider_certificate_expiry_seconds", "Ends.", lambda: {(("file", "tls.crt"),): 12.0})

    lines = rendered(metrics).splitlines()

    assert {line for line in lines if not line.startswith("#")} == SAMPLES
    assert {line for line in lines if line.startswith("# TYPE")} == TYPES


def test_a_counter_without_total_keeps_its_name_and_its_type(metrics: Metrics) -> None:
    """OpenMetrics would force the suffix on it; that is why only the text format is served."""
    metrics.counter_fn("eso_provider_calls_count", "Calls.", lambda: 1)

    _, content_type = metrics.render()

    assert content_type.startswith("text/plain; version=0.0.4")
    assert "# TYPE eso_provider_calls_count counter\neso_provider_calls_count 1.0\n" in rendered(metrics)


def test_a_fresh_server_can_be_scraped(metrics: Metrics) -> None:
    """Prometheus comes before the first call."""
    names = [family.name for family in text_string_to_metric_families(rendered(metrics))]
    assert names == [
        "grpc_server_requests",
        "grpc_server_request_duration_seconds",
        "externalsecret_provider_api_calls_count",
    ]


@pytest.mark.parametrize("seconds", BUCKETS)
def test_a_duration_on_a_bound_is_within_it(metrics: Metrics, seconds: float) -> None:
    """`le` means less or equal."""
    metrics.rpc(GET, True, seconds)

    name = "grpc_server_request_duration_seconds_bucket"
    assert value(metrics, name, method=GET, le=f"{seconds:g}") == 1


@pytest.mark.parametrize("threads_end", [True, False], ids=["threads that end", "threads that stay"])
def test_no_call_is_lost_or_counted_twice(metrics: Metrics, threads_end: bool) -> None:
    """Each thread counts for itself without a lock; scrapes run meanwhile, and threads come and go."""
    counted, may_end = threading.Barrier(9), threading.Event()

    def count() -> None:
        for number in range(2000):
            metrics.rpc(GET, number % 4 != 0, 0.02)
            metrics.count("Kubernetes", "GetSecret", ok=True)
        counted.wait(60)
        if not threads_end:
            may_end.wait(60)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = [total(metrics) for _ in range(20)]
    counted.wait(60)
    if threads_end:
        for thread in threads:
            thread.join()

    try:
        assert seen == sorted(seen)
        for _ in range(2):
            assert value(metrics, "grpc_server_requests_total", method=GET, status="success") == 12000
            assert value(metrics, "grpc_server_requests_total", method=GET, status="error") == 4000
            assert value(metrics, "grpc_server_request_duration_seconds_count", method=GET) == 16000
            assert (
                value(
                    metrics,
                    "externalsecret_provider_api_calls_count",
                    provider="Kubernetes",
                    call="GetSecret",
                    status="success",
                )
                == 16000
            )
    finally:
        may_end.set()
        for thread in threads:
            thread.join()


def total(metrics: Metrics) -> float:
    samples = [
        line for line in rendered(metrics).splitlines() if line.startswith("grpc_server_requests_total")
    ]
    return sum(float(line.rpartition(" ")[2]) for line in samples)


def test_threads_that_ended_are_not_kept(metrics: Metrics) -> None:
    """A server that makes a thread per call must not grow by one book each."""
    for _ in range(50):
        thread = threading.Thread(target=metrics.rpc, args=(GET, True, 0.1))
        thread.start()
        thread.join()

    assert total(metrics) == 50
    assert [book for _, book in metrics._books if book] == []


def test_a_value_that_cannot_be_told_does_not_hide_the_others(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """A scrape that fails as a whole is the worst moment to lose the other numbers. The reason is logged by class."""

    def broken() -> float:
        raise RuntimeError("c4nary")

    metrics.gauge("eso_provider_broken", "Broken.", broken)
    metrics.gauge("eso_provider_fine", "Fine.", lambda: 1)

    assert value(metrics, "eso_provider_fine") == 1
    assert "eso_provider_broken" not in rendered(metrics)
    assert "metric eso_provider_broken can't be read: RuntimeError" in caplog.text
    assert "c4nary" not in caplog.text


@pytest.mark.parametrize("name", ["grpc_server_requests_total", "eso_provider_mine"])
def test_a_name_is_given_once(metrics: Metrics, name: str) -> None:
    """Two families of one name make Prometheus refuse the whole scrape."""
    metrics.gauge("eso_provider_mine", "Mine.", lambda: 1)

    with pytest.raises(ValueError, match="is there already"):
        metrics.gauge(name, "Again.", lambda: 2)


def test_odd_label_values_are_escaped(metrics: Metrics) -> None:
    """A method name comes from the wire."""
    metrics.rpc('/odd\n"name"\\', True, 0.1)

    line = 'grpc_server_requests_total{method="/odd\\n\\"name\\"\\\\",status="success"} 1.0'
    assert line in rendered(metrics).splitlines()
