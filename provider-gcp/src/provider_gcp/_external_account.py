"""What an external_account JSON may say, checked before anything in it is used. Nothing is opened, nobody is asked."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from typing import Any

from provider_gcp._names import is_project

TYPE = "external_account"
JWT_TOKEN = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - the name of a type
AWS_TOKEN = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105
OWN_TOKENS = ("/var/run/secrets/kubernetes.io/serviceaccount", "/run/secrets/kubernetes.io/serviceaccount")
"""Where the provider's own ServiceAccount token is: what it may do is not the store's to have."""

IMDS_HOSTS = ("metadata.google.internal", "169.254.169.254", "[fd00:ec2::254]")
_AWS_URLS = {
    "url": "/latest/meta-data/iam/security-credentials",
    "region_url": "/latest/meta-data/placement/availability-zone",
    "imdsv2_session_token_url": "/latest/api/token",
}
_WEB = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?([/?]|\Z)", re.IGNORECASE)
_IMPERSONATION = re.compile(
    r"https://iamcredentials(\.[a-z0-9-]+)*\.googleapis\.com/v1/projects/-/serviceAccounts/"
    r"[^/@:\s?#]+@[^/@:\s?#]+\.iam\.gserviceaccount\.com:generateAccessToken"
)


def impersonation_url(email: str) -> str:
    """Where a token of the service account `email` is had."""
    return f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken"


def check(
    config: Mapping[str, Any], *, own_source: bool, token_endpoint: str | None, universe: str
) -> tuple[dict[str, Any], list[str]]:
    """The settings with defaults filled in, and everything that is wrong with them.

    `own_source` is true when the manifest names the source of the token, `token_endpoint` is what it says about the
    address of one. `universe` is the provider's own, and no other is accepted: its STS is who gets the token.
    """
    checked, problems = dict(config), list[str]()
    if config.get("type") != TYPE:
        problems.append(f"type has to be {TYPE}")
    source = _source(config, problems) if not own_source else None
    is_aws = source is not None and str(source.get("environment_id", "")).lower().startswith("aws")
    if source is not None:
        problems += _aws(source) if is_aws else _file_or_url(source, token_endpoint)
    checked["credential_source"] = source
    checked.setdefault("subject_token_type", AWS_TOKEN if is_aws else JWT_TOKEN)
    if not config.get("audience") or not isinstance(config["audience"], str):
        problems.append("audience has to be given")
    checked["universe_domain"] = config.get("universe_domain") or universe
    if checked["universe_domain"] != universe:
        problems.append(f"universe_domain has to be {universe}, which the provider is in")
    for name, path in (("token_url", "/v1/token"), ("token_info_url", "/v1/introspect")):
        wanted = f"https://sts.{universe}{path}"
        if checked.setdefault(name, wanted) != wanted:
            problems.append(f"{name} has to be {wanted}")
    url = config.get("service_account_impersonation_url")
    if url and not (isinstance(url, str) and _IMPERSONATION.fullmatch(url)):
        problems.append(
            "service_account_impersonation_url has to be a generateAccessToken URL of iamcredentials.googleapis.com"
            " for an account of iam.gserviceaccount.com"
        )
    if config.get("quota_project_id") and not is_project(config["quota_project_id"]):
        problems.append("quota_project_id is no project")
    return checked, problems


def _source(config: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any] | None:
    source = config.get("credential_source")
    if isinstance(source, Mapping) and _is_path(source.get("file")) and _is_own_token(source["file"]):
        source = None
        problems.append(
            "credential_source.file is the provider's own ServiceAccount token, which is not handed over:"
            " use serviceAccountRef"
        )
    elif not isinstance(source, Mapping) or not source:
        source = None
        problems.append("credential_source has to be given")
    return source


def _is_path(file: object) -> bool:
    return isinstance(file, str) and file.isprintable()


def _is_own_token(path: str) -> bool:
    real = os.path.realpath(path)
    folders = {*OWN_TOKENS, *(os.path.realpath(folder) for folder in OWN_TOKENS)}
    return any(os.path.normpath(p).startswith(f"{folder}/") for p in (path, real) for folder in folders)


def _file_or_url(source: Mapping[str, Any], token_endpoint: str | None) -> list[str]:
    problems = [
        f"credential_source.{name} is not allowed"
        for name in ("executable", "certificate")
        if source.get(name) is not None
    ]
    file, url = source.get("file"), source.get("url")
    if not problems and (file is None) == (url is None):
        problems.append("credential_source has to have one of file and url")
    if file is not None and not _is_path(file):
        problems.append("credential_source.file has to be a path")
    if url is not None and (not isinstance(url, str) or url != token_endpoint):
        problems.append("externalTokenEndpoint has to repeat credential_source.url")
    elif url is not None and not _WEB.match(url):
        problems.append("credential_source.url has to be an http or https address")
    return problems


def _aws(source: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, path in _AWS_URLS.items():
        url = source.get(name)
        if url is None and name == "imdsv2_session_token_url":
            continue
        if not isinstance(url, str) or url not in {f"http://{host}{path}" for host in IMDS_HOSTS}:
            problems.append(
                f"credential_source.{name} has to be {path} of an instance metadata server, by http"
            )
    if source.get("executable") is not None:
        problems.append("credential_source.executable is not allowed")
    return problems
