"""GKE workload identity: a Kubernetes ServiceAccount's token becomes a Google token, and that of a Google service account
where the ServiceAccount is annotated with one.
"""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from provider_common import Block, Context, CredentialsError, Field, ServiceAccountSelector

from provider_gcp import _metadata
from provider_gcp._names import ProjectID
from provider_gcp._tokens import Identity, Token

ANNOTATION = "iam.gke.io/gcp-service-account"
TOKEN_SECONDS = 900
"""Lifetime of the Kubernetes token."""
BINDING_URL = "https://securetoken.googleapis.com/v1/identitybindingtoken"


class WorkloadIdentity(Block):
    """GKE workload identity."""

    service_account_ref: ServiceAccountSelector = Field(description="Whose identity is used.")
    cluster_project_id: ProjectID | None = Field(
        None, alias="clusterProjectID", description="Project of the cluster. Without it: projectID."
    )
    cluster_location: str | None = Field(None, description="Without it the metadata server is asked.")
    cluster_name: str | None = Field(None, description="Without it the metadata server is asked.")

    def prepare(self, ctx: Context[Any], project: str, /) -> Identity:
        """The ServiceAccount and where its cluster is."""
        account = ctx.auth.service_account(self.service_account_ref)
        email = account.annotations.get(ANNOTATION, "")
        project = self.cluster_project_id or project
        location = self.cluster_location or _metadata.cluster_location(ctx)
        name = self.cluster_name or _metadata.cluster_name(ctx)
        pool = f"{project}.svc.id.goog"
        cluster = (
            f"https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{name}"
        )
        audiences = self.service_account_ref.audiences
        key = ("gke", account.namespace, account.name, account.uid, pool, cluster, *audiences, email)

        def fetch() -> Token:
            with ctx.api_call("GCP/SecretManager", "GenerateServiceAccountToken"):
                subject = ctx.auth.service_account_token(
                    self.service_account_ref, audiences=(pool,), expiration_seconds=TOKEN_SECONDS
                )
            token = _bind(ctx, subject.value, f"identitynamespace:{pool}:{cluster}")
            return impersonate(ctx, token, email) if email else token

        return Identity(key, fetch)


class GeneratorWorkloadIdentity(WorkloadIdentity):
    """GKE workload identity."""

    cluster_location: str = Field(description="Location of the cluster.")
    cluster_name: str = Field(description="Name of the cluster.")


def _bind(ctx: Context[Any], subject: str, audience: str) -> Token:
    obtained = time.time()
    answer = _post(
        ctx,
        BINDING_URL,
        {
            "audience": audience,
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "subject_token": subject,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        },
        hint="check that workload identity is on, and clusterProjectID, clusterLocation, clusterName",
    )
    token, life = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token:
        raise CredentialsError("securetoken.googleapis.com gives no access token")
    # The binding token lives no longer than the ServiceAccount's token it was made from.
    seconds = float(life) if isinstance(life, int | float | str) and str(life).isdecimal() else TOKEN_SECONDS
    return Token(token, obtained, obtained + seconds)


def impersonate(ctx: Context[Any], token: Token, email: str) -> Token:
    """A token of the Google service account `email`, which `token` is allowed to act as."""
    obtained = time.time()
    answer = _post(
        ctx,
        f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{quote(email, safe='@')}:generateAccessToken",
        {"scope": ["https://www.googleapis.com/auth/cloud-platform"]},
        token=token.value,
        hint=f"grant roles/iam.workloadIdentityUser on {email} to the Kubernetes ServiceAccount",
    )
    value, end = answer.get("accessToken"), answer.get("expireTime")
    if not isinstance(value, str) or not value:
        raise CredentialsError("iamcredentials.googleapis.com gives no access token")
    try:
        expires = float(calendar.timegm(time.strptime(str(end)[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        expires = obtained + TOKEN_SECONDS
    return Token(value, obtained, expires)


def _post(
    ctx: Context[Any], url: str, body: Mapping[str, Any], *, hint: str, token: str = ""
) -> Mapping[str, Any]:
    from provider_gcp._http import Http

    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    host = url.split("/")[2]
    answer = Http(ctx)(url, method="POST", body=json.dumps(body), headers=headers)
    if answer.status != 200:
        raise CredentialsError(f"{host} answers {answer.status}: {hint}")
    try:
        content = json.loads(answer.data)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise CredentialsError(f"{host} answers something that is not JSON")
    return content
