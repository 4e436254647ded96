"""Faults of finding."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from provider_proto.provider.v1 import secretstore_pb2 as pb

from .fault import caught_by
from .right import Backend, Call, Code, Refusal, Right, Secret, invalid


class Finds(Right):
    """A provider that changes what was found."""

    def change(self, found: dict[str, bytes], request: pb.GetAllSecretsRequest) -> dict[str, bytes]:
        """The fault."""
        raise NotImplementedError

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        found = dict(super().get_all_secrets(request, call).secrets)
        return pb.GetAllSecretsResponse(secrets=self.change(found, request))


@caught_by(
    "find.by-name",
    "find.existing",
    "find.nothing",
    "find.unanchored",
    "find.anchors",
    "find.re2-syntax",
    "find.many",
    "find.deleted-left-out",
    "find.over-four-mib",
    "delete.removes",
)
class IgnoresThePattern(Right):
    """Every secret is found, whatever the pattern."""

    def matcher(self, pattern: str) -> Callable[[str], Any]:
        super().matcher(pattern)
        return lambda _: True


@caught_by("find.nothing", "find.by-path", "delete.removes", "hostile.odd-patterns")
class NothingFoundIsAbsent(Finds):
    """Finding nothing is NOT_FOUND, which deletes the user's Secret."""

    def change(self, found: dict[str, bytes], request: pb.GetAllSecretsRequest) -> dict[str, bytes]:
        if not found:
            raise Refusal(Code.NOT_FOUND, "NO_SECRET", "nothing was found")
        return found


@caught_by("find.many")
class ForgetsAPage(Finds):
    """Of three pages or more the second is lost."""

    def change(self, found: dict[str, bytes], request: pb.GetAllSecretsRequest) -> dict[str, bytes]:
        names, size = sorted(found), Backend.PAGE
        lost = names[size : 2 * size] if len(names) > 2 * size else []
        return {name: value for name, value in found.items() if name not in lost}


@caught_by(
    "find.by-name",
    "transport.too-large-answer",
    "find.existing",
    "find.unanchored",
    "find.anchors",
    "find.re2-syntax",
    "find.binary-values",
    "find.many",
    "find.deleted-left-out",
    "find.over-four-mib",
)
class CutsValuesInFinds(Finds):
    """A listing has only the beginning of each value."""

    def change(self, found: dict[str, bytes], request: pb.GetAllSecretsRequest) -> dict[str, bytes]:
        return {name: value[:24] for name, value in found.items()}


@caught_by(
    "find.unanchored",
    "transport.too-large-answer",
    "find.empty-pattern",
    "find.deleted-left-out",
    "find.by-tags",
    "find.by-path",
    "find.over-four-mib",
)
class MatchesWholeNames(Right):
    """A pattern has to match the whole name."""

    def matcher(self, pattern: str) -> Callable[[str], Any]:
        return super().matcher(rf"^(?:{pattern})$")


@caught_by("find.empty-pattern")
class EmptyPatternIsNone(Right):
    """An empty pattern counts as none: a test for truth where one for presence is meant."""

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        if not request.find.name.regexp:
            request.find.ClearField("name")
        return super().get_all_secrets(request, call)


@caught_by("find.bad-pattern", "find.lookaround-refused")
class BadPatternFindsNothing(Right):
    """A pattern that cannot be compiled finds nothing, like a place that is empty."""

    def matcher(self, pattern: str) -> Callable[[str], Any]:
        try:
            return super().matcher(pattern)
        except Refusal:
            return lambda _: False


@caught_by("find.lookaround-refused")
class LooksAround(Right):
    """What RE2 does not have is left to the language's own regular expressions."""

    def matcher(self, pattern: str) -> Callable[[str], Any]:
        try:
            return super().matcher(pattern)
        except Refusal:
            try:
                return re.compile(pattern).search
            except re.error:
                raise invalid("not a pattern") from None


@caught_by("hostile.odd-patterns")
class Backtracks(Right):
    """Some patterns take for ever, as with a library that backtracks."""

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        if "+)+" in request.find.name.regexp:
            call.wait(20)
        return super().get_all_secrets(request, call)


@caught_by("find.deleted-left-out", "delete.removes")
class VanishedEndsTheFind(Right):
    """One secret that has vanished makes the whole find NOT_FOUND."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[str] = set()

    def remove(self, backend: Backend, key: str, path: str) -> None:
        super().remove(backend, key, path)
        self.gone.add(key)

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        pattern = request.find.name.regexp
        if pattern.startswith("^conformance"):
            matches = self.matcher(pattern)
            for key in self.gone:
                if matches(key):
                    raise self.absent(key)
        return super().get_all_secrets(request, call)


@caught_by("find.by-tags")
class AnyTagIsEnough(Right):
    """One of the tags is enough."""

    def has_tags(self, secret: Secret, tags: Mapping[str, str]) -> bool:
        return not tags or any(secret.tags.get(name) == value for name, value in tags.items())


@caught_by("find.unsupported-selector", limits={"find": ("name",)})
class IgnoresTags(Right):
    """Tags are not supported, and ignored: a find by tags finds everything."""

    def has_tags(self, secret: Secret, tags: Mapping[str, str]) -> bool:
        return True


@caught_by("find.by-path")
class IgnoresThePath(Right):
    """The path is not looked at."""

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        if request.find.path and not request.find.HasField("name"):
            request.find.name.regexp = ""
        request.find.path = ""
        return super().get_all_secrets(request, call)


@caught_by("find.no-selector")
class NoSelectorIsAbsent(Right):
    """A find without a selector is NOT_FOUND."""

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        if request.HasField("find") and not (
            request.find.HasField("name") or request.find.tags or request.find.path
        ):
            self.open(request)
            raise Refusal(Code.NOT_FOUND, "NO_SECRET", "no selector")
        return super().get_all_secrets(request, call)


@caught_by("idempotence.find", "find.by-tags")
class LosesOneByTurns(Right):
    """Every second find of the same pattern loses a secret."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: dict[str, itertools.count[int]] = defaultdict(itertools.count)

    def get_all_secrets(self, request: pb.GetAllSecretsRequest, call: Call) -> pb.GetAllSecretsResponse:
        answer = super().get_all_secrets(request, call)
        if next(self.turns[request.find.name.regexp]) % 2 and answer.secrets:
            del answer.secrets[min(answer.secrets)]
        return answer
