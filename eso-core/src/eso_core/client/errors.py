"""From a gRPC status to what the core does about it, for peers that send details and for those that send only text.

Only one answer may ever count as "the backend has no such secret": anything doubtful is a plain failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from provider_proto.provider.v1 import secretstore_pb2 as pb

from eso_core.reconcile.calls import AbsentError, CallError

DETAILS_KEY = "grpc-status-details-bin"
LONGEST_TEXT = 1024
"""Characters of a provider's text that are shown."""
_ABSENT_ENDING = "Secret does not exist"
"""How Go providers of the one family end the text for an absent secret, under UNKNOWN."""
_READS = frozenset({"GetSecret", "GetSecretMap"})
_TLS_WORDS = ("handshake", "certificate", "verification check", "peer name")
_LONGEST_DELAY = 86_400.0
"""Seconds. A provider that asks for more has a defect, and nobody could wait for that."""
_RETRYABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"})


def translated(error: grpc.RpcError, method: str, address: str) -> CallError:
    """What `error`, the answer to a call of `method`, means."""
    code: grpc.StatusCode = error.code()
    text = shown(error.details() or "")
    absent = (error.details() or "").endswith(_ABSENT_ENDING)
    detail, delay = _details(error.trailing_metadata() or ())
    if method in _READS and _is_absent(code, detail, says_so=absent):
        return AbsentError(text or _ABSENT_ENDING, code="NO_SECRET")
    if detail is not None:
        if delay is None and detail.HasField("retry_delay"):
            delay = _seconds(detail.retry_delay)
        return CallError(
            shown(detail.message) or text,
            code=detail.code or code.name,
            retryable=detail.retryable,
            retry_after=delay,
        )
    return CallError(
        _told(code, text, method, address),
        code=code.name,
        retryable=code.name in _RETRYABLE,
        retry_after=delay,
    )


def _is_absent(code: grpc.StatusCode, detail: pb.Error | None, *, says_so: bool) -> bool:
    if code is grpc.StatusCode.NOT_FOUND:
        return detail is None or detail.code == "NO_SECRET"
    return code is grpc.StatusCode.UNKNOWN and detail is None and says_so


def _told(code: grpc.StatusCode, text: str, method: str, address: str) -> str:
    """A text with a next step, for statuses that the provider itself did not explain."""
    match code:
        case grpc.StatusCode.UNAVAILABLE if any(word in text.lower() for word in _TLS_WORDS):
            return (
                f"no secure connection to the provider at {address}: its certificate has to be of the CA in ca.crt and "
                f"carry the address's host name, and ours has to be of the provider's CA ({text})"
            )
        case grpc.StatusCode.UNAVAILABLE:
            return f"the provider at {address} can't be reached: check that it runs and that the address is right ({text})"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the provider at {address} did not answer {method} in time"
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"the provider at {address} does not offer {method}: {text or 'check that the address is of the right provider'}"
        case grpc.StatusCode.NOT_FOUND:
            return f"the provider at {address} answered {method} with NOT_FOUND, which it must not: {text}"
    return text or f"the provider at {address} answered {method} with {code.name} and no text"


def _details(metadata: Sequence[Any]) -> tuple[pb.Error | None, float | None]:
    """The provider's own error and the delay it asks for, when the answer carries them."""
    raw = next((value for key, value in metadata if key == DETAILS_KEY), None)
    if not isinstance(raw, bytes):
        return None, None
    status, error, retry = status_pb2.Status(), pb.Error(), error_details_pb2.RetryInfo()
    found: pb.Error | None = None
    delay: float | None = None
    try:
        status.ParseFromString(raw)
        for detail in status.details:
            if detail.Unpack(error):
                found = error
            elif detail.Unpack(retry):
                delay = _seconds(retry.retry_delay)
    except DecodeError:
        return None, None
    return found, delay


def _seconds(delay: Duration) -> float:
    return min(max(delay.seconds + delay.nanos / 1e9, 0.0), _LONGEST_DELAY)


def shown(text: str) -> str:
    """A peer's text as one printable line of bounded length."""
    line = "".join(char if char.isprintable() else " " for char in text[: LONGEST_TEXT + 1])
    return f"{line[:LONGEST_TEXT]}..." if len(text) > LONGEST_TEXT else line
