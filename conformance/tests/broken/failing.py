"""Faults of errors: the wrong code, and too much or too little said."""

from __future__ import annotations

import secrets
from typing import Any

import grpc

from .fault import caught_by
from .right import Code, Refusal, Right, cut, invalid


@caught_by("errors.backend-timeout")
class TimeoutIsAbsent(Right):
    """A backend that does not answer in time is NOT_FOUND, which deletes the user's Secret."""

    def backend_timed_out(self) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", "the backend did not answer in time")


@caught_by(
    "errors.missing-object",
    "validate.missing-object",
    "generate.missing-object",
    "cleanup.missing-object",
    "errors.codes",
    "hostile.odd-references",
)
class MissingObjectIsAbsent(Right):
    """A missing config object is NOT_FOUND: the 404 of the Kubernetes API is passed on."""

    def missing_object(self, namespace: str, name: str) -> Refusal:
        found = super().missing_object(namespace, name)
        return Refusal(Code.NOT_FOUND, "NO_SECRET", found.text, **found.details)


@caught_by("namespaces.referent-scope", "namespaces.referent-dialects")
class MissingCredentialsAreAbsent(Right):
    """A missing credentials Secret is NOT_FOUND."""

    def missing_credentials(self, namespace: str) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", f"there is no Secret 'login' in {namespace!r}")


@caught_by("errors.bad-credentials")
class BadCredentialsAreAbsent(Right):
    """A login that the backend refuses is NOT_FOUND."""

    def refused_credentials(self) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", "the backend knows no such token")


@caught_by(
    "errors.unknown-kind", "capabilities.unknown-kind", "generate.unknown-kind", "hostile.odd-references"
)
class UnknownKindIsAbsent(Right):
    """A kind that is not served is NOT_FOUND."""

    def check_kind(self, api_version: str, kind: str, served: str, kinds: frozenset[str]) -> None:
        try:
            super().check_kind(api_version, kind, served, kinds)
        except Refusal as refusal:
            if refusal.name == "UNSUPPORTED":
                raise Refusal(Code.NOT_FOUND, "NO_SECRET", refusal.text) from None
            raise


@caught_by("errors.no-body")
class UsesUnsetBodies(Right):
    """A request without a body is used as if there were an empty one."""

    def check_body(self, request: Any, name: str) -> None:
        if not request.HasField(name):
            raise self.absent("")


@caught_by("errors.bad-api-version")
class SplitsApiVersions(Right):
    """An api_version is split without a look at its slashes."""

    def check_kind(self, api_version: str, kind: str, served: str, kinds: frozenset[str]) -> None:
        if api_version != served:
            raise Refusal(Code.UNIMPLEMENTED, "UNSUPPORTED", f"kind {kind[:50]!r} is not served here")
        super().check_kind(api_version, kind, served, kinds)


@caught_by("errors.backend-unavailable")
class OutageIsAbsent(Right):
    """A backend that is away is NOT_FOUND."""

    def backend_away(self) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", "the backend is away")


@caught_by("errors.denied")
class DeniedIsAbsent(Right):
    """A secret that the backend refuses is NOT_FOUND."""

    def backend_denied(self) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", "the backend refuses this secret")


@caught_by("errors.unauthenticated")
class ExpiredTokenIsAbsent(Right):
    """A token that the backend no longer accepts is NOT_FOUND."""

    def backend_forgot_us(self) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", "the backend no longer accepts the token")


