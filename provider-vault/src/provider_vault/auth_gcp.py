"""Logging in to Vault by Google Cloud: a JWT that Google, or a service account's key, has signed.

Three sources: a service account's key in a Secret (signed here), GKE workload identity (signed by Google's IAM), and the
machine's own identity (an identity token of the metadata server). No source ends in the process environment.
google-auth is imported at the first login with a key, and only then needed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from provider_common import (
    AuthResolver,
    Block,
    CredentialsError,
    Field,
    InvalidSpecError,
    SecretKeySelector,
    ServiceAccountSelector,
    TemporaryError,
    UnsupportedError,
    remaining,
)
from requests.utils import get_environ_proxies

from provider_vault._login import Login, login_path
from provider_vault._paths import VaultPath
from provider_vault._session import bare_session

ACCOUNT_ANNOTATION = "iam.gke.io/gcp-service-account"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# Vault refuses a JWT that ends more than 15 minutes from now (its default `max_jwt_exp`), by a clock that may be behind ours.
LIFETIME = 600


class GcpSecretRef(Block):
    """A service account's key in a Secret."""

    secret_access_key_secret_ref: SecretKeySelector = Field(description="The key file (JSON).")


class GcpWorkloadIdentity(Block):
    """A Kubernetes ServiceAccount of a GKE cluster, bound to a Google service account."""

    service_account_ref: ServiceAccountSelector = Field(description="The annotated ServiceAccount.")
    cluster_project_id: str | None = Field(
        None, alias="clusterProjectID", description="Project of the cluster."
    )
    cluster_location: str | None = Field(None, description="Region or zone of the cluster.")
    cluster_name: str | None = Field(None, description="Name of the cluster.")


class GcpAuth(Block):
    """Google Cloud: a signed JWT of a service account, or of the machine."""

    path: VaultPath = Field("gcp", description="Mount of the auth method.")
    role: str = Field(min_length=1, description="Vault's role.")
    project_id: str | None = Field(
        None, alias="projectID", description="Project of the cluster, when not named below."
    )
    location: str | None = Field(None, description="Accepted, and not used.")
    secret_ref: GcpSecretRef | None = Field(None, description="A service account's key.")
    workload_identity: GcpWorkloadIdentity | None = Field(None, description="GKE workload identity.")
    service_account_ref: ServiceAccountSelector | None = Field(
        None,
        description="Accepted; the login is then made with the machine's identity, as without any source.",
    )

    def prepare(self, auth: AuthResolver, /) -> Login:
        """Where the JWT comes from; it is made at each login."""
        token, identity = self._source(auth)
        return Login(
            login_path(self.path),
            lambda server: {"role": self.role, "jwt": token(server)},
            (self.role, *identity),
            "Google Cloud",
        )

    def _source(self, auth: AuthResolver) -> tuple[Callable[[str], str], tuple[str, ...]]:
        if self.secret_ref is not None:
            content = auth.secret_text(self.secret_ref.secret_access_key_secret_ref)
            info = _key_file(content)
            return lambda _: self._signed_here(info), (content,)
        if (workload := self.workload_identity) is not None:
            account = auth.service_account(workload.service_account_ref)
            email = account.annotations.get(ACCOUNT_ANNOTATION)
            if not email:
                raise InvalidSpecError(
                    f"spec.auth.gcp.workloadIdentity: ServiceAccount {account.name!r} in namespace"
                    f" {account.namespace!r} has no annotation {ACCOUNT_ANNOTATION}: Vault wants a service account's JWT"
                )
            cluster = (workload.cluster_project_id or self.project_id, workload.cluster_location)
            names = (part or "" for part in (*cluster, workload.cluster_name))
            who = (account.namespace, account.name, account.uid, email, *names)
            return lambda _: self._signed_by_google(auth, workload, email), who
        return self._machine, ("machine",)

    def _machine(self, server: str) -> str:
        audience = f"{server.rstrip('/')}/vault/{self.role}"
        return metadata("instance/service-accounts/default/identity", audience=audience, format="full")

    def claims(self, email: str) -> dict[str, Any]:
        """What Vault's `iam` role type checks."""
        return {"sub": email, "aud": f"vault/{self.role}", "exp": int(time.time()) + LIFETIME}

    def _signed_here(self, info: Mapping[str, Any]) -> str:
        try:
            import google.auth.crypt
            import google.auth.jwt
        except ImportError:
            raise UnsupportedError(
                "auth.gcp.secretRef needs google-auth: install provider-vault[gcp]"
            ) from None
        library: Any = google.auth
        try:
            signer = library.crypt.RSASigner.from_service_account_info(info)
        except ValueError:
            raise InvalidSpecError(
                "spec.auth.gcp.secretRef: the key file holds no private key that can be read"
            ) from None
        return str(library.jwt.encode(signer, self.claims(str(info["client_email"]))).decode())

    def _signed_by_google(self, auth: AuthResolver, workload: GcpWorkloadIdentity, email: str) -> str:
        project = workload.cluster_project_id or self.project_id or metadata("project/project-id")
        location = workload.cluster_location or metadata("instance/attributes/cluster-location")
        cluster = workload.cluster_name or metadata("instance/attributes/cluster-name")
        pool = f"{project}.svc.id.goog"
        issuer = (
            f"https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{cluster}"
        )
        subject = auth.service_account_token(
            workload.service_account_ref, audiences=(pool,), expiration_seconds=900
        )
        binding = _post(
            "https://securetoken.googleapis.com/v1/identitybindingtoken",
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "subject_token": subject.value,
                "audience": f"identitynamespace:{pool}:{issuer}",
                "scope": SCOPE,
            },
        )["access_token"]
        account = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}"
        access = _post(f"{account}:generateAccessToken", {"scope": [SCOPE]}, token=str(binding))[
            "accessToken"
        ]
        signed = _post(f"{account}:signJwt", {"payload": json.dumps(self.claims(email))}, token=str(access))
        return str(signed["signedJwt"])


