"""A caller that is as plain as can be: bytes in, bytes out, every part of the answer kept. It retries nothing.

It shares no code with any provider, so that it can't share a bug with one. Requests may be messages or raw bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from provider_proto import CONTRACT_VERSION_KEY, DESCRIPTION_SERVICE, GENERATOR_SERVICE, SECRET_STORE_SERVICE
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import description_pb2, secretstore_pb2

from provider_conformance.verdict import Call, Failed

Code = grpc.StatusCode
Metadata = Sequence[tuple[str, str | bytes]]
M = TypeVar("M", bound=Message)

MAX_MESSAGE = 4 * 1024 * 1024
_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)

RESPONSES: dict[str, type[Message]] = {
    **{
        f"/{SECRET_STORE_SERVICE}/{name}": getattr(secretstore_pb2, f"{name}Response")
        for name in (
            "GetSecret",
            "GetSecretMap",
            "GetAllSecrets",
            "PushSecret",
            "DeleteSecret",
            "SecretExists",
            "Validate",
            "Capabilities",
        )
    },
    f"/{GENERATOR_SERVICE}/Generate": generator_pb2.GenerateResponse,
    f"/{GENERATOR_SERVICE}/Cleanup": generator_pb2.CleanupResponse,
    f"/{DESCRIPTION_SERVICE}/Describe": description_pb2.DescribeResponse,
}


def path_of(request: Message) -> str:
    """The method that takes this request: `provider.v1.GetSecretRequest` is taken by GetSecret."""
    package, _, name = request.DESCRIPTOR.full_name.rpartition(".")
    if package == "generator.v1":
        service = GENERATOR_SERVICE
    elif name == "DescribeRequest":
        service = DESCRIPTION_SERVICE
    else:
        service = SECRET_STORE_SERVICE
    return f"/{service}/{name.removesuffix('Request')}"


@dataclass(frozen=True, slots=True)
class Answer(Generic[M]):
    """Everything that one call brought back."""

    path: str
    code: grpc.StatusCode
    text: str
    payload: bytes | None
    trailers: tuple[tuple[str, str | bytes], ...]
    seconds: float

    @property
    def method(self) -> str:
        """The bare name of the method."""
        return self.path.rpartition("/")[2]

    def ok(self, why: str = "") -> M:
        """The answer's message. Fails the check unless the call succeeded."""
        if self.code is not Code.OK:
            raise Failed(f"{self.method} has to succeed{why and f' ({why})'}, but answered {self.said()}")
        assert self.payload is not None
        try:
            return cast("M", RESPONSES[self.path].FromString(self.payload))
        except DecodeError:
            raise Failed(
                f"{self.method} answered bytes that are not a {RESPONSES[self.path].__name__}"
            ) from None

    def refused(self, *codes: grpc.StatusCode, why: str) -> None:
        """Fails the check unless the call failed with one of these codes; `why` says what ought to be refused."""
        if self.code not in codes:
            wanted = " or ".join(code.name for code in codes)
            raise Failed(f"{self.method} has to answer {wanted} ({why}), but answered {self.said()}")

    def not_absent(self, *, why: str) -> None:
        """Fails the check unless the call failed, and with anything but NOT_FOUND, INTERNAL and UNKNOWN."""
        if self.code in {Code.OK, Code.NOT_FOUND, Code.INTERNAL, Code.UNKNOWN}:
            raise Failed(
                f"{self.method} has to be refused, and not as absent or as a defect ({why}), but answered {self.said()}"
            )

    def said(self) -> str:
        """Status and text, for a reason; long texts are cut."""
        if self.code is Code.OK:
            return "OK"
        text = self.text if len(self.text) <= 300 else f"{self.text[:300]}... ({len(self.text)} characters)"
        return f"{self.code.name}: {text!r}"

    @property
    def status(self) -> status_pb2.Status | None:
        """The status in `grpc-status-details-bin`, if any. Fails the check when it can't be parsed."""
        for key, value in self.trailers:
            if key == "grpc-status-details-bin":
                try:
                    return status_pb2.Status.FromString(cast("bytes", value))
                except DecodeError:
                    raise Failed(
                        f"{self.method}: grpc-status-details-bin is not a google.rpc.Status"
                    ) from None
        return None

    @property
    def error(self) -> secretstore_pb2.Error | None:
        """The `provider.v1.Error` among the details, if any."""
        for detail in (self.status or status_pb2.Status()).details:
            error = secretstore_pb2.Error()
            if detail.Unpack(error):
                return error
        return None

    @property
    def retry_delay(self) -> float | None:
        """Seconds of the RetryInfo among the details, if any."""
        for detail in (self.status or status_pb2.Status()).details:
            info = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return seconds
        return None

    @property
    def version(self) -> str | None:
        """The contract version in the trailing metadata, if any."""
        for key, value in self.trailers:
            if key == CONTRACT_VERSION_KEY:
                return value if isinstance(value, str) else value.decode(errors="replace")
        return None


