"""Logging in to Vault by AWS IAM: Vault passes a signed GetCallerIdentity on to AWS, and believes the answer.

The request is signed in memory for one login. Nothing is put into the process environment: other stores, and every
client that uses the default chain, would see those credentials. The provider's own pod identity is used only where it
was given on purpose (IRSA, Pod Identity); the node's instance role never is.

botocore is imported at the first login, so that a provider without such stores neither needs nor loads it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

from provider_vault._login import Login, login_path
from provider_vault._paths import VaultPath, quote_segment

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
ENDPOINT_VARIABLE = "AWS_STS_ENDPOINT"
"""The STS that gives credentials, as for the AWS stores. Which STS checks the login is Vault's own configuration."""
SESSION_NAME = "external-secrets-provider-vault"


class AwsSecretRef(Block):
    """Access keys in Secrets."""

    access_key_id_secret_ref: SecretKeySelector = Field(
        alias="accessKeyIDSecretRef", description="Access key ID."
    )
    secret_access_key_secret_ref: SecretKeySelector = Field(description="Secret access key.")
    session_token_secret_ref: SecretKeySelector | None = Field(
        None, description="Session token of temporary keys."
    )


class AwsJwt(Block):
    """A ServiceAccount with an IAM role (IRSA)."""

    service_account_ref: ServiceAccountSelector = Field(description="The annotated ServiceAccount.")


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """AWS credentials of one moment."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class IamAuth(Block):
    """AWS IAM: proves an AWS identity by a signed request."""

    path: VaultPath = Field("aws", description="Mount of the auth method.")
    region: str = Field(
        "us-east-1", pattern=r"^[a-z0-9-]{1,50}$", description="Region of the STS that is asked."
    )
    role: str | None = Field(None, description="ARN of an AWS role to assume first.")
    external_id: str | None = Field(None, alias="externalID", description="External ID for that role.")
    vault_role: str = Field(min_length=1, description="Vault's role.")
    vault_aws_iam_server_id: str | None = Field(
        None, alias="vaultAwsIamServerID", description="Value of the X-Vault-AWS-IAM-Server-ID header."
    )
    secret_ref: AwsSecretRef | None = Field(None, description="Access keys in Secrets.")
    jwt: AwsJwt | None = Field(None, description="A ServiceAccount with an IAM role; wins over secretRef.")

    def prepare(self, auth: AuthResolver, /) -> Login:
        """Where the keys come from; they are fetched and used at each login."""
        keys, identity = self._source(auth)

        def body(_: str) -> Mapping[str, str]:
            first = keys()
            return self.signed(self._assume(first) if self.role else first)

        who = (self.vault_role, self.vault_aws_iam_server_id or "", self.region, self.role or "")
        return Login(login_path(self.path), body, (*who, self.external_id or "", *identity), "AWS IAM")

    def signed(self, keys: AwsKeys) -> Mapping[str, str]:
        """The login's body: a GetCallerIdentity request signed with `keys`."""
        aws = _botocore()
        host = sts_host(self.region)
        content = "Action=GetCallerIdentity&Version=2011-06-15"
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Host": host}
        if self.vault_aws_iam_server_id:
            headers["X-Vault-AWS-IAM-Server-ID"] = self.vault_aws_iam_server_id
        request = aws.awsrequest.AWSRequest(
            method="POST", url=f"https://{host}/", data=content, headers=headers
        )
        credentials = aws.credentials.Credentials(keys.access_key, keys.secret_key, keys.token)
        aws.auth.SigV4Auth(credentials, "sts", self.region).add_auth(request)
        signed = {name: [value] for name, value in request.headers.items()}
        return {
            "role": self.vault_role,
            "iam_http_request_method": "POST",
            "iam_request_url": _base64(f"https://{host}/"),
            "iam_request_body": _base64(content),
            "iam_request_headers": _base64(json.dumps(signed)),
        }

    def _source(self, auth: AuthResolver) -> tuple[Callable[[], AwsKeys], tuple[str, ...]]:
        if self.jwt is not None:
            return self._web_identity(auth, self.jwt.service_account_ref)
        if (ref := self.secret_ref) is not None:
            token_ref = ref.session_token_secret_ref
            fixed = AwsKeys(
                auth.secret_text(ref.access_key_id_secret_ref, strip=True),
                auth.secret_text(ref.secret_access_key_secret_ref, strip=True),
                auth.secret_text(token_ref, strip=True) if token_ref is not None else None,
            )
            return lambda: fixed, (fixed.access_key, fixed.secret_key, fixed.token or "")
        return self._pod_keys, ("pod",)

    def _web_identity(
        self, auth: AuthResolver, selector: ServiceAccountSelector
    ) -> tuple[Callable[[], AwsKeys], tuple[str, ...]]:
        account = auth.service_account(selector)
        role = account.annotations.get(ROLE_ANNOTATION)
        if not role:
            raise InvalidSpecError(
                f"spec.auth.iam.jwt: ServiceAccount {account.name!r} in namespace {account.namespace!r} has no annotation"
                f" {ROLE_ANNOTATION}"
            )
        audience = account.annotations.get(AUDIENCE_ANNOTATION) or "sts.amazonaws.com"

        def keys() -> AwsKeys:
            return self._by_token(role, auth.service_account_token(selector, audiences=(audience,)).value)

        return keys, (account.namespace, account.name, account.uid, role, audience, *selector.audiences)

    def _by_token(self, role: str, token: str) -> AwsKeys:
        names = {"RoleArn": role, "RoleSessionName": SESSION_NAME}
        return self._sts(None, "assume_role_with_web_identity", WebIdentityToken=token, **names)

    def _pod_keys(self) -> AwsKeys:
        """The keys of the provider's own pod, where it was given a role on purpose. Not botocore's chain: that goes on to the
        environment's keys, to files, and to the node.
        """
        token_file, role = os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"), os.environ.get("AWS_ROLE_ARN")
        if token_file and role:
            try:
                return self._by_token(role, Path(token_file).read_text().strip())
            except OSError:
                raise CredentialsError(
                    "The file that AWS_WEB_IDENTITY_TOKEN_FILE names can't be read"
                ) from None
        if os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return _container_keys()
        raise CredentialsError(
            "auth.iam names neither jwt nor secretRef, and the provider's pod has no AWS role of its own (IRSA or Pod"
            " Identity): name one of them"
        )

    def _assume(self, keys: AwsKeys) -> AwsKeys:
        more = {"ExternalId": self.external_id} if self.external_id else {}
        return self._sts(keys, "assume_role", RoleArn=self.role, RoleSessionName=SESSION_NAME, **more)

    def _sts(self, keys: AwsKeys | None, operation: str, **parameters: Any) -> AwsKeys:
        aws = _botocore()
        seconds = min(remaining(), 20.0)
        config = aws.config.Config(
            connect_timeout=min(seconds, 5.0),
            read_timeout=seconds,
            retries={"total_max_attempts": 2, "mode": "standard"},
            signature_version=aws.UNSIGNED if keys is None else None,
        )
        # Neither a profile nor ~/.aws: they are nobody's who wrote a store.
        session = aws.session.Session(session_vars={"profile": (None, None, None, None)})
        session.set_config_variable("config_file", os.devnull)
        session.set_config_variable("credentials_file", os.devnull)
        client = session.create_client(
            "sts",
            region_name=self.region,
            endpoint_url=os.environ.get(ENDPOINT_VARIABLE) or None,
            config=config,
            aws_access_key_id=keys.access_key if keys else None,
            aws_secret_access_key=keys.secret_key if keys else None,
            aws_session_token=keys.token if keys else None,
        )
        try:
            found = getattr(client, operation)(**parameters)["Credentials"]
        except aws.exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in {"Throttling", "ThrottlingException", "RequestLimitExceeded"} or code.startswith("5"):
                raise TemporaryError(f"AWS STS asks to try again later ({code})") from None
            raise CredentialsError(
                f"AWS STS refuses {parameters['RoleArn']!r} ({code or 'no code'}): check the role's trust policy"
            ) from None
        except aws.exceptions.ParamValidationError:
            raise InvalidSpecError(
                "spec.auth.iam: AWS STS can't take role or externalID: check the ARN, and that the ID has 2 characters"
                " at least"
            ) from None
        except aws.exceptions.BotoCoreError as error:
            raise TemporaryError(
                f"AWS STS can't be asked for {parameters['RoleArn']!r}: {type(error).__name__}"
            ) from None
        finally:
            client.close()
        return AwsKeys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def _container_keys() -> AwsKeys:
    aws = _botocore()
    try:
        keys = aws.credentials.ContainerProvider().load().get_frozen_credentials()
    except (aws.exceptions.BotoCoreError, OSError, ValueError) as error:
        raise TemporaryError(f"The pod's AWS credentials can't be had: {type(error).__name__}") from None
    return AwsKeys(keys.access_key, keys.secret_key, keys.token)


def sts_host(region: str) -> str:
    """The STS that the signature is made for. Vault's default configuration asks the global one."""
    if region == "us-east-1":
        return "sts.amazonaws.com"
    return f"sts.{quote_segment(region)}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _botocore() -> Any:
    try:
        import botocore
        import botocore.auth
        import botocore.awsrequest
        import botocore.config
        import botocore.credentials
        import botocore.exceptions
        import botocore.session
    except ImportError:
        raise UnsupportedError("auth.iam needs botocore: install provider-vault[iam]") from None
    return botocore
