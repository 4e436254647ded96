"""`generator.v1.GeneratorProvider` over the generators of one provider."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from provider_proto.generator.v1 import generator_pb2 as pb

from provider_common._admission import Admission
from provider_common._stores import Configs, Parsed, Place, make_context
from provider_common._wire.calls import Call
from provider_common._wire.faulty import carry_out
from provider_common._wire.places import Places
from provider_common.auth import AuthResolver, TokenCache
from provider_common.context import ApiCallCounter, Context, SharedObjects
from provider_common.errors import InvalidRequestError, MissingReferenceError, NoSecretError
from provider_common.generator import GeneratorV2
from provider_common.kube import KubeObject, KubeReader


class GeneratorServicer:
    """The two RPCs. A generator object is made once per class; every call gets a context of its own."""

    def __init__(
        self,
        places: Places,
        kube: KubeReader,
        admission: Admission,
        *,
        tokens: TokenCache,
        shared: SharedObjects,
        calls: ApiCallCounter | None,
    ) -> None:
        self._places = places
        self._kube = kube
        self._configs = Configs(kube)
        self._admission = admission
        self._tokens = tokens
        self._shared = shared
        self._calls = calls
        self._made: dict[type[GeneratorV2[Any]], GeneratorV2[Any]] = {}

    def generate(self, request: pb.GenerateRequest, call: Call) -> pb.GenerateResponse:
        """New values, and the state that Cleanup needs."""
        place = self._place(request)
        generator = self._generator(place)
        with self._admission.slot(place.family, place.title), self._context(place) as context:
            padding = self._fault(generator, context, "Generate", call)
            try:
                made = generator.generate(context)
            except NoSecretError as error:
                # Only the read of a secret may say NOT_FOUND.
                raise MissingReferenceError(error.message, details=error.details) from None
        values = {**made.data, "padding": b"x" * padding} if padding else made.data
        state = (
            b""
            if made.state is None
            # Strict: what JSON does not know (NaN) could be stored by no core.
            else json.dumps(made.state, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
        )
        return pb.GenerateResponse(secrets=values, state=state)

    def cleanup(self, request: pb.CleanupRequest, call: Call) -> pb.CleanupResponse:
        """Remove what `generate` left. Nothing to remove is fine. Without the configuration object nobody can tell."""
        place = self._place(request)
        if not request.state or not place.kind.cls.keeps_state():
            return pb.CleanupResponse()
        state = _state(request.state)
        generator = self._generator(place)
        with self._admission.slot(place.family, place.title), self._context(place) as context:
            self._fault(generator, context, "Cleanup", call)
            with suppress(NoSecretError):  # gone already
                generator.cleanup(context, state)
        return pb.CleanupResponse()

    def _place(self, request: pb.GenerateRequest | pb.CleanupRequest) -> Place:
        if not request.HasField("generator_ref"):
            raise InvalidRequestError("generator_ref is required")
        whole = request.generator if request.generator.ByteSize() else None
        return self._places.generator(request.generator_ref, request.source_namespace, whole)

    def _generator(self, place: Place) -> GeneratorV2[Any]:
        cls: type[GeneratorV2[Any]] = place.kind.cls
        # Two threads may make one each at first; a generator holds nothing, so either is as good.
        return self._made.get(cls) or self._made.setdefault(cls, cls())

    @contextmanager
    def _context(self, place: Place) -> Iterator[Context[Any]]:
        try:
            parsed = self._configs.get(place)
        except MissingReferenceError:
            if place.kind.cls.needs_object:
                raise
            kind = place.kind
            nothing = KubeObject(kind.api_version, kind.kind, place.config_namespace, place.name, {})
            parsed = Parsed(nothing, kind.spec(), b"")
        auth = AuthResolver(self._kube, scope=place.scope, spec=parsed.spec, tokens=self._tokens)
        context = make_context(place, parsed, auth, shared=self._shared, calls=self._calls)
        try:
            yield context
        finally:
            self._shared.release(context.holder)

    @staticmethod
    def _fault(generator: GeneratorV2[Any], context: Context[Any], method: str, call: Call) -> int:
        """Faults of kinds made for tests. Returns the size to which the answer is to be padded."""
        fault = getattr(generator, "fault", None)
        return 0 if fault is None else carry_out(fault(context, method), call)


def _state(state: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(state)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequestError("state has to be the JSON object that Generate answered")
    return parsed