class Pending(Generic[M]):
    """A call under way."""

    def __init__(self, path: str, call: grpc.Future[Any], done: Callable[[Answer[M]], None]) -> None:
        self._path = path
        self._call = call
        self._done = done
        self._started = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether the answer is there."""
        return bool(self._call.done())

    def cancel(self) -> None:
        """Give the call up."""
        self._call.cancel()

    def answer(self, timeout: float | None = None) -> Answer[M]:
        """Wait for the answer. Fails the check when none comes within `timeout` seconds."""
        payload: bytes | None = None
        try:
            payload = self._call.result(timeout)
        except grpc.FutureTimeoutError:
            raise Failed(f"{self._path.rpartition('/')[2]} gave no answer within {timeout} s") from None
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass
        answer: Answer[M] = _answer(self._path, cast("grpc.Call", self._call), payload, self._started)
        self._done(answer)
        return answer


def _answer(path: str, call: grpc.Call, payload: bytes | None, started: float) -> Answer[Any]:
    return Answer(
        path,
        call.code(),
        call.details() or "",
        payload,
        tuple((key, value) for key, value in call.trailing_metadata() or ()),
        time.monotonic() - started,
    )


class Client:
    """One connection, and a record of what came over it."""

    def __init__(
        self,
        endpoint: str,
        credentials: grpc.ChannelCredentials | None,
        *,
        server_name: str = "",
        options: Sequence[tuple[str, int | str]] = (),
        timeout: float = 10.0,
        version: str | None = None,
        watch: Callable[[Answer[Message]], None] | None = None,
    ) -> None:
        """`version` is the contract version to send with every call; None sends none, as a baseline core."""
        override = (("grpc.ssl_target_name_override", server_name),) if server_name else ()
        every = (*_OPTIONS, *override, *options)
        if credentials is None:
            self.channel = grpc.insecure_channel(endpoint, every)
        else:
            self.channel = grpc.secure_channel(endpoint, credentials, every)
        self.timeout = timeout
        self.version = version
        self.calls: list[Call] = []
        self._watch = watch
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.channel.close()

    def send(
        self,
        request: Message | bytes,
        *,
        path: str = "",
        timeout: float | None = None,
        version: str | None = "",
        metadata: Metadata = (),
    ) -> Pending[Message]:
        """Begin a call. `path` is needed for raw bytes only; `version` None sends no contract version, "" the usual one."""
        path, method, payload, how = self._prepared(request, path, timeout, version, metadata)
        return Pending(path, method.future(payload, **how), self._record)

    def call(
        self,
        request: Message | bytes,
        *,
        path: str = "",
        timeout: float | None = None,
        version: str | None = "",
        metadata: Metadata = (),
    ) -> Answer[Message]:
        """Make a call and wait for the answer, which the deadline bounds. Much cheaper than `send`, which needs threads."""
        path, method, payload, how = self._prepared(request, path, timeout, version, metadata)
        started = time.monotonic()
        response: bytes | None = None
        try:
            response, call = method.with_call(payload, **how)
        except grpc.RpcError as refused:
            call = cast("grpc.Call", refused)
        answer: Answer[Message] = _answer(path, call, response, started)
        self._record(answer)
        return answer

    def _prepared(
        self,
        request: Message | bytes,
        path: str,
        timeout: float | None,
        version: str | None,
        metadata: Metadata,
    ) -> tuple[str, Any, bytes, dict[str, Any]]:
        if isinstance(request, Message):
            path = path or path_of(request)
            payload = request.SerializeToString(deterministic=True)
        else:
            payload = request
        said = self.version if version == "" else version
        if said is not None:
            metadata = (*metadata, (CONTRACT_VERSION_KEY, said))
        method: Any = self.channel.unary_unary(path)
        return path, method, payload, {"timeout": timeout or self.timeout, "metadata": tuple(metadata)}

    def _record(self, answer: Answer[Message]) -> None:
        with self._lock:
            self.calls.append(Call(answer.method, answer.code.name, answer.seconds))
        if self._watch is not None:
            self._watch(answer)
