"""From the first credentials through every role to the keys that calls are signed with.

Every hop's session is cached under all it depends on, the hops before it included, and shared by all stores of the
provider. So a thousand reads through two roles cost two calls of STS, and no tenant can meet another's session.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session
from provider_common import (
    Context,
    CredentialsError,
    DeadlineError,
    ProviderError,
)
from provider_common.context import held

from provider_aws._botocore import AWAY, ENDPOINT_VARIABLES, LOCAL, local_error, refusal
from provider_aws._client import Client
from provider_aws._errors import translate
from provider_aws._sessions import REFUSED_FOR, Session, SessionCache
from provider_aws.auth import Keys, PodSource, Source, StaticSource, WebIdentitySource

SESSION_NAME = "external-secrets-provider-aws"


@dataclass(frozen=True, slots=True)
class Hop:
    """One role to assume."""

    role: str
    external_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """The parameters of AssumeRole."""
        made: dict[str, Any] = {"RoleArn": self.role, "RoleSessionName": SESSION_NAME}
        if self.external_id is not None:
            made["ExternalId"] = self.external_id
        if self.tags:
            made["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags]
        if self.transitive:
            made["TransitiveTagKeys"] = list(self.transitive)
        return made


class Chain:
    """The credentials of one store or generator."""

    def __init__(self, ctx: Context[Any], source: Source, hops: tuple[Hop, ...], *, region: str) -> None:
        self._ctx = ctx
        self._source = source
        self._hops = hops
        self._region = region
        self._cache = ctx.shared("aws-role-sessions", SessionCache)
        self._checked = False
        # What the session after so many hops depends on.
        self._identities = tuple((source.identity, region, hops[:depth]) for depth in range(len(hops) + 1))

    def keys(self) -> Keys:
        """Keys that can be used now; STS is asked where a session is missing or about to end."""
        return self._after(len(self._hops))

    def refused(self, keys: Keys) -> bool:
        """AWS does not accept `keys` any more. True when asking again may help, because they were a session's."""
        return self._refused(len(self._hops), keys)

    def check(self) -> Sequence[str]:
        """Whether AWS accepts the credentials; returns warnings. STS says so while it hands out a session; keys that need none
        are shown to it once.

        Raises CredentialsError when it does not.
        """
        keys = self.keys()
        if self._checked or self._hops or isinstance(self._source, WebIdentitySource):
            return ()
        client = Client(self._ctx, "sts", region=self._region, keys=lambda: keys)
        try:
            # Anybody may ask this who is known; no permission is needed.
            client.call("GetCallerIdentity", "the identity of the credentials", retry=False)
        except (CredentialsError, DeadlineError):
            raise
        except ProviderError as error:
            # Where only the store's own endpoint can be reached, that is no reason to refuse the store.
            return (f"The credentials could not be checked with STS: {error.message}",)
        finally:
            client.close()
        self._checked = True
        return ()

    def _after(self, depth: int) -> Keys:
        if depth == 0:
            return self._first()
        hop = self._hops[depth - 1]
        return self._cache.get(self._identities[depth], lambda: self._assume(hop, depth - 1)).keys

    def _first(self) -> Keys:
        match self._source:
            case StaticSource(keys=keys):
                return keys
            case WebIdentitySource() as source:
                return self._cache.get(self._identities[0], lambda: self._become(source)).keys
            case PodSource():
                return self._ctx.shared("aws-pod-credentials", PodCredentials).keys()

    def _refused(self, depth: int, keys: Keys) -> bool:
        if depth or isinstance(self._source, WebIdentitySource):
            return self._cache.drop(self._identities[depth], keys)
        return False

    def _assume(self, hop: Hop, before: int) -> Session:
        sts = Client(
            self._ctx,
            "sts",
            region=self._region,
            keys=lambda: self._after(before),
            # The hop before may have been revoked, too.
            refused=lambda keys: self._refused(before, keys),
        )
        return self._session(sts, f"assuming role {hop.role!r}", "AssumeRole", hop.parameters())

    def _become(self, source: WebIdentitySource) -> Session:
        parameters = {
            "RoleArn": source.role,
            "RoleSessionName": SESSION_NAME,
            "WebIdentityToken": source.token(),
        }
        sts = Client(self._ctx, "sts", region=self._region, keys=None)
        what = f"assuming role {source.role!r} by a ServiceAccount"
        return self._session(sts, what, "AssumeRoleWithWebIdentity", parameters)

    def _session(self, sts: Client, what: str, operation: str, parameters: Mapping[str, Any]) -> Session:
        starts = self._cache.clock()
        try:
            found = sts.call(operation, what, **parameters)["Credentials"]
        finally:
            sts.close()
        made = Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return Session(made, starts, found["Expiration"].timestamp())


class PodCredentials:
    """The provider's own pod, by botocore's default chain, which renews them by itself. One for the whole provider."""

    def __init__(self) -> None:
        self._session = _pod_session()
        self._lock = threading.Lock()
        self._found: Any = None
        self._search_again = -math.inf

    def keys(self) -> Keys:
        """What the chain finds. Raises CredentialsError when it finds nothing, or nothing that can be used."""
        what = "the credentials of the provider's own pod"
        try:
            found = self._found or self._search()
            frozen = None if found is None else found.get_frozen_credentials()
        except botocore.exceptions.ClientError as error:
            raise translate(refusal(error.operation_name, error), what) from None
        except (*LOCAL, OSError, ValueError) as error:
            if isinstance(error, AWAY):
                raise local_error(error, what) from None
            # A profile, a file or an address that is not there, half a pair of keys.
            raise CredentialsError(
                f"The AWS credentials of the provider's own pod can't be used ({type(error).__name__}): correct the pod's"
                " environment, or give spec.auth"
            ) from None
        if frozen is None:
            raise CredentialsError(
                "spec.auth is not given, and the provider's pod has no AWS credentials: give spec.auth, or give the pod a"
                " role (IRSA, Pod Identity)"
            )
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    def _search(self) -> Any:
        with held(self._lock, busy="The search for the pod's AWS credentials does not come to an end"):
            # A search that finds nothing takes seconds, and those who wait must not make it one after the other.
            if self._found is None and time.monotonic() >= self._search_again:
                self._found = self._session.get_credentials()
                self._search_again = time.monotonic() + REFUSED_FOR
            return self._found


class _PodSession(botocore.session.Session):
    """A session whose chain asks the same STS as everything else here."""

    def create_client(self, service_name: str, *args: Any, **more: Any) -> Any:
        """A client of the chain's own: STS, where the pod has a web identity."""
        endpoint = os.environ.get(ENDPOINT_VARIABLES.get(service_name, "")) or None
        return super().create_client(service_name, *args, **{"endpoint_url": endpoint, **more})


def _pod_session() -> Any:
    session: Any = _PodSession()  # type: ignore[no-untyped-call]
    if region := os.environ.get("AWS_REGION"):  # botocore itself reads AWS_DEFAULT_REGION only
        session.set_config_variable("region", region)
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.set_default_client_config(
        botocore.config.Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    )
    return session
