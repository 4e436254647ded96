"""A cluster: what providers read when they run in one. Importing this loads the Kubernetes client, which is heavy.

Configuration objects come from watches and are answered from memory. Secrets, ConfigMaps and ServiceAccounts are read one
by one, by name: they are never listed, watched or kept.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from provider_common._kube_api import (
    SERVICE_ACCOUNT,
    Access,
    Answer,
    ApiServer,
    Named,
    NoClusterError,
    RefusedError,
    UnreachableError,
)
from provider_common._kube_watch import Follower, Pace
from provider_common._manifest_data import account_info, config_map_data, secret_data
from provider_common.errors import (
    AccessDeniedError,
    InvalidSpecError,
    MissingReferenceError,
    ProviderError,
    RateLimitedError,
    TemporaryError,
)
from provider_common.kube import IssuedToken, KubeObject, ServedType, ServiceAccountInfo, WatchStatus

_KINDS: dict[Named, str] = {
    "secrets": "Secret",
    "configmaps": "ConfigMap",
    "serviceaccounts": "ServiceAccount",
}
_PACE = Pace()
_LONGEST = 10.0  # seconds; an API server that takes longer for one object is not going to answer
# The API server accepts no other name. To ask for an empty one would be to ask for a list.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class ClusterReader:
    """Reads one cluster. A KubeReader.

    The cluster is that of `kubeconfig`, else of KUBECONFIG, else the pod's own, else that of ~/.kube/config. `timeout` gives
    the seconds that the caller has; a read takes at most 10 of them.
    """

    def __init__(
        self,
        kubeconfig: Path | str | None = None,
        *,
        timeout: Callable[[], float] = lambda: 10.0,
        environ: Mapping[str, str] = os.environ,
        service_account: Path = SERVICE_ACCOUNT,
        pace: Pace = _PACE,
    ) -> None:
        """Reads the configuration; nothing is sent yet. Raises NoClusterError, a ValueError, when there is none."""
        self._timeout = timeout
        self._pace = pace
        self._api = ApiServer(Access(Path(kubeconfig) if kubeconfig else None, environ, service_account))
        self._followers: dict[tuple[str, str], Follower] = {}

    def start(self, types: tuple[ServedType, ...]) -> None:
        """Begin to follow the objects of `types`, in every namespace. Returns at once, whatever state the cluster is in."""
        self._followers = {
            (served.api_version, served.kind): Follower(self._api, served, pace=self._pace)
            for served in types
        }
        for follower in self._followers.values():
            follower.start()

    def get_object(self, api_version: str, kind: str, namespace: str, name: str) -> KubeObject | None:
        """The object as last seen; None when there is none. Waits only while the first list is under way.

        Raises TemporaryError when its type could not be listed yet, or when it is not there and might only not have been
        seen yet; LookupError for a type that is not followed.
        """
        follower = self._followers.get((api_version, kind))
        if follower is None:
            raise LookupError(f"{api_version}/{kind} is not among the types that are followed")
        if not follower.listed:
            follower.wait(self._limit())
        found = follower.get((namespace, name))
        if found is not None:
            return found
        if follower.listed and not follower.problem:
            return None
        follower.hurry()
        reason = follower.problem or "they are still being listed"
        raise TemporaryError(
            f"{kind} {name!r} in namespace {namespace!r} is not known: {reason}",
            retry_after=2.0,
            details={"kind": kind, "name": name, "namespace": namespace},
        )

    def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The Secret's data; None when there is none. Raises AccessDeniedError when RBAC forbids it, else TemporaryError."""
        answer = self._read("secrets", namespace, name)
        return None if answer is None else secret_data(answer)

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The ConfigMap's data and binaryData; None when there is none. Raises as `read_secret`."""
        answer = self._read("configmaps", namespace, name)
        return None if answer is None else config_map_data(answer)

    def read_service_account(self, namespace: str, name: str) -> ServiceAccountInfo | None:
        """The ServiceAccount; None when there is none. Raises as `read_secret`."""
        answer = self._read("serviceaccounts", namespace, name)
        if answer is None:
            return None
        uid = (answer.get("metadata") or {}).get("uid", "")
        return account_info(answer, namespace, name, uid=str(uid))

    def create_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
    ) -> IssuedToken:
        """A token of the ServiceAccount. Raises MissingReferenceError when there is no such account, InvalidSpecError when
        the API server takes the audiences or the lifetime for wrong, else as `read_secret`.
        """
        missing = MissingReferenceError(
            f"There is no ServiceAccount {name!r} in namespace {namespace!r}",
            details={"kind": "ServiceAccount", "name": name, "namespace": namespace},
        )
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
            raise missing
        now = time.time()
        failure: ProviderError
        try:
            answer = self._api.request_token(
                namespace, name, audiences=audiences, seconds=expiration_seconds, timeout=self._limit()
            )
            # The lifetime that was granted, counted by our own clock: the server's may be far from it.
            life = int(answer["spec"]["expirationSeconds"])
            return IssuedToken(str(answer["status"]["token"]), issued_at=now, expires_at=now + life)
        except RefusedError as error:
            if error.status == 404:
                failure = missing
            elif error.status in {400, 422}:
                failure = InvalidSpecError(
                    f"The API server refuses a token of ServiceAccount {name!r} in namespace {namespace!r}: a lifetime is"
                    " 600 seconds or more, and no audience is empty"
                )
            else:
                failure = _translated(error, "create", "serviceaccounts/token", namespace, name)
        except UnreachableError as error:
            failure = _translated(error, "create", "serviceaccounts/token", namespace, name)
        except (KeyError, TypeError, ValueError):
            failure = TemporaryError(
                f"The answer to a TokenRequest for ServiceAccount {name!r} holds no token"
            )
        raise failure

    def status(self) -> WatchStatus:
        """Ages and problems of the watches. An optional type that is not installed is no problem."""
        followers = self._followers.values()
        return WatchStatus(
            synced=all(f.listed for f in followers if not f.served.optional),
            ages={f.title: age for f in followers if (age := f.age) is not None},
            problems={f.title: f.problem for f in followers if f.problem and not f.quiet},
        )

    def close(self) -> None:
        """Stop following. Takes 2 seconds at the most."""
        for follower in self._followers.values():
            follower.stop()
        until = time.monotonic() + 2.0
        for follower in self._followers.values():
            follower.join(until - time.monotonic())

    def _limit(self) -> float:
        """Seconds for one wait: some of the caller's time is left for the answer that says what was waited for."""
        return min(self._timeout() * 0.9, _LONGEST)

    def _read(self, what: Named, namespace: str, name: str) -> Answer | None:
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
            return None
        try:
            return self._api.read(what, namespace, name, timeout=self._limit())
        except RefusedError as error:
            if error.status == 404:
                return None
            failure = _translated(error, "get", what, namespace, name)
        except UnreachableError as error:
            failure = _translated(error, "get", what, namespace, name)
        raise failure


def _translated(
    error: RefusedError | UnreachableError, verb: str, what: str, namespace: str, name: str
) -> ProviderError:
    details = {"verb": verb, "resource": what, "namespace": namespace, "name": name}
    status = error.status if isinstance(error, RefusedError) else 0
    if status == 403:
        return AccessDeniedError(
            f"The provider may not {verb} {what} {name!r} in namespace {namespace!r}: grant its ServiceAccount the verb"
            f" {verb!r} on {what!r} there, by a Role and a RoleBinding, or everywhere by a ClusterRole",
            details=details,
        )
    if status == 401:
        return TemporaryError(
            "The API server does not accept the provider's own credentials (401)", details=details
        )
    kind_of_error = RateLimitedError if status == 429 else TemporaryError
    return kind_of_error(
        f"Kubernetes can't be asked to {verb} {what} {name!r} in namespace {namespace!r}: {error}",
        retry_after=error.retry_after if isinstance(error, RefusedError) else None,
        details=details,
    )


__all__ = ["ClusterReader", "NoClusterError", "Pace"]