@caught_by("errors.rate-limited")
class NoDelay(Right):
    """A rate limit comes without RetryInfo."""

    def backend_limits(self) -> Refusal:
        return Refusal(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", "the backend asks to slow down")


@caught_by("errors.invalid-settings", "generate.invalid-settings")
class InvalidSettingsAreAnOutage(Right):
    """Settings that can't work look like an outage."""

    def invalid_settings(self) -> Refusal:
        return Refusal(Code.UNAVAILABLE, "TEMPORARY", "the store can't be opened")


class Statuses(Right):
    """A provider that tells something else of an error."""

    def change(self, told: Refusal) -> Refusal:
        """The fault."""
        raise NotImplementedError

    def status(self, problem: Exception) -> Refusal:
        told = super().status(problem)
        new = self.change(told)
        return Refusal(new.code, new.name, new.text, retry=new.retry, **new.details)


def with_text(told: Refusal, text: str) -> Refusal:
    return Refusal(told.code, told.name, text, retry=told.retry, **told.details)


@caught_by("errors.defect")
class ShowsTracebacks(Right):
    """A defect's traceback becomes the status."""

    def status(self, problem: Exception) -> Refusal:
        told = super().status(problem)
        if told.code is not Code.INTERNAL:
            return told
        return with_text(told, f'Traceback (most recent call last): File "/app/store.py", line 7: {problem}')


@caught_by("errors.no-insides", "errors.defect")
class ShowsWhereItFailed(Statuses):
    """Texts tell the file and line that refused."""

    def change(self, told: Refusal) -> Refusal:
        return with_text(told, f"store.py:117: {told.text}")


@caught_by("errors.names-the-thing")
class NamesNothing(Right):
    """The text for an absent secret does not say which."""

    def absent(self, key: str) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", "Secret does not exist", key=cut(key))


@caught_by("errors.stable")
class NumbersTexts(Statuses):
    """Every text has a request id in it."""

    def change(self, told: Refusal) -> Refusal:
        return with_text(told, f"{told.text} (request {secrets.token_hex(6)})")


@caught_by("errors.one-line")
class QuotesNothing(Right):
    """A key stands in the text as it is, line ends included."""

    def absent(self, key: str) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", f"Secret does not exist: {cut(key)}", key=cut(key))


@caught_by("errors.short", "hostile.huge-key", "hostile.odd-keys")
class NamesAtFullLength(Right):
    """A key stands in the text and in the details at full length."""

    def absent(self, key: str) -> Refusal:
        # Said twice, so that a key of 3 000 characters is beyond what a peer takes: between its soft and its hard limit
        # gRPC refuses by chance.
        text = f"{key!r} was looked for. Secret does not exist: {key!r}"
        return Refusal(Code.NOT_FOUND, "NO_SECRET", text, key=key)


@caught_by(
    "errors.detail", "errors.rate-limited", "errors.codes", "errors.retryable", "skew.foreign-major-text"
)
class HasNoDetails(Right):
    """Errors carry no details."""

    def error_trailers(self, refusal: Refusal) -> list[tuple[str, str | bytes]]:
        return []


@caught_by("errors.codes", "skew.foreign-major-text")
class CodesOfItsOwn(Right):
    """Errors have codes of the provider's own."""

    def details(self, refusal: Refusal) -> bytes:
        return super().details(
            Refusal(
                refusal.code,
                f"Memory{refusal.name.title().replace('_', '')}",
                refusal.text,
                retry=refusal.retry,
                **refusal.details,
            )
        )


@caught_by("errors.retryable")
class EverythingMayPass(Right):
    """Every error claims that it may be tried again."""

    def details(self, refusal: Refusal) -> bytes:
        from google.rpc import status_pb2
        from provider_proto.provider.v1 import secretstore_pb2 as pb

        status = status_pb2.Status.FromString(super().details(refusal))
        error = pb.Error()
        status.details[0].Unpack(error)
        error.retryable = True
        status.details[0].Pack(error)
        return status.SerializeToString()  # type: ignore[no-any-return]


@caught_by("errors.details-are-names")
class DetailsAreEmpty(Right):
    """The details of an error name nothing."""

    def details(self, refusal: Refusal) -> bytes:
        return super().details(Refusal(refusal.code, refusal.name, refusal.text, retry=refusal.retry))


@caught_by("errors.no-values")
class RepeatsThePayload(Right):
    """A push that is refused repeats its payload in the metadata of the error."""

    def push_secret(self, request: Any, call: Any) -> Any:
        try:
            return super().push_secret(request, call)
        except Refusal as refusal:
            payload = b" ".join(value[:200] for value in request.secret_data.values()).hex()
            raise Refusal(
                refusal.code, refusal.name, refusal.text, **{**refusal.details, "payload": payload}
            ) from None


# Hostile payloads


@caught_by("hostile.garbage", "hostile.truncated", "hostile.bad-utf8", "hostile.fuzzed-bytes")
class ParsingIsADefect(Right):
    """What can't be parsed is INTERNAL, as with the gRPC library's own deserialiser."""

    def parse(self, method: str, payload: bytes) -> Any:
        try:
            return super().parse(method, payload)
        except Refusal:
            raise Refusal(Code.INTERNAL, "BUG", "Exception deserializing request!") from None


@caught_by("hostile.fuzzed")
class TrustsStoreNames(Right):
    """A store name that is no Kubernetes name makes the provider fail inside."""

    def parse(self, method: str, payload: bytes) -> Any:
        request = super().parse(method, payload)
        full = getattr(request, "store", None) or getattr(request, "generator", None)
        if full is not None and full.name and not full.name.isalnum():
            raise ValueError("not a name")
        return request


@caught_by("hostile.fuzzed-bytes")
class TrustsKinds(Right):
    """A kind that is no word makes the provider fail inside."""

    def check_kind(self, api_version: str, kind: str, served: str, kinds: frozenset[str]) -> None:
        if api_version.startswith("provider.") and api_version != served and len(api_version) == len(served):
            raise LookupError("no such version")
        super().check_kind(api_version, kind, served, kinds)


@caught_by("hostile.odd-keys", "hostile.fuzzed")
class KeysAreFiles(Right):
    """Keys become paths, and two dots lead out."""

    def stored_key(self, key: str) -> str:
        if ".." in key.split("/"):
            raise PermissionError("outside")
        return key


@caught_by("hostile.odd-properties")
class PathsAreADefect(Right):
    """A property path that can't be parsed makes the provider fail inside."""

    def select(self, value: bytes, key: str, path: str) -> bytes:
        if path.startswith("#("):
            raise ValueError("unbalanced")
        return super().select(value, key, path)


@caught_by("hostile.large-map")
class LargePushIsADefect(Right):
    """A Secret of many entries makes the provider fail inside."""

    def payload(self, request: Any) -> bytes:
        if len(request.secret_data) > 1000:
            raise MemoryError
        return super().payload(request)


# Versions


@caught_by("skew.baseline-served", "skew.baseline-reads", "skew.baseline-kinds")
class DemandsAVersion(Right):
    """A caller that says no contract version is refused."""

    def check_version(self, context: grpc.ServicerContext) -> None:
        if "eso-contract-version" not in dict(context.invocation_metadata()):
            raise invalid("eso-contract-version is missing")
        super().check_version(context)


@caught_by("skew.full-store-reads")
class RefusesRetrySettings(Right):
    """A store with retry settings is refused, as they are not supported."""

    def open(self, request: Any) -> Any:
        if request.store.spec.HasField("retry_settings"):
            raise invalid("store.spec.retry_settings is not supported")
        return super().open(request)


@caught_by("skew.answers-version", "skew.errors-carry-version")
class SaysNoVersion(Right):
    """Answers have no contract version."""

    def trailers(self) -> list[tuple[str, str | bytes]]:
        return []


@caught_by("skew.errors-carry-version")
class ErrorsSayNoVersion(Right):
    """The contract version is said when a call has succeeded."""

    def handle(self, path: str, payload: bytes, context: grpc.ServicerContext) -> bytes:
        answer = super().handle(path, payload, context)
        if context.code() is not None:
            kept = [(name, value) for name, value in context.trailing_metadata() if "contract" not in name]
            context.set_trailing_metadata(tuple(kept))
        return answer


class Versions(Right):
    """A provider that serves other versions than it should."""

    def serves(self, major: int, minor: int) -> bool:
        """The fault."""
        raise NotImplementedError

    def check_version(self, context: grpc.ServicerContext) -> None:
        super().check_version(context)
        said = str(dict(context.invocation_metadata()).get("eso-contract-version", "1.1"))
        if not self.serves(*map(int, said.split("."))):
            raise Refusal(Code.FAILED_PRECONDITION, "CONTRACT_VERSION", f"{said} is not 1.1: upgrade")


@caught_by("skew.older-minor")
class RefusesOlder(Versions):
    """Callers of an older minor version are refused."""

    def serves(self, major: int, minor: int) -> bool:
        return minor >= 1


@caught_by("skew.newer-minor")
class RefusesNewer(Versions):
    """Callers of a newer minor version are refused."""

    def serves(self, major: int, minor: int) -> bool:
        return minor <= 1


@caught_by("skew.foreign-major-refused", "skew.foreign-major-text", "skew.foreign-major-does-nothing")
class ServesAnyMajor(Right):
    """Callers of another major version are served."""

    def check_version(self, context: grpc.ServicerContext) -> None:
        try:
            super().check_version(context)
        except Refusal as refusal:
            if refusal.name != "CONTRACT_VERSION":
                raise


@caught_by("skew.foreign-major-text")
class DoesNotSayWhatToUpgrade(Statuses):
    """The refusal of another major version says that something does not fit."""

    def change(self, told: Refusal) -> Refusal:
        return with_text(told, "unsupported contract version") if told.name == "CONTRACT_VERSION" else told


@caught_by("skew.foreign-major-does-nothing")
class LooksAtTheVersionLast(Right):
    """Another major version is refused when the work is done."""

    def answer(self, method: str, payload: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            self.check_version(context)
        except Refusal:
            if method == "PushSecret":
                self.push_secret(self.parse(method, payload), None)  # type: ignore[arg-type]
            raise
        return super().answer(method, payload, context)


@caught_by("skew.unreadable-version")
class VersionIsADefect(Right):
    """A version that can't be read makes the provider fail inside."""

    def check_version(self, context: grpc.ServicerContext) -> None:
        said = str(dict(context.invocation_metadata()).get("eso-contract-version", "1.1"))
        if len([int(part) for part in said.split(".")]) != 2:
            raise ValueError(said)
        super().check_version(context)


class Strict(Right):
    """A provider that refuses requests with something unknown in them."""

    def inside(self, request: Any) -> list[Any]:
        """The messages that are looked at."""
        raise NotImplementedError

    def parse(self, method: str, payload: bytes) -> Any:
        from google.protobuf.unknown_fields import UnknownFieldSet

        request = super().parse(method, payload)
        if any(len(UnknownFieldSet(message)) for message in self.inside(request)):
            raise invalid("an unknown field")
        return request


@caught_by("skew.unknown-fields", "transport.large-request")
class RefusesUnknownFields(Strict):
    """A request with an unknown field is refused."""

    def inside(self, request: Any) -> list[Any]:
        return [request]


@caught_by("skew.unknown-fields-inside")
class RefusesUnknownFieldsInside(Strict):
    """A reference with an unknown field is refused."""

    def inside(self, request: Any) -> list[Any]:
        return [message for _, message in request.ListFields() if hasattr(message, "ListFields")]
