"""One call from bytes to bytes: deadline, contract version, parsing, size, errors, metrics, log. The same for every RPC.

Requests are parsed here and not by grpc, which answers a request that can't be parsed with INTERNAL.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NoReturn, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from provider_proto import CONTRACT_VERSION_KEY

from provider_common._logging import new_request_id, request_id
from provider_common._metrics import Metrics
from provider_common._wire import statuses, versions
from provider_common.context import start_call
from provider_common.errors import InvalidRequestError, OverloadedError, ProviderError, TooLargeError

_log = logging.getLogger(__name__)

LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer that a Go core accepts (contract: message limits)."""

_KEPT = 4096
_LARGEST_KEPT = 8 * 1024
"""Requests whose meaning is kept, and the bytes of the largest of them: memory is bounded by both."""

RequestT = TypeVar("RequestT")
Request_contra = TypeVar("Request_contra", contravariant=True)


@dataclass(slots=True)
class Call:
    """What a servicer may change about the answer beside the answer itself."""

    metadata: tuple[tuple[str, str], ...] = versions.OUR_METADATA

    def claim_version(self, version: str) -> None:
        """Claim another contract version: a fault for tests."""
        self.metadata = ((CONTRACT_VERSION_KEY, version),)


class Body(Protocol[Request_contra]):
    """What one RPC does."""

    def __call__(self, request: Request_contra, call: Call, /) -> Message:
        """Answer, or raise."""


class Rpc(Generic[RequestT]):
    """One RPC, as grpc calls it: bytes and a context in, bytes out."""

    def __init__(
        self, path: str, parse: Callable[[bytes], RequestT], body: Body[RequestT], metrics: Metrics
    ) -> None:
        """`path` is the full method path, `parse` makes of the bytes what `body` works with."""
        self._path = path
        self._parse = parse
        self._body = body
        self._metrics = metrics

    def __call__(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve one call."""
        began = time.perf_counter()
        call = Call()
        ok = False
        try:
            request_id.set(new_request_id())
            start_call(context.time_remaining(), context.is_active)
            versions.check(context)
            answer = self._body(self._read(data), call).SerializeToString()
            if len(answer) > LARGEST_ANSWER:
                raise TooLargeError(
                    f"The answer has {len(answer)} bytes, more than the {LARGEST_ANSWER} that a core accepts: "
                    "ask for less (a property, or a narrower find)",
                    details={"bytes": str(len(answer)), "limit": str(LARGEST_ANSWER)},
                )
            ok = True
            context.set_trailing_metadata(call.metadata)
            return answer
        except ProviderError as error:
            self._refuse(context, call, error)
        except BaseException as error:  # noqa: BLE001 - a bug in a provider ends one call, never the server
            # Also a SystemExit, or a panic of a library in Rust: grpc would leave the caller without any answer.
            self._refuse(context, call, statuses.bug(error, request_id.get()))
        finally:
            self._metrics.rpc(self._path, ok, time.perf_counter() - began)

    def _read(self, data: bytes) -> RequestT:
        try:
            return self._parse(data)
        except (DecodeError, UnicodeDecodeError):
            raise InvalidRequestError(
                f"The request is not a {self._path.rsplit('/', 1)[1]}Request message"
            ) from None

    def _refuse(self, context: grpc.ServicerContext, call: Call, error: ProviderError) -> NoReturn:
        _log.info("%s: %s: %s", self._path, error.code, statuses.shown(error.message))
        statuses.abort(context, error, call.metadata)


def once(parse: Callable[[bytes], RequestT]) -> Callable[[bytes], RequestT]:
    """`parse`, and what it made of the same bytes a while ago: a core sends the same request at every refresh. What `parse`
    raises is not kept.
    """
    kept = lru_cache(maxsize=_KEPT)(parse)
    return lambda data: (kept if len(data) <= _LARGEST_KEPT else parse)(data)


class Refusal:
    """Answers calls that find the queue full, without reading them."""

    def __init__(self, path: str, metrics: Metrics) -> None:
        self._path = path
        self._metrics = metrics

    def __call__(self, _data: bytes, context: grpc.ServicerContext) -> bytes:
        """Refuse one call."""
        self._metrics.rpc(self._path, ok=False, seconds=0.0)
        error = OverloadedError(
            "This server has as many calls waiting as it can hold: try again later", retry_after=1.0
        )
        statuses.abort(context, error, versions.OUR_METADATA)


__all__ = ["LARGEST_ANSWER", "Body", "Call", "Refusal", "Rpc", "once"]
