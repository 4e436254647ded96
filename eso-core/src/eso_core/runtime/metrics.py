"""The core's metrics about its calls and syncs, under the names that the Go core uses.

No label holds what a provider answers. Gauges about a connection pool are left out: there is no pool here to measure.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import start_http_server
from prometheus_client.registry import Collector, CollectorRegistry

from eso_core.reconcile.calls import CallError
from eso_core.runtime.report import Report

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds in seconds."""
_ERROR_TYPES = {
    "DEADLINE": "timeout",
    "DEADLINE_EXCEEDED": "timeout",
    "TEMPORARY": "unavailable",
    "UNAVAILABLE": "unavailable",
    "ACCESS_DENIED": "forbidden",
    "PERMISSION_DENIED": "forbidden",
    "NO_SECRET": "not_found",
    "NOT_FOUND": "not_found",
    "CREDENTIALS": "unauthorized",
    "UNAUTHENTICATED": "unauthorized",
}
_CALL = ("method", "target", "status")


class CoreMetrics(Collector):
    """Counts calls and syncs. Safe to use from any thread; the numbers become metrics when they are scraped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str], list[int]] = {}
        self._seconds: Counter[tuple[str, str, str]] = Counter()
        self._errors: Counter[tuple[str, str, str]] = Counter()
        self._syncs: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._ready: dict[tuple[str, str], bool] = {}

    def called(self, method: str, target: str, seconds: float, error: CallError | None) -> None:
        """One call of `method` at `target` ended after `seconds`."""
        key = (method, target, "success" if error is None else "error")
        with self._lock:
            buckets = self._buckets.setdefault(key, [0] * (len(BUCKETS) + 1))
            buckets[bisect_left(BUCKETS, seconds)] += 1
            self._seconds[key] += seconds  # type: ignore[assignment]  # a Counter adds up floats as well
            if error is not None:
                self._errors[method, target, _error_type(error)] += 1

    def synced(self, report: Report) -> None:
        """One pass ended."""
        with self._lock:
            self._ready = {
                (row.name, row.namespace): row.ready for row in report.rows if row.ready is not None
            }
            for key, ready in self._ready.items():
                self._syncs[key] += 1
                self._failures[key] += not ready

    def serve(self, port: int) -> None:
        """Serve /metrics on loopback. Raises OSError when the port is taken."""
        registry = CollectorRegistry()
        registry.register(self)
        start_http_server(port, addr="127.0.0.1", registry=registry)

    def collect(self) -> Iterable[Metric]:
        """Every metric, as it is now."""
        with self._lock:
            return [*self._calls(), *self._external_secrets()]

    def _calls(self) -> Iterator[Metric]:
        total = CounterMetricFamily("grpc_client_requests_total", "Calls to providers.", labels=_CALL)
        duration = HistogramMetricFamily(
            "grpc_client_request_duration_seconds", "Duration of calls to providers.", labels=_CALL
        )
        for key, buckets in self._buckets.items():
            counts = list(accumulate(buckets))
            total.add_metric(key, counts[-1])
            bounds = [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]
            duration.add_metric(
                key, list(zip(bounds, counts, strict=True)), sum_value=float(self._seconds[key])
            )
        errors = CounterMetricFamily(
            "grpc_client_request_errors_total",
            "Failed calls to providers.",
            labels=("method", "target", "error_type"),
        )
        for key, count in self._errors.items():
            errors.add_metric(key, count)
        yield from (total, duration, errors)

    def _external_secrets(self) -> Iterator[Metric]:
        who = ("name", "namespace")
        calls = CounterMetricFamily(
            "externalsecret_sync_calls_total", "Looks at ExternalSecrets.", labels=who
        )
        for key, count in self._syncs.items():
            calls.add_metric(key, count)
        condition = GaugeMetricFamily(
            "externalsecret_status_condition",
            "Conditions of ExternalSecrets.",
            labels=(*who, "condition", "status"),
        )
        for key, ready in self._ready.items():
            for status in ("True", "False"):
                condition.add_metric((*key, "Ready", status), float((status == "True") is ready))
        # The Go name has no `_total`, which a CounterMetricFamily would add.
        failed = Metric("externalsecret_sync_calls_error", "Syncs that failed.", "unknown")
        for key, count in self._failures.items():
            failed.add_sample("externalsecret_sync_calls_error", dict(zip(who, key, strict=True)), count)
        yield from (calls, condition, failed)


def _error_type(error: CallError) -> str:
    if "connection refused" in error.message.lower():
        return "connection_refused"
    return _ERROR_TYPES.get(error.code, "unknown")
