"""Workload identity federation: a token of Kubernetes, AWS or another issuer becomes a Google token at STS.

The settings may come from a ConfigMap that an ordinary user writes (Google's external_account JSON), and they say which
addresses the provider asks and which files it reads. So every address has to be Google's own, or one that the manifest
itself repeats; nothing is ever run; and the provider's own ServiceAccount token is never handed over. All problems are
reported at once (`_external_account` finds them).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from provider_common import (
    Block,
    ConfigMapKeySelector,
    Context,
    CredentialsError,
    Field,
    InvalidSpecError,
    MissingReferenceError,
    OneOf,
    Rule,
    Selector,
    ServiceAccountSelector,
)
from pydantic import StringConstraints, model_validator

from provider_gcp import _external_account as external
from provider_gcp._tokens import Identity, digest
from provider_gcp.auth_workload import ANNOTATION, TOKEN_SECONDS

FIELD = "spec.auth.workloadIdentityFederation"
UNIVERSE = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
"""Google's name for the variable that says which cloud of Google's the provider is in."""


class AwsSecurityCredentials(Block):
    """AWS access keys in a Secret: `aws_access_key_id`, `aws_secret_access_key`, and `aws_session_token` if there is one."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=50)] = Field(
        description="AWS region whose STS vouches for the keys."
    )
    aws_credentials_secret_ref: Selector = Field(description="The Secret with the keys.")


class WorkloadIdentityFederation(OneOf):
    """Workload identity federation. Exactly one source of the token that Google is shown."""

    shared: ClassVar[frozenset[str]] = frozenset(
        {"audience", "external_token_endpoint", "gcp_service_account_email"}
    )

    cred_config: ConfigMapKeySelector | None = Field(
        None, description="A ConfigMap with Google's external_account JSON."
    )
    service_account_ref: ServiceAccountSelector | None = Field(
        None, description="A Kubernetes ServiceAccount whose token is shown."
    )
    aws_security_credentials: AwsSecurityCredentials | None = Field(None, description="AWS keys.")
    audience: str | None = Field(
        None,
        min_length=1,
        description="The workload identity provider,"
        " //iam.googleapis.com/projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>.",
    )
    external_token_endpoint: str | None = Field(
        None, description="Has to repeat credential_source.url of the JSON, which is asked for tokens."
    )
    gcp_service_account_email: (
        Annotated[str, StringConstraints(pattern=r"^[^@/:\s]+@[^@/:\s]+\.iam\.gserviceaccount\.com$")] | None
    ) = Field(None, description="Google service account to act as; wins over all other sources of it.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.credConfig) || has(self.audience)",
            "audience has to be given with serviceAccountRef and awsSecurityCredentials",
        ),
    )

    @model_validator(mode="after")
    def _an_audience(self) -> Self:
        if self.cred_config is None and not self.audience:
            raise ValueError("audience has to be given with serviceAccountRef and awsSecurityCredentials")
        return self

    def prepare(self, ctx: Context[Any], _project: str, /) -> Identity:
        """The settings, checked, and where the token comes from."""
        from provider_gcp import _google
        from provider_gcp._http import Http

        config = self._config(ctx)
        if self.audience:
            config["audience"] = self.audience
        supplier: Any = None
        who: tuple[str, ...] = ()
        if self.service_account_ref is not None:
            account = ctx.auth.service_account(self.service_account_ref)
            if email := account.annotations.get(ANNOTATION):
                config["service_account_impersonation_url"] = external.impersonation_url(email)
            # Google accepts this one by default.
            audiences = self.service_account_ref.audiences or (f"https:{config['audience']}",)
            who = (account.namespace, account.name, account.uid, *audiences)
            supplier = self._kubernetes(ctx, self.service_account_ref, audiences)
        if self.aws_security_credentials is not None:
            keys = _aws_keys(ctx, self.aws_security_credentials)
            config.setdefault("subject_token_type", external.AWS_TOKEN)
            who = (digest(*keys), self.aws_security_credentials.region)
            supplier = _google.AwsKeys(keys, self.aws_security_credentials.region)
        if self.gcp_service_account_email is not None:
            config["service_account_impersonation_url"] = external.impersonation_url(
                self.gcp_service_account_email
            )
        checked, problems = external.check(
            config,
            own_source=supplier is not None,
            token_endpoint=self.external_token_endpoint,
            universe=os.environ.get(UNIVERSE) or "googleapis.com",
        )
        if problems:
            raise InvalidSpecError(f"{FIELD}: " + "; ".join(problems))
        credentials, http = _google.federated(checked, supplier), Http(ctx)
        return Identity(
            ("federation", digest(json.dumps(checked, sort_keys=True)), *who),
            lambda: _google.fetch(credentials, http, what="the workload identity that is federated"),
            str(checked.get("quota_project_id") or ""),
        )

    def _config(self, ctx: Context[Any]) -> dict[str, Any]:
        if self.cred_config is None:
            return {"type": external.TYPE}
        content = ctx.auth.config_map_key(self.cred_config)
        try:
            config = json.loads(content)
        except (ValueError, RecursionError):
            config = None
        if not isinstance(config, dict):
            raise InvalidSpecError(f"{FIELD}.credConfig: the ConfigMap's key holds no JSON object")
        return config

    @staticmethod
    def _kubernetes(ctx: Context[Any], account: ServiceAccountSelector, audiences: tuple[str, ...]) -> Any:
        from provider_gcp._google import KubernetesToken

        def token() -> str:
            with ctx.api_call("GCP/SecretManager", "GenerateServiceAccountToken"):
                issued = ctx.auth.service_account_token(
                    account, audiences=audiences, expiration_seconds=TOKEN_SECONDS
                )
            return issued.value

        return KubernetesToken(token)


def _aws_keys(ctx: Context[Any], source: AwsSecurityCredentials) -> tuple[str, str, str]:
    data: Mapping[str, Any] = ctx.auth.secret(source.aws_credentials_secret_ref)
    field = f"{FIELD}.awsSecurityCredentials.awsCredentialsSecretRef"
    missing = [name for name in ("aws_access_key_id", "aws_secret_access_key") if not data.get(name)]
    if missing:
        raise MissingReferenceError(
            f"{field}: Secret {source.aws_credentials_secret_ref.name!r} lacks {', '.join(missing)}"
        )
    try:
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        key, secret, session = (bytes(data.get(name, b"")).decode().strip() for name in names)
    except UnicodeDecodeError:
        raise CredentialsError(f"{field}: the AWS keys are not UTF-8 text") from None
    return key, secret, session
