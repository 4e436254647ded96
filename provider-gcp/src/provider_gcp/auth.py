"""The ways to log in to Google Cloud: one small model each, under `GcpAuth`.

A method reads its credentials once per open store (that is how the SDK notices that one changed) and turns them into an
`Identity`: what a token depends on, and how a new one is fetched. When that happens the token manager decides.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any, ClassVar, Protocol

from provider_common import (
    Block,
    Context,
    CredentialsError,
    Field,
    InvalidSpecError,
    OneOf,
    SecretKeySelector,
)
from provider_common.context import held

from provider_gcp._names import is_project
from provider_gcp._tokens import Identity, Token, digest
from provider_gcp.auth_federation import WorkloadIdentityFederation
from provider_gcp.auth_workload import GeneratorWorkloadIdentity, WorkloadIdentity

_TOKEN_URI = re.compile(r"https://(accounts\.google\.com|[a-z0-9-]+(\.[a-z0-9-]+)*\.googleapis\.com)(:443)?/")


class Method(Protocol):
    """One way to log in."""

    def prepare(self, ctx: Context[Any], project: str, /) -> Identity:
        """Read what is needed; `project` is where the cluster is when the method itself does not say."""


class SecretRef(Block):
    """A service account's key (JSON) in a Secret."""

    secret_access_key_secret_ref: SecretKeySelector = Field(
        description="The key file, as Google hands it out."
    )

    def prepare(self, ctx: Context[Any], _project: str, /) -> Identity:
        """The key."""
        from provider_gcp import _google
        from provider_gcp._http import Http

        field = "spec.auth.secretRef.secretAccessKeySecretRef"
        content = ctx.auth.secret_text(self.secret_access_key_secret_ref)
        info = parse_key(content, field=field)
        credentials = _google.service_account(info, field=field)
        http = Http(ctx)
        return Identity(
            ("key", digest(content)),
            lambda: _google.fetch(credentials, http, what=f"the key of {info['client_email']}"),
            str(info.get("quota_project_id") or ""),
        )


class DefaultCredentials:
    """Application Default Credentials: what the provider itself runs with."""

    def prepare(self, ctx: Context[Any], _project: str, /) -> Identity:
        """The credentials that google-auth finds; looked for once per provider."""
        from google.auth import default, exceptions

        from provider_gcp import _google
        from provider_gcp._http import Http

        def find() -> tuple[Any, threading.Lock]:
            try:
                found, _ = default(scopes=[_google.SCOPE], request=Http(ctx, looking=True))
            except exceptions.DefaultCredentialsError:
                raise CredentialsError(
                    "The provider has no Application Default Credentials: name a method under auth, or run it with"
                    " workload identity or GOOGLE_APPLICATION_CREDENTIALS"
                ) from None
            except (exceptions.GoogleAuthError, ValueError, OSError) as error:
                raise CredentialsError(
                    f"The provider's Application Default Credentials can't be used ({type(error).__name__})"
                ) from None
            return found, threading.Lock()

        credentials, lock = ctx.shared("gcp-default-credentials", find)
        http = Http(ctx)

        def fetch() -> Token:
            # google-auth writes token and end into the object, one after the other.
            with held(lock, busy="Another call's request for an access token does not come to an end"):
                return _google.fetch(credentials, http, what="the provider's Application Default Credentials")

        return Identity(("default",), fetch, str(getattr(credentials, "quota_project_id", None) or ""))


class GcpAuth(OneOf):
    """How a store logs in: at most one of the methods."""

    required: ClassVar[bool] = False

    secret_ref: SecretRef | None = Field(None, description="A service account's key.")
    workload_identity: WorkloadIdentity | None = Field(None, description="GKE workload identity.")
    workload_identity_federation: WorkloadIdentityFederation | None = Field(
        None, description="Workload identity federation: Kubernetes, AWS or others."
    )

    def method(self) -> Method:
        """The one that is given, else the default credentials."""
        chosen: Method | None = self.chosen
        return chosen or DefaultCredentials()


class GcrAuth(GcpAuth):
    """How a generator logs in: at most one of the methods."""

    workload_identity: GeneratorWorkloadIdentity | None = Field(None, description="GKE workload identity.")


def parse_key(content: str, *, field: str) -> dict[str, Any]:
    """A service account's key. Raises InvalidSpecError naming `field`."""
    try:
        info = json.loads(content)
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise InvalidSpecError(
            f"{field}: the Secret's key holds no service account key (JSON with type: service_account)"
        )
    missing = [
        name for name in ("client_email", "private_key", "token_uri") if not isinstance(info.get(name), str)
    ]
    if missing:
        raise InvalidSpecError(f"{field}: the service account key lacks {', '.join(missing)}")
    if not _TOKEN_URI.match(info["token_uri"]):
        raise InvalidSpecError(f"{field}: token_uri of the service account key is no address of Google's")
    if info.get("quota_project_id") and not is_project(info["quota_project_id"]):
        raise InvalidSpecError(f"{field}: quota_project_id of the service account key is no project")
    return info
