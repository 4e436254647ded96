"""What a user writes for Google Cloud: the store `GCPSecretManager` and the generator `GCRAccessToken`.

Field names and defaults are those of the in-tree store, so a manifest moves over by taking its `gcpsm` block as the new
object's `spec`. What could only go wrong later is refused here.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from provider_common import Alias, Block, Column, Field, Rule, Spec
from pydantic import model_validator

from provider_gcp._names import Location, ProjectID
from provider_gcp.auth import GcpAuth, GcrAuth


class GCPSecretManagerSpec(Spec):
    """A project's secrets in Google Cloud Secret Manager, global or of one region."""

    kind: ClassVar[str] = "GCPSecretManager"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("provider.external-secrets.io/v2alpha1", "SecretManager"),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Project", ".spec.projectID"),
        Column("Location", ".spec.location"),
    )

    project_id: ProjectID | None = Field(
        None,
        alias="projectID",
        description="Project that owns the secrets. Without it: the cluster's project; needed with auth.secretRef.",
    )
    location: Location | None = Field(
        None,
        description="Location of regional secrets, for example europe-west3. Without it: global secrets.",
    )
    secret_version_selection_policy: Literal["LatestOrFail", "LatestOrFetch"] = Field(
        "LatestOrFail",
        description="What to do when the latest version is disabled or destroyed: fail, or take the newest enabled one.",
    )
    auth: GcpAuth = Field(
        default_factory=GcpAuth,
        description="How to log in; at most one method. Without one: Application Default Credentials.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.projectID) || !has(self.auth) || !has(self.auth.secretRef)",
            "projectID has to be given with auth.secretRef",
        ),
    )

    @model_validator(mode="after")
    def _a_project(self) -> Self:
        if self.project_id is None and self.auth.secret_ref is not None:
            raise ValueError("projectID has to be given with auth.secretRef")
        return self


class GCRAccessTokenSpec(Spec):
    """An access token for Artifact Registry and the older Container Registry."""

    kind: ClassVar[str] = "GCRAccessToken"
    aliases: ClassVar[tuple[Alias, ...]] = (
        Alias("generators.external-secrets.io/v1alpha1", "GCRAccessToken"),
    )
    columns: ClassVar[tuple[Column, ...]] = (Column("Project", ".spec.projectID"),)

    project_id: ProjectID = Field(
        alias="projectID", description="Project of the cluster, for workload identity."
    )
    auth: GcrAuth = Field(
        description="How to log in; at most one method. Without one: Application Default Credentials."
    )


class PushMetadata(Block):
    """`metadata.spec` of a PushSecret."""

    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    topics: tuple[str, ...] | None = None
    merge_policy: Literal["Replace", "Merge"] = "Replace"
    cmek_key_name: str = ""
    replication_locations: tuple[str, ...] = ()
    replication_location: str = ""
