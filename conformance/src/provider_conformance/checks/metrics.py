"""The metrics endpoint: what operators and their alerts see."""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.parse
from collections.abc import Callable

from provider_conformance import seed
from provider_conformance.client import Code, path_of
from provider_conformance.judge import ServerJudge, StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed, NotApplicable, NotRun

BUCKETS = ("0.01", "0.05", "0.1", "0.5", "1", "2", "5", "10", "30", "+Inf")
_SAMPLE = re.compile(
    r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*)\})? (-?[\d.]+(?:e[+-]?\d+)?|NaN|[+-]Inf)( \d+)?'
)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _http(url: str) -> tuple[int, str]:
    parts = urllib.parse.urlsplit(url)
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=20)
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
    except OSError as problem:
        raise Failed(f"{url} cannot be read: {problem}") from None
    return answer.status, body


def _scraped(judge: ServerJudge | StoreJudge) -> tuple[Samples, str]:
    url = judge.target.metrics_url
    if not url:
        raise NotRun("not reachable: needs the address of the metrics (metrics_url)")
    status, body = _http(url)
    if status != 200:
        raise Failed(f"{url} answers {status}")
    samples: Samples = {}
    for line in body.splitlines():
        if not line or line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None:
            raise Failed(f"not a line of Prometheus text: {line[:100]!r}")
        samples[found[1], frozenset(_LABEL.findall(found[2] or ""))] = float(found[3])
    return samples, body


def _value(samples: Samples, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (sample, given), value in samples.items() if sample == name and wanted <= given)


ATTEMPTS = 3
"""A call that was given up earlier may be counted late, into somebody else's number; who counts twice does so each time."""

SETTLED = 5.0
"""A server may count just after it answered."""


def _grows(
    judge: ServerJudge | StoreJudge, act: Callable[[], object], name: str, by: int, **labels: str
) -> None:
    """Fails unless the sum of the samples grows by this number."""
    for _ in range(ATTEMPTS):
        before = _value(_scraped(judge)[0], name, **labels)
        act()
        grown = _grown(judge, before, by, name, **labels)
        if grown <= by:
            break
    if grown != by:
        raise Failed(f"{name}{labels} grew by {grown:g} in place of {by}")


def _grown(judge: ServerJudge | StoreJudge, before: float, by: int, name: str, **labels: str) -> float:
    """By how much it has grown: waits a while for `by`."""
    deadline = time.monotonic() + SETTLED
    while True:
        grown = _value(_scraped(judge)[0], name, **labels) - before
        if grown >= by or time.monotonic() > deadline:
            return grown
        threading.Event().wait(0.05)


@check("metrics.endpoint", area="metrics", profile="core", role="server", contract=("MET-1",))
def endpoint(judge: ServerJudge) -> None:
    """The metrics are there, in Prometheus text.

    If this fails: nobody sees that the provider is slow or failing.
    Likely cause: the HTTP port is not served, or another format is.
    Fix: serve /metrics on port 8081.
    """
    judge.client.call(judge.harmless())
    samples, _ = _scraped(judge)
    for name in ("grpc_server_requests_total", "grpc_server_request_duration_seconds_count"):
        if not any(sample == name for sample, _ in samples):
            raise Failed(f"there is no {name}")


@check(
    "metrics.counts-successes", area="metrics", profile="core", role="server", contract=("MET-2",), alone=True
)
def counts_successes(judge: ServerJudge) -> None:
    """A call that succeeds is counted under its full method name.

    If this fails: dashboards that were made for the Go implementation stay empty.
    Likely cause: another metric name, or the bare method name.
    Fix: grpc_server_requests_total with method="/package.Service/Method" and status="success".
    """
    request = judge.harmless()
    _grows(
        judge,
        lambda: [judge.client.call(request).ok() for _ in range(3)],
        "grpc_server_requests_total",
        3,
        method=path_of(request),
        status="success",
    )


