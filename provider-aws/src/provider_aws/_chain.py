"""From the first credentials through every role to the keys that calls are signed with.

Every hop's session is cached under all it depends on, the hops before it included, and shared by all stores of the
provider. So a thousand reads through two roles cost two calls of STS, and no tenant can meet another's session.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session
from provider_common import Context, CredentialsError, DeadlineError, ProviderError, TemporaryError, remaining

from provider_aws._client import Client
from provider_aws._sessions import Session, SessionCache
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
        start = (source.identity, region)
        self._identities = tuple((start, hops[: depth + 1]) for depth in range(len(hops)))

    def keys(self) -> Keys:
        """Keys that can be used now; STS is asked where a session is missing or about to end."""
        return self._after(len(self._hops))

    def refused(self, keys: Keys) -> bool:
        """AWS does not accept `keys` any more. True when asking again may help, because they were a session's."""
        if self._hops:
            return self._cache.drop(self._identities[-1], keys)
        if isinstance(self._source, WebIdentitySource):
            return self._cache.drop((self._source.identity, self._region), keys)
        return False

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
        return self._cache.get(self._identities[depth - 1], lambda: self._assume(hop, depth - 1)).keys

    def _first(self) -> Keys:
        match self._source:
            case StaticSource(keys=keys):
                return keys
            case WebIdentitySource() as source:
                key = (source.identity, self._region)
                return self._cache.get(key, lambda: self._become(source)).keys
            case PodSource():
                return self._ctx.shared("aws-pod-credentials", PodCredentials).keys()

    def _assume(self, hop: Hop, before: int) -> Session:
        keys = self._after(before)
        return self._sts(f"assuming role {hop.role!r}", "AssumeRole", keys, **hop.parameters())

    def _become(self, source: WebIdentitySource) -> Session:
        return self._sts(
            f"assuming role {source.role!r} by a ServiceAccount",
            "AssumeRoleWithWebIdentity",
            None,
            RoleArn=source.role,
            RoleSessionName=SESSION_NAME,
            WebIdentityToken=source.token(),
        )

    def _sts(self, what: str, operation: str, keys: Keys | None, **parameters: Any) -> Session:
        starts = self._cache.clock()
        client = Client(self._ctx, "sts", region=self._region, keys=None if keys is None else lambda: keys)
        try:
            found = client.call(operation, what, **parameters)["Credentials"]
        finally:
            client.close()
        made = Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return Session(made, starts, found["Expiration"].timestamp())


class PodCredentials:
    """The provider's own pod, by botocore's default chain, which renews them by itself. One for the whole provider."""

    def __init__(self) -> None:
        self._session = botocore.session.Session()
        # For the calls of STS that the chain makes by itself where the pod has a web identity.
        self._session.set_default_client_config(
            botocore.config.Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
        )
        self._lock = threading.Lock()
        self._found: Any = None

    def keys(self) -> Keys:
        """What the chain finds. Raises CredentialsError when it finds nothing."""
        try:
            if self._found is None:
                self._search()
            frozen = self._found.get_frozen_credentials() if self._found is not None else None
        except botocore.exceptions.ProfileNotFound:
            raise CredentialsError("The profile that AWS_PROFILE names is not there") from None
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise TemporaryError(f"The pod's AWS credentials can't be had ({type(error).__name__})") from None
        if frozen is None:
            raise CredentialsError(
                "spec.auth is not given, and the provider's pod has no AWS credentials: give spec.auth, or give the pod a"
                " role (IRSA, Pod Identity)"
            )
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    def _search(self) -> None:
        if not self._lock.acquire(timeout=remaining()):
            raise TemporaryError("The search for the pod's AWS credentials does not come to an end")
        try:
            if self._found is None:
                self._found = self._session.get_credentials()
        finally:
            self._lock.release()
