"""`VaultDynamicSecret`: whatever a path of Vault makes anew, as values of a Secret.

Leases hang on the token that asked for them: when it ends, they end. So the login of this generator is not the stores'
login, its token is never revoked once a lease hangs on it, and a token that would end before the lease is replaced first.
What was made ends by its own lease, unless the spec says `revokeOnCleanup`: then the lease is the state that the core
keeps, and its Cleanup revokes it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider_common import (
    Context,
    Generated,
    GeneratorV2,
    InvalidRequestError,
    PermanentError,
    RetrySettings,
)
from provider_common.values import decoded_to_bytes

from provider_vault import _paths
from provider_vault._client import VaultClient
from provider_vault._connection import Connection
from provider_vault._errors import quoted, refusal
from provider_vault._http import Answer
from provider_vault._tokens import Token
from provider_vault.spec import VaultDynamicSecretSpec

MOST_LOGINS = 256
_CALLS = {"GET": "ReadSecretData", "LIST": "ListSecrets", "DELETE": "DeleteSecret"}
_RAW = ("request_id", "lease_id", "lease_duration", "renewable", "data", "auth", "wrap_info", "warnings")


class VaultDynamicSecretGenerator(GeneratorV2[VaultDynamicSecretSpec]):
    """Asks Vault for something new at every call; the login is kept between calls."""

    def generate(self, ctx: Context[VaultDynamicSecretSpec]) -> Generated:
        """The values that the path gives, and with `revokeOnCleanup` the lease as state."""
        spec = ctx.spec
        login = ctx.shared("vault-dynamic", Logins, keep=True).get(ctx)
        answer, token = self._ask(login, spec)
        if token is not None and (seconds := lease_seconds(answer)):
            login.client.tokens.keep(token)
            login.longest_lease = max(login.longest_lease, seconds)
        return Generated(
            self._values(spec, answer), state=lease_of(answer) if spec.revoke_on_cleanup else None
        )

    def cleanup(self, ctx: Context[VaultDynamicSecretSpec], state: Mapping[str, Any]) -> None:
        """Revoke the lease, or the token, that `state` names. What has ended already is a success."""
        client = ctx.shared("vault-dynamic", Logins, keep=True).get(ctx).client
        match state:
            case {"leaseID": str(lease)}:
                body, path, what = {"lease_id": lease}, "sys/leases/revoke", "revocation of a lease"
            case {"accessor": str(accessor)}:
                body, path, what = (
                    {"accessor": accessor},
                    "auth/token/revoke-accessor",
                    "revocation of a token",
                )
            case _:
                raise InvalidRequestError(
                    "The state is none that VaultDynamicSecret made: leaseID or accessor is missing"
                )
        client.ask("RevokeLease", "PUT", path, what=what, body=body)

    def _ask(self, login: KeptLogin, spec: VaultDynamicSecretSpec) -> tuple[Answer, Token | None]:
        method = spec.method or "GET"
        reads = method in _CALLS
        params = (
            {name: list(values) for name, values in spec.get_parameters.items()} if method == "GET" else None
        )
        what = quoted(spec.path.strip("/"))
        answer, token = login.client.ask(
            _CALLS.get(method, "WriteSecretData"),
            method if reads else "PUT",
            _paths.quote_path(_paths.clean(spec.path)),
            what=what,
            body=None if reads else dict(spec.parameters or {}),
            params=params,
            may_miss=spec.allow_empty_response,
            # A repeated request would make a second lease that nobody knows of.
            repeatable=method == "LIST",
            lives_for=login.longest_lease,
        )
        # Nothing at the path is an empty answer, too; a mount that is not there is not.
        if not answer.ok and answer.errors != ():
            raise refusal(answer, what)
        return answer, token

    def _values(self, spec: VaultDynamicSecretSpec, answer: Answer) -> Mapping[str, bytes]:
        chosen: Mapping[str, Any] | None = None
        if spec.result_type != "Raw":
            chosen = answer.part(spec.result_type.lower())
        elif answer.ok and answer.body:
            chosen = {name: answer.body.get(name) for name in _RAW}
        if not chosen:
            if spec.allow_empty_response:
                return {}
            part = "" if spec.result_type == "Raw" else f" no `{spec.result_type.lower()}`, so"
            raise PermanentError(
                f"Vault's answer for {quoted(spec.path.strip('/'))} has{part} nothing in it: correct resultType, or set"
                " allowEmptyResponse"
            )
        return {str(name): decoded_to_bytes(value) for name, value in chosen.items()}


def lease_of(answer: Answer) -> Mapping[str, str] | None:
    """What revokes that which an answer brought; None when it brought nothing that can be revoked."""
    lease = (answer.body or {}).get("lease_id")
    if isinstance(lease, str) and lease:
        return {"leaseID": lease}
    accessor = (answer.part("auth") or {}).get("accessor")
    return {"accessor": accessor} if isinstance(accessor, str) and accessor else None


def lease_seconds(answer: Answer) -> float:
    """How long it lives if its token does; 0 when nothing hangs on the token."""
    if lease_of(answer) is None:
        return 0.0
    holder = (answer.body or {}) if (answer.body or {}).get("lease_id") else (answer.part("auth") or {})
    found = holder.get("lease_duration")
    return float(found) if isinstance(found, int | float) else 0.0


@dataclass(slots=True)
class KeptLogin:
    """A generator's client, and the longest lease that was seen through it: a token has to live that long."""

    client: VaultClient
    longest_lease: float = 0.0


class Logins:
    """The generators' logins, one per object and set of credentials. Closed at drain; the oldest goes when there are many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logins: OrderedDict[tuple[object, ...], KeptLogin] = OrderedDict()

    def get(self, ctx: Context[VaultDynamicSecretSpec]) -> KeptLogin:
        """The login of `ctx`. The credentials are read each time: they may have changed, and then it is another login."""
        settings = ctx.spec.retry_settings
        if settings is not None:
            ctx = replace(
                ctx, retry=RetrySettings(max_retries=settings.max_retries, interval=settings.seconds)
            )
        purpose = f"dynamic {ctx.namespace}/{ctx.name}"
        connection = Connection.read(ctx.auth, ctx.spec.provider, purpose=purpose)
        key = (ctx.namespace, ctx.name, ctx.retry, connection.identity())
        gone = None
        with self._lock:
            login = self._logins.get(key)
            if login is None:
                login = self._logins[key] = KeptLogin(connection.client(ctx))
                if len(self._logins) > MOST_LOGINS:
                    gone = self._logins.popitem(last=False)[1]
            self._logins.move_to_end(key)
        if gone is not None:
            gone.client.close()
        return login

    def close(self) -> None:
        """Close every client."""
        with self._lock:
            logins, self._logins = list(self._logins.values()), OrderedDict()
        for login in logins:
            login.client.close()
