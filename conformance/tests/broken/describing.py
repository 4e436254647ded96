"""Faults of validation, of capabilities, and of the description."""

from __future__ import annotations

from typing import ClassVar

from provider_proto.provider.v1 import description_pb2 as desc
from provider_proto.provider.v1 import secretstore_pb2 as pb

from .fault import caught_by
from .right import Call, Code, Refusal, Right, invalid


class Validates(Right):
    """A provider that finds something else valid."""

    def change(self, said: pb.ValidateResponse, request: pb.ValidateRequest) -> pb.ValidateResponse:
        """The fault."""
        raise NotImplementedError

    def validate(self, request: pb.ValidateRequest, call: Call) -> pb.ValidateResponse:
        return self.change(super().validate(request, call), request)


@caught_by("validate.ready", "validate.no-source", "validate.referent", "validate.repeatable")
class NothingIsValid(Validates):
    """The check asks for a permission that reading does not need."""

    def change(self, said: pb.ValidateResponse, request: pb.ValidateRequest) -> pb.ValidateResponse:
        return pb.ValidateResponse(valid=False, error="the token may not list secrets")


@caught_by("validate.no-source", "validate.referent")
class ValidateNeedsASource(Right):
    """Validate refuses an empty source namespace, as data calls have to."""

    def validate(self, request: pb.ValidateRequest, call: Call) -> pb.ValidateResponse:
        if not request.source_namespace:
            raise invalid("source_namespace is empty")
        return super().validate(request, call)


@caught_by("validate.missing-object")
class ValidatesWithoutTheObject(Right):
    """Whatever does not exist is valid."""

    def validate(self, request: pb.ValidateRequest, call: Call) -> pb.ValidateResponse:
        try:
            return super().validate(request, call)
        except Refusal as refusal:
            if refusal.name == "MISSING_REFERENCE":
                return pb.ValidateResponse(valid=True)
            raise


@caught_by("validate.bad-credentials", "validate.invalid-settings")
class ValidatesEverything(Validates):
    """Validation looks whether the object is there, and no further."""

    def change(self, said: pb.ValidateResponse, request: pb.ValidateRequest) -> pb.ValidateResponse:
        return pb.ValidateResponse(valid=True)


@caught_by("validate.referent")
class UnknownCredentialsAreInvalid(Right):
    """Credentials that nobody can know yet are missing ones."""

    def validate(self, request: pb.ValidateRequest, call: Call) -> pb.ValidateResponse:
        scope = request.store.spec.authentication_scope
        if not request.source_namespace and scope == "ManifestNamespace":
            return pb.ValidateResponse(valid=False, error="there is no Secret 'login'")
        return super().validate(request, call)


@caught_by("validate.repeatable")
class ValidatesFiveTimes(Validates):
    """The third time in a row the answer is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, int] = {}

    def change(self, said: pb.ValidateResponse, request: pb.ValidateRequest) -> pb.ValidateResponse:
        who = f"{request.provider_ref} {request.source_namespace}"
        self.times[who] = self.times.get(who, 0) + 1
        if self.times[who] % 5 == 3:
            return pb.ValidateResponse(valid=False, error="a session is open already")
        return said


# Capabilities


class Capable(Right):
    """A provider that claims something else."""

    def change(self, request: pb.CapabilitiesRequest) -> int:
        """The fault."""
        raise NotImplementedError

    def capabilities(self, request: pb.CapabilitiesRequest, call: Call) -> pb.CapabilitiesResponse:
        self.check_reference(request)
        return pb.CapabilitiesResponse(capabilities=self.change(request))  # type: ignore[arg-type]


@caught_by("capabilities.answers", "describe.store")
class ClaimsSomethingUnknown(Capable):
    """Capabilities answers a number that the contract does not have."""

    def change(self, request: pb.CapabilitiesRequest) -> int:
        return 7


@caught_by("capabilities.no-io")
class CapabilitiesLoadTheObject(Capable):
    """Capabilities needs the config object."""

    def change(self, request: pb.CapabilitiesRequest) -> int:
        self.config(request.provider_ref, request.source_namespace)
        return pb.READ_WRITE


@caught_by("capabilities.reads")
class ClaimsWriteOnly(Right):
    """A store that reads and writes calls itself write-only."""

    CAPABILITIES: ClassVar[int] = pb.WRITE_ONLY


@caught_by(
    "capabilities.writes",
    "write.round-trip",
    "write.overwrites",
    "write.then-absent",
    "write.selected-key",
    "write.missing-secret-key",
    "write.no-remote-key",
    "write.whole-secret",
    "write.whole-secret-exact",
    "write.property",
    "write.property-is-text",
    "write.property-rest-untouched",
    "write.empty-value",
    "write.every-byte",
    "write.large",
    "write.odd-keys",
    "write.bad-metadata",
    "write.unknown-metadata",
    "write.unmanaged-refused",
    "delete.property",
    "delete.then-write",
    "errors.missing-object",
    "errors.no-reference",
    "errors.no-body",
    "namespaces.empty-source",
    "namespaces.foreign-denied-everywhere",
    "tenants.same-key",
    "tenants.concurrent",
    "tenants.delete-stays",
    "concurrency.parallel-writes",
    "concurrency.parallel-properties",
    "concurrency.read-while-writing",
    "idempotence.push",
    "hostile.empty-messages",
)
class ClaimsToWrite(Right):
    """READ_WRITE without PushSecret."""

    def push_secret(self, request: pb.PushSecretRequest, call: Call) -> pb.PushSecretResponse:
        raise Refusal(Code.UNIMPLEMENTED, "UNSUPPORTED", "secrets can't be written here")


@caught_by("capabilities.read-only-refuses-writes")
class ClaimsReadOnly(Right):
    """A store that calls itself read-only can be written."""

    CAPABILITIES: ClassVar[int] = pb.READ_ONLY


# Description


class Describes(Right):
    """A provider that says something else of itself."""

    def change(self, said: desc.DescribeResponse) -> None:
        """The fault."""
        raise NotImplementedError

    def describe(self, request: desc.DescribeRequest, call: Call) -> desc.DescribeResponse:
        said = super().describe(request, call)
        self.change(said)
        return said


@caught_by("describe.answers")
class HasNoVersion(Describes):
    """The description does not tell the provider's version."""

    def change(self, said: desc.DescribeResponse) -> None:
        said.version = ""


@caught_by("describe.generator")
class DescribesNoGenerators(Describes):
    """The description lists stores only."""

    def change(self, said: desc.DescribeResponse) -> None:
        del said.kinds[1]