def _key_file(content: str) -> Mapping[str, Any]:
    try:
        info = json.loads(content)
    except ValueError:
        info = None
    if not isinstance(info, dict) or not isinstance(info.get("client_email"), str):
        raise InvalidSpecError(
            "spec.auth.gcp.secretRef: the Secret's key holds no service account key file (JSON)"
        )
    return info


def metadata(path: str, **query: str) -> str:
    """One text of the machine's metadata server."""
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    url = f"http://{host}/computeMetadata/v1/{path}"
    # Through no proxy: it is on this machine, and what it answers is a credential.
    try:
        with bare_session() as session:
            answer = session.get(
                url,
                params=query,
                headers={"Metadata-Flavor": "Google"},
                timeout=min(remaining(), 5.0),
                allow_redirects=False,
            )
    except requests.RequestException as error:
        raise TemporaryError(
            f"Google's metadata server can't be asked for {path} ({type(error).__name__}): outside Google Cloud, give"
            " auth.gcp.secretRef"
        ) from None
    if answer.status_code != 200:
        raise CredentialsError(f"Google's metadata server answers {answer.status_code} for {path}")
    return answer.text.strip()


def _post(url: str, body: Mapping[str, Any], *, token: str = "") -> Mapping[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    host = url.split("/")[2]
    try:
        with bare_session() as session:
            answer = session.post(
                url,
                json=body,
                headers=headers,
                timeout=min(remaining(), 10.0),
                allow_redirects=False,
                proxies=get_environ_proxies(url),
            )
        content = answer.json() if answer.status_code == 200 else {}
    except (requests.RequestException, ValueError) as error:
        raise TemporaryError(f"{host} can't be asked: {type(error).__name__}") from None
    if answer.status_code == 429 or answer.status_code >= 500:
        raise TemporaryError(f"{host} answers {answer.status_code}")
    if answer.status_code != 200 or not isinstance(content, dict):
        raise CredentialsError(
            f"{host} answers {answer.status_code}: check the binding between the two service accounts"
        )
    return content
