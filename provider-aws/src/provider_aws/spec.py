"""What a user writes to reach AWS: two stores, two generators.

Field names and defaults are those of the in-tree AWS provider, so a manifest moves over by taking its `aws` block as the
new object's `spec` (without `service`: the kind says it). What could only go wrong at AWS later is refused here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from provider_common import Alias, Block, Column, Field, InvalidRequestError, Rule, Spec
from pydantic import StringConstraints, model_validator

from provider_aws.auth import AwsAuth, StaticAuth

Region = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
RoleArn = Annotated[
    str, StringConstraints(min_length=20, max_length=2048, pattern=r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+$")
]
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(max_length=256)]

BUILT_IN_TAGS = ("esoNamespace", "esoStoreName", "esoStoreKind")
"""Session tags that say on whose behalf AWS is called."""

ALIAS_GROUP = "provider.external-secrets.io/v2alpha1"
GENERATOR_ALIAS_GROUP = "generators.external-secrets.io/v1alpha1"


class SessionTag(Block):
    """One STS session tag."""

    key: TagKey
    value: TagValue


class AwsStoreSpec(Spec):
    """Region, credentials and roles: what both stores have in common."""

    region: Region = Field(description="AWS region, for example eu-central-1.")
    auth: AwsAuth | None = Field(
        None,
        description="Where the first credentials come from; without it, the provider's own pod (IRSA, Pod Identity,"
        " environment, instance role).",
    )
    role: RoleArn | None = Field(None, description="ARN of the role that calls are made with.")
    additional_roles: tuple[RoleArn, ...] = Field(
        (), description="Roles to assume one after the other before `role`."
    )
    external_id: str | None = Field(
        None, alias="externalID", min_length=2, max_length=1224, description="External ID for `role`."
    )
    session_tags: tuple[SessionTag, ...] = Field(
        (), max_length=50, description="Session tags for `role`, unless sessionTagsPolicy says otherwise."
    )
    transitive_tag_keys: tuple[TagKey, ...] = Field(
        (), max_length=50, description="Keys of session tags that later roles in a chain keep."
    )
    session_tags_policy: Literal["None", "Simple", "Custom"] = Field(
        "None",
        description="Simple: the tags esoNamespace, esoStoreName and esoStoreKind instead of sessionTags. Custom: these and"
        " customSessionTags.",
    )
    custom_session_tags: dict[str, str] = Field(
        default_factory=dict, max_length=47, description="Further session tags with sessionTagsPolicy Custom."
    )
    prefix: str = Field("", max_length=512, description="Put in front of every key, as it is (not for find).")

    columns: ClassVar[tuple[Column, ...]] = (
        Column("Region", ".spec.region"),
        Column("Role", ".spec.role"),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.customSessionTags) || !self.customSessionTags.exists(k, k in"
            " ['esoNamespace', 'esoStoreName', 'esoStoreKind'])",
            "customSessionTags may not set esoNamespace, esoStoreName or esoStoreKind",
        ),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if set(self.custom_session_tags) & set(BUILT_IN_TAGS):
            raise ValueError("customSessionTags may not set esoNamespace, esoStoreName or esoStoreKind")
        return self

    @property
    def plain_region(self) -> str:
        """The region without the mark by which older tools ask for its FIPS endpoint."""
        return self.region.removeprefix("fips-").removesuffix("-fips")

    def name_of(self, key: str) -> str:
        """The name or ARN of the secret that a manifest calls `key`.

        Raises InvalidRequestError for an ARN of another region: the region that is asked would say that there is no such
        secret, and the user's copy would go.
        """
        name = self.prefix + key
        region = name.split(":")[3] if name.count(":") >= 5 and name.startswith("arn:") else ""
        if region and region != self.plain_region:
            raise InvalidRequestError(
                f"{key!r} is in region {region!r}, and this store is of {self.region!r}: use a store of that region"
            )
        return name

    @property
    def tags_depend_on_caller(self) -> bool:
        """True when the session's tags name the namespace on whose behalf AWS is called."""
        return self.role is not None and self.session_tags_policy != "None"


