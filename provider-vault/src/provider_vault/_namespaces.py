"""Whether a Vault has namespaces at all.

The open edition ignores the namespace header and answers from, or writes to, its only namespace with 200. A store that
names a namespace must therefore not talk to it: neither read another's secret nor write where nobody looks.
"""

from __future__ import annotations

from provider_common import AccessDeniedError, InvalidSpecError, TemporaryError

from provider_vault._http import VaultHttp

# OpenBao numbers its releases from 2; namespaces came with 2.3. Its health answer knows no `enterprise`.
_FIRST_OPENBAO_WITH_NAMESPACES = (2, 3)


def check_edition(http: VaultHttp) -> str:
    """Ask sys/health, and return the version of a server that has namespaces.

    Raises InvalidSpecError for one that has none, AccessDeniedError or TemporaryError when it can't be told.
    """
    answer = http.send("GET", "sys/health", params={"standbyok": "true", "perfstandbyok": "true"})
    body = answer.body or {}
    version = body.get("version")
    if not isinstance(version, str):
        if answer.status >= 500 or answer.status == 429:
            raise TemporaryError(
                f"{http.server} does not tell its edition (sys/health answers {answer.status})"
            )
        raise AccessDeniedError(
            f"{http.server} does not tell its edition (sys/health answers {answer.status}), and without that a"
            " namespace can't be used safely: let sys/health through"
        )
    if not has_namespaces(version, body.get("enterprise")):
        raise InvalidSpecError(
            f"spec.namespace: {http.server} is Vault {version} without namespaces, which would ignore it and use the"
            " root namespace: remove it, or use Vault Enterprise, HCP Vault or OpenBao 2.3"
        )
    return version


def has_namespaces(version: str, enterprise: object) -> bool:
    """Vault tells by `enterprise` (since 1.17) or a `+ent` in its version, OpenBao by its version alone."""
    if isinstance(enterprise, bool):
        return enterprise
    if "+ent" in version or "+prem" in version or "+pro" in version:
        return True
    numbers = version.split("+", maxsplit=1)[0].split("-", maxsplit=1)[0].split(".")
    try:
        release = (int(numbers[0]), int(numbers[1]))
    except (ValueError, IndexError):
        return False
    return release >= _FIRST_OPENBAO_WITH_NAMESPACES
