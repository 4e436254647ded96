"""Faults of generators."""

from __future__ import annotations

import threading
from typing import Any

from provider_proto.generator.v1 import generator_pb2 as gen

from .fault import caught_by
from .right import Call, Code, Config, Refusal, Right


class Generates(Right):
    """A provider that answers something else than it generated."""

    def change(self, made: gen.GenerateResponse) -> None:
        """The fault."""
        raise NotImplementedError

    def generate(self, request: gen.GenerateRequest, call: Call) -> gen.GenerateResponse:
        made = super().generate(request, call)
        self.change(made)
        return made


@caught_by("generate.values", "generate.fresh", "generate.concurrent", "cleanup.not-generated-again")
class GeneratesNothing(Generates):
    """Nothing is answered but a state."""

    def change(self, made: gen.GenerateResponse) -> None:
        made.ClearField("secrets")


@caught_by("generate.fresh", "generate.concurrent", "cleanup.not-generated-again")
class GeneratesTheSame(Right):
    """Every call gives the same value."""

    def new_token(self) -> str:
        return "correct-horse-battery-staple"


@caught_by("generate.names")
class GeneratesOddNames(Generates):
    """Values have names that a Secret can't have."""

    def change(self, made: gen.GenerateResponse) -> None:
        made.secrets["the token"] = made.secrets.pop("token")


@caught_by("generate.state")
class StateIsNotJson(Right):
    """The state is a name, and not a JSON document."""

    def state(self, name: str, token: str) -> bytes:
        return name.encode()

    def parse_state(self, state: bytes) -> str:
        if not state.isalnum():
            return super().parse_state(state)
        return state.decode()


@caught_by("generate.state")
class StateHoldsTheValue(Generates):
    """The state holds what was generated, in a plain object for everybody to read."""

    def change(self, made: gen.GenerateResponse) -> None:
        made.state = made.state[:-1] + b', "token": "' + made.secrets["token"] + b'"}'

    def parse_state(self, state: bytes) -> str:
        return super().parse_state(state.partition(b", ")[0] + b"}" if b"token" in state else state)


@caught_by("generate.concurrent")
class MergesCalls(Right):
    """Calls at the same time are merged into one."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: list[gen.GenerateResponse] = []
        self.gate = threading.Lock()

    def generate(self, request: gen.GenerateRequest, call: Call) -> gen.GenerateResponse:
        with self.gate:
            first = not self.under_way
            if first:
                self.under_way.append(super().generate(request, call))
            made = self.under_way[0]
        if first:
            call.wait(0.05)
            with self.gate:
                self.under_way.clear()
        return made


@caught_by("generate.no-reference", "hostile.empty-messages")
class GeneratesWithoutAReference(Right):
    """A request without a reference is answered as one with an unknown kind."""

    def generator(self, request: Any) -> Config:
        if not request.HasField("generator_ref"):
            raise Refusal(Code.UNIMPLEMENTED, "UNSUPPORTED", "kind '' is not served here")
        return super().generator(request)


@caught_by("generate.empty-source")
class GeneratesForNobody(Right):
    """An empty source namespace means the config object's own."""

    def generator(self, request: Any) -> Config:
        request.source_namespace = request.source_namespace or request.generator_ref.namespace
        return super().generator(request)


@caught_by("generate.foreign-denied", "generate.cluster-generator")
class GeneratesForAnybody(Right):
    """Any namespace may use any generator."""

    def generator(self, request: Any) -> Config:
        if request.source_namespace and request.generator_ref.namespace:
            request.source_namespace = request.generator_ref.namespace
        return super().generator(request)


@caught_by("generate.cluster-generator")
class KnowsNoClusterGenerator(Right):
    """The full generator is ignored, so a ClusterGenerator can't use a config object elsewhere."""

    def generator(self, request: Any) -> Config:
        request.ClearField("generator")
        return super().generator(request)


@caught_by("generate.foreign-selector-denied")
class FollowsForeignSelectors(Right):
    """The namespace in a selector is followed, wherever it leads."""

    def generator(self, request: Any) -> Config:
        if request.generator_ref.name == "borrower":
            return Config()
        return super().generator(request)


@caught_by("generate.invalid-settings")
class CorrectsSettings(Right):
    """Settings that can't work are corrected silently."""

    def generator(self, request: Any) -> Config:
        if request.generator_ref.name == "nonsense":
            request.generator_ref.name = "token"
        return super().generator(request)


@caught_by("generate.own-namespace")
class NeedsTheNamespace(Right):
    """A reference without a namespace is not resolved."""

    def generator(self, request: Any) -> Config:
        ref = request.generator_ref
        if request.source_namespace and ref.kind in self.GENERATOR_KINDS and not ref.namespace:
            raise self.missing_object("", ref.name)
        return super().generator(request)


@caught_by("cleanup.after-generate")
class CleansUpOnce(Right):
    """Cleaning up a second time is an error."""

    def forget(self, name: str) -> None:
        if name not in self.left:
            raise Refusal(Code.FAILED_PRECONDITION, "PERMANENT", "there is nothing to clean up")
        super().forget(name)


@caught_by("cleanup.empty-state")
class CleanupNeedsAState(Right):
    """An empty state is not JSON."""

    def cleanup(self, request: gen.CleanupRequest, call: Call) -> gen.CleanupResponse:
        self.generator(request)
        self.parse_state(request.state)
        return super().cleanup(request, call)


@caught_by("cleanup.foreign-state")
class TrustsTheState(Right):
    """Any state is accepted."""

    def parse_state(self, state: bytes) -> str:
        try:
            return super().parse_state(state)
        except Refusal:
            return ""
