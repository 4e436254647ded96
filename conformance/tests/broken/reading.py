"""Faults of reading a value or a map."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
import urllib.parse
from collections import defaultdict
from typing import Any

from provider_proto.provider.v1 import secretstore_pb2 as pb

from . import document
from .fault import caught_by
from .right import Backend, Call, Code, Refusal, Right, Secret, short


class Values(Right):
    """A provider whose values come out of the backend changed."""

    def change(self, value: bytes) -> bytes:
        """The fault."""
        raise NotImplementedError

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        return self.change(super().fetch(backend, key, version))


@caught_by(
    "get.value",
    "get.slash-key",
    "get.dotted-key",
    "get.unicode-key",
    "get.long-key",
    "write.round-trip",
    "write.overwrites",
    "namespaces.own-written-out",
    "namespaces.empty-config-namespace",
    "namespaces.cluster-store-crosses",
    "namespaces.both-cluster-kinds",
    "tenants.same-key",
    "tenants.concurrent",
    "concurrency.parallel-reads",
    "concurrency.parallel-absent",
    "skew.baseline-reads",
    "skew.full-store-reads",
    "skew.unknown-fields-inside",
    "skew.unknown-words",
    "skew.baseline-kinds",
)
class ReadsLists(Values):
    """Text with a comma is taken for a list, and written with one comma and no blank."""

    def change(self, value: bytes) -> bytes:
        return value if value.startswith((b"{", b"[")) else value.replace(b", ", b",")


@caught_by("get.blanks-and-lines", "concurrency.read-while-writing")
class TrimsValues(Values):
    """Blanks at both ends of a value are cut off."""

    def change(self, value: bytes) -> bytes:
        return value.strip()


@caught_by("get.nul", "get.every-byte", "write.every-byte")
class DropsNul(Values):
    """NUL bytes are taken out of values, which is the core's business."""

    def change(self, value: bytes) -> bytes:
        return value.replace(b"\0", b"")


@caught_by("get.every-byte", "write.every-byte")
class ReadsText(Values):
    """Values pass through a text type, which replaces what is not UTF-8."""

    def change(self, value: bytes) -> bytes:
        return value.decode("utf-8", "replace").encode()


@caught_by("get.unicode-value", "get.unicode-key", "write.odd-keys")
class NormalisesText(Values):
    """Text is brought into Unicode's composed form."""

    def change(self, value: bytes) -> bytes:
        try:
            return unicodedata.normalize("NFC", value.decode()).encode()
        except UnicodeDecodeError:
            return value


@caught_by("get.one-mib", "get.large", "write.large")
class ReadsOneBuffer(Values):
    """Values are cut after 512 KiB."""

    def change(self, value: bytes) -> bytes:
        return value[: 1 << 19]


@caught_by(
    "get.whole-document",
    "get.property-raw",
    "map.value-kinds",
    "write.whole-secret-exact",
    "write.property-rest-untouched",
    "concurrency.parallel-reads",
)
class WritesDocumentsAnew(Values):
    """JSON is parsed and written anew on its way, although nobody asked for a part."""

    def change(self, value: bytes) -> bytes:
        try:
            return json.dumps(json.loads(value), ensure_ascii=False).encode()
        except ValueError:
            return value


@caught_by("get.empty-value", "write.empty-value")
class EmptyIsAbsent(Values):
    """An empty value counts as absent: a test for truth where one for presence is meant."""

    def change(self, value: bytes) -> bytes:
        if not value:
            raise self.absent("empty")
        return value


@caught_by(
    "get.missing-key",
    "get.no-prefix-match",
    "get.missing-version",
    "map.missing-key",
    "write.then-absent",
    "write.missing-secret-key",
    "write.bad-metadata",
    "write.unknown-metadata",
    "delete.removes",
    "delete.property",
    "errors.names-the-thing",
    "errors.detail",
    "errors.codes",
    "errors.retryable",
    "namespaces.cluster-selector-honoured",
    "namespaces.referent-scope",
    "namespaces.referent-dialects",
    "namespaces.foreign-object",
    "deadlines.short-deadline",
    "deadlines.cancelled-calls",
    "deadlines.frees-server",
    "deadlines.cancel-frees-server",
    "deadlines.other-store-while-hanging",
    "tenants.write-stays",
    "concurrency.parallel-absent",
    "skew.foreign-major-does-nothing",
    "hostile.odd-keys",
    "hostile.huge-key",
    "metrics.counts-errors",
    "metrics.backend-calls",
    "deadlines.health-while-hanging",
)
class AbsentIsEmpty(Right):
    """An absent secret is answered as an empty value."""

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        try:
            return super().fetch(backend, key, version)
        except Refusal:
            return b""


@caught_by("get.no-prefix-match", "hostile.odd-keys")
class TakesThePrefix(Right):
    """Secrets are searched by prefix, and the first hit is taken."""

    def fetch(self, backend: Backend, key: str, version: str) -> bytes:
        hits = [name for name in sorted(backend.secrets) if name.startswith(key)]
        return super().fetch(backend, hits[0] if hits else key, version)