@check("metrics.counts-errors", area="metrics", profile="core", contract=("MET-2",), alone=True)
def counts_errors(judge: StoreJudge) -> None:
    """A call that fails is counted as an error.

    If this fails: alerts on failures never fire.
    Likely cause: only calls that raise are counted, or refused ones are not.
    Fix: count in one place, around everything.
    """
    request = judge.get_request(judge.absent())
    _grows(
        judge,
        lambda: [judge.client.call(request) for _ in range(3)],
        "grpc_server_requests_total",
        3,
        method=path_of(request),
        status="error",
    )


@check("metrics.duration", area="metrics", role="server", contract=("MET-3",))
def duration(judge: ServerJudge) -> None:
    """Durations are a histogram with the contract's buckets.

    If this fails: dashboards and alerts that were made for the Go implementation are wrong.
    Likely cause: the client library's default buckets.
    Fix: 0.01 0.05 0.1 0.5 1 2 5 10 30.
    """
    request = judge.harmless()
    judge.client.call(request).ok()
    samples, _ = _scraped(judge)
    method = ("method", path_of(request))
    found = {
        f"{float(value):g}" if value != "+Inf" else value
        for (name, labels) in samples
        if name == "grpc_server_request_duration_seconds_bucket" and method in labels
        for label, value in labels
        if label == "le"
    }
    if found != set(BUCKETS):
        raise Failed(f"the buckets are {sorted(found)} in place of {sorted(BUCKETS)}")


@check("metrics.bounded", area="metrics", contract=("MET-4",), alone=True)
def bounded(judge: StoreJudge) -> None:
    """Calls with many different names add no series.

    If this fails: the metrics grow with every key, until the monitoring falls over; and they tell names.
    Likely cause: a label with the key, the store or the namespace.
    Fix: labels with few values only.
    """
    judge.get(judge.absent())
    before = set(_scraped(judge)[0])
    for n in range(30):
        judge.get(f"{judge.absent()}-{n}")
    added = set(_scraped(judge)[0]) - before
    if len(added) > 3:
        raise Failed(f"30 calls with different keys added {len(added)} series, such as {min(added, key=str)}")


@check("metrics.no-values", area="metrics", profile="core", contract=("ERR-3", "MET-4"))
def no_values(judge: StoreJudge) -> None:
    """The metrics hold no secret value.

    If this fails: secrets are kept for months in the monitoring.
    Likely cause: an error text as a label.
    Fix: labels with few values only.
    """
    judge.read(judge.item(seed.RECORD))
    item = judge.item(seed.TEXT)
    judge.map(item.key, property=item.property)
    _, body = _scraped(judge)
    if judge.session.leaks(body):
        raise Failed("a secret value of this run stands in the metrics")


@check("metrics.healthz", area="metrics", role="server", contract=("MET-5",))
def healthz(judge: ServerJudge) -> None:
    """/healthz answers 200.

    If this fails: the kubelet restarts a provider that works.
    Likely cause: the path is not served, or depends on the backend.
    Fix: answer 200 while the process works.
    """
    url = judge.target.health_url
    if not url and judge.target.metrics_url:
        url = urllib.parse.urljoin(judge.target.metrics_url, "/healthz")
    if not url:
        raise NotRun("not reachable: needs health_url or metrics_url")
    status, _ = _http(url)
    if status != 200:
        raise Failed(f"{url} answers {status}")


@check("metrics.backend-calls", area="metrics", contract=("MET-6",), alone=True)
def backend_calls(judge: StoreJudge) -> None:
    """Backend calls are counted.

    If this fails: nobody sees what the provider costs at its backend, or who is being rate limited.
    Likely cause: the counter is missing, or not exposed.
    Fix: externalsecret_provider_api_calls_count with provider, call and status.
    """
    if not judge.limits.backend_calls:
        raise NotApplicable("declared: there is no backend whose calls are counted (limits.backend_calls)")
    name = "externalsecret_provider_api_calls_count"
    before = _value(_scraped(judge)[0], name)
    judge.get(judge.absent()).refused(Code.NOT_FOUND, why="it is absent")
    if _grown(judge, before, 1, name) < 1:
        raise Failed(f"{name} did not grow by a read of an absent secret")
    for sample, labels in _scraped(judge)[0]:
        if sample == name and {label for label, _ in labels} != {"provider", "call", "status"}:
            raise Failed(f"{name} has the labels {sorted(label for label, _ in labels)}")
