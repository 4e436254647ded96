"""Our exceptions as gRPC statuses: the code, the text, and `provider.v1.Error` and RetryInfo as status details."""

from __future__ import annotations

import logging
import traceback
from typing import NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from provider_proto.provider.v1 import secretstore_pb2

from provider_common._logging import request_id
from provider_common.errors import PermanentError, ProviderError

_log = logging.getLogger(__name__)

DETAILS_KEY = "grpc-status-details-bin"

_LONGEST = 1500
"""Bytes of a message, as grpc sends it. It travels three times in the trailers, and a peer may limit those to 8 KiB."""

_LONGEST_DETAIL = 250
_MOST_DETAILS = 4
"""Bytes of one detail, and how many there are: names from the request are as long as the caller made them."""


_LONGEST_DELAY = 86_400.0
"""Seconds. A backend's own words may ask for more than a duration can hold."""


class BugError(PermanentError):
    """A provider did what it must not. The caller gets a class name and a request id, nothing else."""

    code = "BUG"
    status = "INTERNAL"


def bug(error: BaseException, request: str) -> BugError:
    """What the caller may know of an unexpected exception; the log learns where it came from, not what it said."""
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else "an unknown place"
    )
    _log.error("unexpected %s at %s (request %s)", name, place, request)
    return BugError(f"The provider failed with {name}: its log has the place (request {request})")


def abort(
    context: grpc.ServicerContext, error: ProviderError, metadata: tuple[tuple[str, str], ...]
) -> NoReturn:
    """End the call with the status of `error`. Raises, as grpc's own abort does."""
    try:
        code, text, details = _status(error)
    except Exception as broken:  # noqa: BLE001 - grpc would send its text, which nobody has looked at, to the caller
        code, text, details = _status(bug(broken, request_id.get()))
    context.set_trailing_metadata((*metadata, (DETAILS_KEY, details)))
    context.abort(code, text)
    raise AssertionError("grpc's abort raises")


def shown(text: str, limit: int = _LONGEST) -> str:
    """`text` on one line of printable characters, cut so that grpc needs at most `limit` bytes for it."""
    text = text[: limit + 1]
    if not text.isprintable():
        # A name in a request may hold anything, and JSON even what is no character.
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return _shortened(text, limit)


def _status(error: ProviderError) -> tuple[grpc.StatusCode, str, bytes]:
    code, text = grpc.StatusCode[error.status], shown(error.message)
    return code, text, _details(error, code, text)


def _details(error: ProviderError, code: grpc.StatusCode, text: str) -> bytes:
    details = {
        key: shown(value, _LONGEST_DETAIL) for key, value in list(error.details.items())[:_MOST_DETAILS]
    }
    detail = secretstore_pb2.Error(code=error.code, message=text, retryable=error.retryable, details=details)
    status = status_pb2.Status(code=code.value[0], message=text)
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(min(max(0.0, error.retry_after), _LONGEST_DELAY) * 1000))
        detail.retry_delay.CopyFrom(delay)
        status.details.append(_any(error_details_pb2.RetryInfo(retry_delay=delay)))
    status.details.insert(0, _any(detail))
    data: bytes = status.SerializeToString()
    return data


def _shortened(text: str, limit: int) -> str:
    """`text`, cut so that grpc, which sends every byte outside printable ASCII as three, needs at most `limit`."""
    if len(text) * 12 <= limit:
        return text
    size = 0
    for place, char in enumerate(text):
        size += 1 if " " <= char <= "~" and char != "%" else 3 * len(char.encode(errors="replace"))
        if size > limit:
            return f"{text[: max(0, place - 9)]}…"
    return text


def _any(message: secretstore_pb2.Error | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