@caught_by("get.version")
class CountsVersionsFromZero(Right):
    """Versions are off by one."""

    def pick(self, versions: list[bytes], key: str, version: str) -> bytes:
        return super().pick(versions, key, str(int(version) + 1) if version.isdecimal() else version)


@caught_by("get.missing-version")
class FallsBackToTheCurrentVersion(Right):
    """A version that does not exist is answered with the current one."""

    def pick(self, versions: list[bytes], key: str, version: str) -> bytes:
        try:
            return super().pick(versions, key, version)
        except Refusal:
            return versions[-1]


@caught_by("get.not-decoded", "find.not-decoded")
class DecodesForTheCore(Right):
    """The decoding strategy is acted upon."""

    def decode(self, value: bytes, strategy: str) -> bytes:
        import base64

        return base64.b64decode(value) if strategy in {"Base64", "Auto"} and b" " not in value else value


@caught_by("get.metadata")
class IgnoresMetadataPolicy(Right):
    """Who asks for metadata gets the value."""

    def metadata(self, backend: Backend, key: str) -> bytes:
        return backend.secrets[key].versions[-1]


@caught_by("get.empty-key", "write.no-remote-key")
class AcceptsEmptyNames(Right):
    """An empty key goes to the backend like any other."""

    def check_named(self, field: str, name: str) -> None:
        pass


class Keys(Right):
    """A provider whose backend knows a key by another name than the one given."""

    def change(self, key: str) -> str:
        """The fault."""
        raise NotImplementedError

    def stored_key(self, key: str) -> str:
        return self.change(key)


@caught_by("get.slash-key")
class TidiesSlashes(Keys):
    """Two slashes in a key become one, as in a file's path."""

    def change(self, key: str) -> str:
        return re.sub("/+", "/", key)


@caught_by("get.unicode-key", "write.odd-keys")
class UnescapesKeys(Keys):
    """Percent signs in a key are taken for escapes."""

    def change(self, key: str) -> str:
        return urllib.parse.unquote(key)


# Properties


class Parts(Right):
    """A provider that finds other parts of a document."""

    def part(self, value: bytes, path: str) -> bytes:
        """The fault. Raises Missing."""
        raise NotImplementedError

    def select(self, value: bytes, key: str, path: str) -> bytes:
        try:
            return self.part(value, path)
        except (document.Missing, ValueError, KeyError, TypeError, RecursionError):
            raise self.no_property(key, path) from None


@caught_by(
    "get.property",
    "get.missing-property",
    "get.property-of-text",
    "get.property-nested",
    "get.property-literal-dots",
    "get.property-escaped-dots",
    "get.property-index",
    "get.property-big-number",
    "get.property-fraction",
    "get.property-null",
    "get.property-empty",
    "get.property-bool",
    "get.property-raw",
    "get.property-escapes",
    "map.property",
    "map.missing-property",
    "map.agrees-with-get",
)
class IgnoresProperty(Parts):
    """Who asks for a property gets the whole value."""

    def part(self, value: bytes, path: str) -> bytes:
        return value


@caught_by("get.missing-property", "map.missing-property", "get.property-of-text", "hostile.odd-properties")
class MissingPropertyIsAbsent(Right):
    """A missing property is NOT_FOUND, although the secret is there."""

    def no_property(self, key: str, path: str) -> Refusal:
        return Refusal(Code.NOT_FOUND, "NO_SECRET", f"secret {short(key)} has no property {short(path)}")


@caught_by("get.property-nested", "get.property-escaped-dots", "get.property-index", "map.property")
class LooksAtTheTopOnly(Parts):
    """Only members of the document itself are found."""

    def part(self, value: bytes, path: str) -> bytes:
        return document.find(value, path.replace("\\", "\\\\").replace(".", "\\."))


class Formats(Parts):
    """A provider that parses the document, and writes the part that it found by its language's habits."""

    def text(self, found: Any) -> bytes | None:
        """The fault; None for what is written as it should be."""
        raise NotImplementedError

    def part(self, value: bytes, path: str) -> bytes:
        right = document.find(value, path)
        members = json.loads(value)
        wrong = self.text(members[path]) if path in members else None
        return right if wrong is None else wrong


@caught_by("get.property-big-number")
class RoundsNumbers(Formats):
    """Integers pass through a float, and change beyond 2^53."""

    def text(self, found: Any) -> bytes | None:
        return str(int(float(found))).encode() if type(found) is int else None


@caught_by("get.property-null")
class WritesNone(Formats):
    """JSON null is written as a word."""

    def text(self, found: Any) -> bytes | None:
        return b"None" if found is None else None


# Maps


