"""The provider's metrics, under the exact names that the Go servers use.

Counting a call is on the path of every request, so it costs about a microsecond: each thread adds to numbers of its own,
without a lock, and a scrape adds the threads up. The numbers become `prometheus_client` metrics only then.

Only the text format is served. OpenMetrics would force the suffix `_total` on every counter, and
`externalsecret_provider_api_calls_count`, which dashboards ask for, has none. `grpc_server_active_connections` is left out:
gRPC for Python does not tell it, and the Go servers always say 0.
"""

from __future__ import annotations

import logging
import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds in seconds, as in the Go servers."""

_BOUNDS = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
"""The bounds as Go prints them: `1`, where prometheus_client would print `1.0`."""

Labels = tuple[tuple[str, str], ...]
"""Label names and values of one sample, in a fixed order."""
Read = Callable[[], float | Mapping[Labels, float]]
"""Asked at every scrape: one number, or one per set of labels."""

_log = logging.getLogger(__name__)


class _Calls:
    """Calls of one method, as one thread saw them. Every number only grows."""

    __slots__ = ("buckets", "failed", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUNDS)
        self.failed = 0
        self.seconds = 0.0

    def add(self, other: _Calls) -> None:
        # `failed` is read first and written last: a scrape in between sees too few failures, never more than calls.
        self.failed += other.failed
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds


_Book = dict[str, _Calls]


class _Own(threading.local):
    """The calling thread's book."""

    def __init__(self, open_book: Callable[[], _Book]) -> None:
        self.book = open_book()


class Metrics:
    """Counts calls, and renders everything for a scrape. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: list[tuple[weakref.ref[threading.Thread], _Book]] = []
        self._closed: _Book = {}
        self._own = _Own(self._open_book)
        self._backend: dict[tuple[str, str, bool], int] = {}
        self._read: dict[str, tuple[str, str, Read]] = {}

    def rpc(self, method: str, ok: bool, seconds: float) -> None:
        """One call of `method` (full path) ended after `seconds`."""
        book = self._own.book
        calls = book.get(method)
        if calls is None:
            calls = book[method] = _Calls()
        calls.buckets[bisect_left(BUCKETS, seconds)] += 1
        calls.seconds += seconds
        if not ok:
            calls.failed += 1

    def count(self, provider: str, call: str, *, ok: bool) -> None:
        """One request to a backend ended: `provider` and `call` by the names that the Go providers use."""
        key = (provider, call, ok)
        with self._lock:
            self._backend[key] = self._backend.get(key, 0) + 1

    def gauge(self, name: str, help: str, fn: Read) -> None:  # noqa: A002 - Prometheus calls it help
        """A value that `fn` knows. Raises ValueError when `name` is taken."""
        self._register(name, "gauge", help, fn)

    def counter_fn(self, name: str, help: str, fn: Read) -> None:  # noqa: A002
        """A count, never falling, that `fn` knows. Raises ValueError when `name` is taken."""
        self._register(name, "counter", help, fn)

    def render(self) -> tuple[bytes, str]:
        """The answer to a scrape and its content type."""
        text = generate_latest(_Families(self._families()))
        # prometheus_client can't name a counter without `_total`; such a family is rendered as untyped, then named.
        for name, (kind, _, _) in self._all_kinds().items():
            if kind == "counter" and not name.endswith("_total"):
                text = text.replace(f"# TYPE {name} untyped\n".encode(), f"# TYPE {name} counter\n".encode())
        return text, CONTENT_TYPE_PLAIN_0_0_4

    def _all_kinds(self) -> dict[str, tuple[str, str, Read]]:
        with self._lock:
            return {
                **self._read,
                "externalsecret_provider_api_calls_count": (
                    "counter",
                    "Number of API calls towards the secret provider",
                    self._backend_calls,
                ),
            }

    def _register(self, name: str, kind: str, text: str, fn: Read) -> None:
        with self._lock:
            if name in self._read or name in _OWN_NAMES:
                raise ValueError(f"metric {name!r} is there already")
            self._read[name] = (kind, text, fn)

    def _open_book(self) -> _Book:
        book: _Book = {}
        with self._lock:
            self._books.append((weakref.ref(threading.current_thread()), book))
        return book

    def _totals(self) -> _Book:
        """All threads added up. Books of threads that have ended are added for good, and let go."""
        with self._lock:
            open_books = []
            for reference, book in self._books:
                thread = reference()
                if thread is not None and thread.is_alive():
                    open_books.append((reference, book))
                else:
                    _add(self._closed, book)
            self._books = open_books
            totals: _Book = {}
            for book in (self._closed, *(book for _, book in open_books)):
                _add(totals, book)
            return totals

    def _backend_calls(self) -> Mapping[Labels, float]:
        with self._lock:
            counted = dict(self._backend)
        return {
            (("provider", provider), ("call", call), ("status", _status(ok))): number
            for (provider, call, ok), number in counted.items()
        }

    def _families(self) -> Iterator[Family]:
        totals = self._totals()
        requests = CounterMetricFamily(
            "grpc_server_requests",
            "Total number of gRPC requests by method and status",
            labels=["method", "status"],
        )
        durations = HistogramMetricFamily(
            "grpc_server_request_duration_seconds", "Duration of gRPC requests in seconds", labels=["method"]
        )
        for method, calls in sorted(totals.items()):
            cumulated = list(accumulate(calls.buckets))
            for ok, number in ((True, cumulated[-1] - calls.failed), (False, calls.failed)):
                if number:
                    requests.add_metric([method, _status(ok)], number)
            durations.add_metric(
                [method], list(zip(_BOUNDS, map(float, cumulated), strict=True)), sum_value=calls.seconds
            )
        yield requests
        yield durations
        for name, (kind, text, fn) in self._all_kinds().items():
            try:
                yield _family(name, kind, text, fn())
            except Exception as error:  # noqa: BLE001 - one number that can't be told must not hide the others
                _log.warning("metric %s can't be read: %s", name, type(error).__name__)


_OWN_NAMES = frozenset(
    {
        "grpc_server_requests_total",
        "grpc_server_request_duration_seconds",
        "externalsecret_provider_api_calls_count",
    }
)


class _Families(Collector):
    """What `generate_latest` wants to be given."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._all = families

    def collect(self) -> Iterable[Family]:
        return self._all


def _add(to: _Book, book: _Book) -> None:
    # `list` copies in one step: the owner may be adding a method right now.
    for method, calls in list(book.items()):
        to.setdefault(method, _Calls()).add(calls)


def _status(ok: bool) -> str:
    return "success" if ok else "error"


def _family(name: str, kind: str, text: str, read: float | Mapping[Labels, float]) -> Family:
    values: Mapping[Labels, float] = read if isinstance(read, Mapping) else {(): read}
    family: Family
    if kind == "gauge":
        family = GaugeMetricFamily(name, text)
    elif name.endswith("_total"):
        family = CounterMetricFamily(name, text)
    else:
        family = Family(name, text, "unknown")
    for labels, value in values.items():
        family.add_sample(name, dict(labels), float(value))
    return family