class Deletion(Block):
    """How Secrets Manager deletes."""

    force_delete_without_recovery: bool = Field(
        False, description="Delete at once, without a window for recovery."
    )
    recovery_window_in_days: int = Field(
        0, ge=0, le=30, description="Days until the secret is gone: 7 to 30; 0 leaves it to AWS (30)."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.recoveryWindowInDays) || self.recoveryWindowInDays == 0 || self.recoveryWindowInDays >= 7",
            "recoveryWindowInDays has to be 7 to 30, or 0 for AWS's default",
        ),
        Rule(
            "!(has(self.forceDeleteWithoutRecovery) && self.forceDeleteWithoutRecovery && has(self.recoveryWindowInDays)"
            " && self.recoveryWindowInDays > 0)",
            "forceDeleteWithoutRecovery and recoveryWindowInDays exclude each other",
        ),
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if 0 < self.recovery_window_in_days < 7:
            raise ValueError("recoveryWindowInDays has to be 7 to 30, or 0 for AWS's default")
        if self.force_delete_without_recovery and self.recovery_window_in_days:
            raise ValueError("forceDeleteWithoutRecovery and recoveryWindowInDays exclude each other")
        return self

    def parameters(self) -> dict[str, Any]:
        """Parameters of DeleteSecret."""
        if self.force_delete_without_recovery:
            return {"ForceDeleteWithoutRecovery": True}
        return {"RecoveryWindowInDays": self.recovery_window_in_days} if self.recovery_window_in_days else {}


class AWSSecretManagerSpec(AwsStoreSpec):
    """Secrets of AWS Secrets Manager in one region."""

    kind: ClassVar[str] = "AWSSecretManager"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias(ALIAS_GROUP, "SecretsManager"),)

    secrets_manager: Deletion = Field(default_factory=Deletion, description="How a pushed secret is deleted.")


class AWSParameterStoreSpec(AwsStoreSpec):
    """Parameters of AWS Systems Manager Parameter Store in one region."""

    kind: ClassVar[str] = "AWSParameterStore"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias(ALIAS_GROUP, "ParameterStore"),)


class ECRAuthorizationTokenSpec(Spec):
    """A token to log in to an Amazon ECR registry, valid for 12 hours."""

    kind: ClassVar[str] = "ECRAuthorizationToken"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias(GENERATOR_ALIAS_GROUP, "ECRAuthorizationToken"),)

    region: Region = Field(description="AWS region of the registry (us-east-1 for public ones).")
    auth: AwsAuth | None = Field(None, description="Where the first credentials come from.")
    role: RoleArn | None = Field(None, description="ARN of a role to assume first.")
    scope: str = Field("", description="`public` asks ECR Public; everything else a private registry.")


class SessionRequest(Block):
    """What to ask of GetSessionToken."""

    session_duration: int | None = Field(
        None, ge=900, le=129600, description="Life of the session in seconds."
    )
    serial_number: str | None = Field(
        None, min_length=9, max_length=256, description="Serial number or ARN of an MFA device."
    )
    token_code: str | None = Field(
        None, pattern=r"^[0-9]{6}$", description="Current code of that device: good for one call only."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.serialNumber) == has(self.tokenCode)", "serialNumber and tokenCode belong together"),
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.serial_number is None) != (self.token_code is None):
            raise ValueError("serialNumber and tokenCode belong together")
        return self


class STSSessionTokenSpec(Spec):
    """Temporary credentials of an IAM user, from STS GetSessionToken."""

    kind: ClassVar[str] = "STSSessionToken"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias(GENERATOR_ALIAS_GROUP, "STSSessionToken"),)

    region: Region = Field(description="AWS region whose STS is asked.")
    auth: StaticAuth | None = Field(
        None, description="The user's keys; GetSessionToken can't be used with a ServiceAccount."
    )
    role: RoleArn | None = Field(
        None,
        description="ARN of a role to assume first. AWS refuses GetSessionToken to most sessions of roles.",
    )
    request_parameters: SessionRequest = Field(
        default_factory=SessionRequest, description="What to ask of GetSessionToken."
    )
