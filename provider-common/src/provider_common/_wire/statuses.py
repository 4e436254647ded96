"""Our exceptions as gRPC statuses: the code, the text, and `provider.v1.Error` and RetryInfo as status details."""

from __future__ import annotations

import logging
import traceback
from typing import NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from provider_proto.provider.v1 import secretstore_pb2

from provider_common.errors import PermanentError, ProviderError

_log = logging.getLogger(__name__)

DETAILS_KEY = "grpc-status-details-bin"

_LONGEST = 2000
"""Characters of a message. It travels twice in the trailers, and a peer may limit those to 8 KiB."""


class BugError(PermanentError):
    """A provider did what it must not. The caller gets a class name and a request id, nothing else."""

    code = "BUG"
    status = "INTERNAL"


def bug(error: BaseException, request_id: str) -> BugError:
    """What the caller may know of an unexpected exception; the log learns where it came from, not what it said."""
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else "an unknown place"
    )
    _log.error("unexpected %s at %s (request %s)", name, place, request_id)
    return BugError(f"The provider failed with {name}: its log has the place (request {request_id})")


def abort(
    context: grpc.ServicerContext, error: ProviderError, metadata: tuple[tuple[str, str], ...]
) -> NoReturn:
    """End the call with the status of `error`. Raises, as grpc's own abort does."""
    code = grpc.StatusCode[error.status]
    text = error.message if len(error.message) <= _LONGEST else f"{error.message[: _LONGEST - 1]}…"
    context.set_trailing_metadata((*metadata, (DETAILS_KEY, _details(error, code, text))))
    context.abort(code, text)
    raise AssertionError("grpc's abort raises")


def _details(error: ProviderError, code: grpc.StatusCode, text: str) -> bytes:
    detail = secretstore_pb2.Error(
        code=error.code, message=text, retryable=error.retryable, details=dict(error.details)
    )
    status = status_pb2.Status(code=code.value[0], message=text)
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after * 1000))
        detail.retry_delay.CopyFrom(delay)
        status.details.append(_any(error_details_pb2.RetryInfo(retry_delay=delay)))
    status.details.insert(0, _any(detail))
    data: bytes = status.SerializeToString()
    return data


def _any(message: secretstore_pb2.Error | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