class Maps(Right):
    """A provider whose maps are not what the document says."""

    def change(self, found: dict[str, bytes], request: pb.GetSecretMapRequest) -> dict[str, bytes]:
        """The fault."""
        raise NotImplementedError

    def get_secret_map(self, request: pb.GetSecretMapRequest, call: Call) -> pb.GetSecretMapResponse:
        found = dict(super().get_secret_map(request, call).secrets)
        return pb.GetSecretMapResponse(secrets=self.change(found, request))


@caught_by(
    "map.members",
    "map.value-kinds",
    "map.null",
    "map.names",
    "map.property",
    "map.not-decoded",
    "map.duplicates",
    "map.agrees-with-get",
)
class QuotesMembers(Right):
    """Texts in a map keep their quotes."""

    def member(self, raw: str) -> bytes:
        return raw.encode()


@caught_by(
    "map.agrees-with-get",
    "get.property",
    "get.property-nested",
    "get.property-literal-dots",
    "get.property-escaped-dots",
    "get.property-index",
    "get.property-bool",
    "get.property-raw",
    "get.property-escapes",
    "map.property",
)
class ReadsPropertiesInUpperCase(Right):
    """GetSecret and GetSecretMap have rules of their own: properties are answered in upper case."""

    def select(self, value: bytes, key: str, path: str) -> bytes:
        return super().select(value, key, path).upper()


@caught_by("map.value-kinds")
class ParsesMembers(Right):
    """Members of a map are parsed, and numbers rounded."""

    def member(self, raw: str) -> bytes:
        found = json.loads(raw, parse_int=lambda text: int(float(text)))
        return super().member(raw) if found is None or isinstance(found, str) else json.dumps(found).encode()


@caught_by("map.value-kinds")
class ShortensNumbersOfMembers(Right):
    """Numbers of a map are written as those of a property are."""

    def member(self, raw: str) -> bytes:
        return document.plain(raw)


@caught_by("map.null")
class LeavesNullOut(Maps):
    """A member without a value is left out of the map."""

    def change(self, found: dict[str, bytes], request: pb.GetSecretMapRequest) -> dict[str, bytes]:
        return {name: value for name, value in found.items() if value}


@caught_by("map.names")
class ConvertsNames(Maps):
    """Names are made into keys of a Secret, which is the core's business."""

    def change(self, found: dict[str, bytes], request: pb.GetSecretMapRequest) -> dict[str, bytes]:
        return {re.sub(r"\W", "_", name): value for name, value in found.items()}


@caught_by("map.empty-object")
class EmptyMapIsAbsent(Maps):
    """An empty object counts as an absent secret."""

    def change(self, found: dict[str, bytes], request: pb.GetSecretMapRequest) -> dict[str, bytes]:
        if not found:
            raise self.absent(request.remote_ref.key)
        return found


@caught_by("map.not-an-object", "errors.no-values")
class LeaksTheValue(Right):
    """The parser's error text, with the value in it, becomes the status."""

    def not_an_object(self, key: str, value: bytes) -> Refusal:
        text = f"cannot parse {value.decode(errors='replace')!r}"
        return Refusal(Code.FAILED_PRECONDITION, "PERMANENT", text, key=key)


@caught_by("map.duplicates")
class TakesDuplicatesByTurns(Right):
    """Of two members of one name now the first is answered, now the last."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[str, itertools.count[int]] = defaultdict(itertools.count)

    def get_secret_map(self, request: pb.GetSecretMapRequest, call: Call) -> pb.GetSecretMapResponse:
        found = super().get_secret_map(request, call)
        if next(self.turns[request.remote_ref.key]) % 2:
            text = self.read(request, call).decode()
            for name, start, end in reversed(list(document.spans(text))):
                found.secrets[name] = self.member(text[start:end])
        return found


@caught_by("idempotence.get", "concurrency.parallel-reads", "idempotence.unchanged-by-reading")
class AnswersMembersByTurns(Right):
    """Every second answer has the members of a document in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[str, itertools.count[int]] = defaultdict(itertools.count)

    def get_secret(self, request: pb.GetSecretRequest, call: Call) -> pb.GetSecretResponse:
        answer = super().get_secret(request, call)
        if not request.remote_ref.property and answer.value.startswith(b"{"):
            found = json.loads(answer.value)
            if next(self.turns[request.remote_ref.key]) % 2:
                answer.value = json.dumps(dict(reversed(found.items()))).encode()
        return answer


@caught_by("idempotence.unchanged-by-reading", "concurrency.parallel-reads", "idempotence.get")
class WritesWhenItReads(Right):
    """Reading a map writes it back, with one line end more."""

    def get_secret_map(self, request: pb.GetSecretMapRequest, call: Call) -> pb.GetSecretMapResponse:
        answer = super().get_secret_map(request, call)
        backend = self.open(request)
        with backend.lock:
            found = backend.secrets[request.remote_ref.key]
            again = found.versions[-1] + b"\n"
            backend.secrets[request.remote_ref.key] = Secret([*found.versions, again], found.tags)
        return answer
