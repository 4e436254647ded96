"""What a user writes under `spec` of the two Fake kinds."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from provider_common import Alias, Block, Column, Field, Rule, Spec
from pydantic import model_validator

StoreMethod = Literal[
    "GetSecret", "GetSecretMap", "GetAllSecrets", "PushSecret", "DeleteSecret", "SecretExists", "Validate"
]
GeneratorMethod = Literal["Generate", "Cleanup"]
ErrorStatus = Literal[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]

_EFFECTS = ("latency_milliseconds", "hang", "status", "contract_version", "answer_bytes")
_NO_EFFECT = (
    "a fault has to do something: give latencyMilliseconds, hang, status, contractVersion or answerBytes"
)
_NO_STATUS = "message and retryAfterMilliseconds go with status: give status too"


class FaultRule(Block):
    """What goes wrong, and with which calls: those of `rate`, at most `times` of them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.latencyMilliseconds) || (has(self.hang) && self.hang) || has(self.status)"
            " || has(self.contractVersion) || has(self.answerBytes)",
            _NO_EFFECT,
        ),
        Rule("has(self.status) || !(has(self.message) || has(self.retryAfterMilliseconds))", _NO_STATUS),
    )

    rate: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the calls. Not by chance: 0.25 is every fourth call, counted from the last change of the spec.",
    )
    times: int | None = Field(None, ge=1, description="How often at most. Afterwards the calls go well.")

    latency_milliseconds: int | None = Field(None, ge=1, le=3_600_000, description="Wait so long first.")
    hang: bool = Field(False, description="Do not answer until the caller's deadline.")
    status: ErrorStatus | None = Field(None, description="gRPC status to answer with.")
    message: str | None = Field(None, min_length=1, max_length=4096, description="Text of the status.")
    retry_after_milliseconds: int | None = Field(
        None, ge=0, le=3_600_000, description="When to come back, as the status's RetryInfo says."
    )
    contract_version: str | None = Field(
        None, min_length=1, max_length=64, description="Contract version to claim in the answer."
    )
    answer_bytes: int | None = Field(
        None,
        ge=1,
        le=64 * 1024 * 1024,
        description="Size to which the answer is padded; over 4 MiB it is refused.",
    )

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not any(getattr(self, effect) for effect in _EFFECTS):
            raise ValueError(_NO_EFFECT)
        if self.status is None and (self.message, self.retry_after_milliseconds) != (None, None):
            raise ValueError(_NO_STATUS)
        return self


class StoreFaultRule(FaultRule):
    """A fault of a store's calls."""

    methods: tuple[StoreMethod, ...] = Field(
        (), max_length=8, description="Calls it applies to. Default: all except Validate."
    )
    keys: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="Remote keys it applies to, exactly as asked for. Default: every call; with keys, never GetAllSecrets or Validate.",
    )


class GeneratorFaultRule(FaultRule):
    """A fault of a generator's calls."""

    methods: tuple[GeneratorMethod, ...] = Field(
        (), max_length=2, description="Calls it applies to. Default: all."
    )


class FakeEntry(Block):
    """One secret."""

    key: str = Field(min_length=1, description="Name of the secret.")
    value: str = Field(min_length=1, description="Its value.")
    version: str = Field(
        "", description="Its version. Who asks for no version sees only entries without one."
    )


class FakeStoreSpec(Spec):
    """A store whose secrets stand in its own manifest. For tests and trials: whoever may read this object reads them."""

    kind: ClassVar[str] = "Fake"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("provider.external-secrets.io/v2alpha1", "Fake"),)
    columns: ClassVar[tuple[Column, ...]] = (Column("Result", ".spec.validationResult", "integer"),)

    data: tuple[FakeEntry, ...] = Field(
        description="The secrets. Of two with one key and version the later counts."
    )
    validation_result: Literal[0, 1, 2] = Field(
        0, description="What Validate answers: 0 ready, 1 unknown, 2 error; 1 and 2 make the store not ready."
    )
    faults: tuple[StoreFaultRule, ...] = Field(
        (),
        max_length=100,
        description="Misbehaviour, for tests. The first rule that applies to a call counts.",
    )


class FakeGeneratorSpec(Spec):
    """A generator that answers what its own manifest says. For tests and trials."""

    kind: ClassVar[str] = "Fake"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("generators.external-secrets.io/v1alpha1", "Fake"),)

    controller: str = Field(
        "", description="Controller class that takes care of this object; the core looks at it."
    )
    data: dict[str, str] = Field(default_factory=dict, description="The values to answer, by key.")
    faults: tuple[GeneratorFaultRule, ...] = Field(
        (),
        max_length=100,
        description="Misbehaviour, for tests. The first rule that applies to a call counts.",
    )
