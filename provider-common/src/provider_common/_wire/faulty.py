"""Carries out the faults that kinds made for tests ask for. No other kind gets here."""

from __future__ import annotations

import threading
import time

import grpc

from provider_common._wire.calls import Call
from provider_common.context import remaining
from provider_common.errors import InvalidSpecError, ProviderError
from provider_common.faults import Fault

_CODES = {
    "NOT_FOUND": "NO_SECRET",
    "INVALID_ARGUMENT": "INVALID_REQUEST",
    "UNAUTHENTICATED": "CREDENTIALS",
    "PERMISSION_DENIED": "ACCESS_DENIED",
    "UNIMPLEMENTED": "UNSUPPORTED",
    "UNAVAILABLE": "TEMPORARY",
    "RESOURCE_EXHAUSTED": "RATE_LIMITED",
    "DEADLINE_EXCEEDED": "DEADLINE",
}
_SLICE = 0.05
"""Seconds after which a waiting call looks whether its caller is still there."""
_RETRYABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})


def _injected(fault: Fault) -> ProviderError:
    if fault.status not in grpc.StatusCode.__members__ or fault.status == "OK":
        raise InvalidSpecError(f"spec.faults: {fault.status!r} is not the name of a gRPC error code")

    class InjectedError(ProviderError):
        code = _CODES.get(fault.status, fault.status)
        status = fault.status
        retryable = fault.status in _RETRYABLE

    return InjectedError(fault.message or f"Injected {fault.status}", retry_after=fault.retry_after)


def carry_out(fault: Fault | None, call: Call) -> int:
    """Wait, fail or hang as `fault` says. Returns the size to which the answer is to be padded, 0 for none."""
    if fault is None:
        return 0
    if fault.contract_version:
        call.claim_version(fault.contract_version)
    _wait(float("inf") if fault.hang else fault.latency)
    if fault.status:
        raise _injected(fault)
    return fault.answer_bytes


def _wait(seconds: float) -> None:
    """Hold the thread, as a backend that does not answer would. A caller who has gone, or whose time is over, ends it."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        # An event that nobody sets: a sleep that a debugger and a signal can break.
        threading.Event().wait(min(left, remaining(), _SLICE))
