"""Secret Manager's calls as the store needs them: bounded by the caller's deadline, counted, retried by `retrySettings` only
(Google's client would do it by itself, three times three), and with errors in our terms.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import google_crc32c
import grpc
from google.api_core import exceptions
from google.cloud import secretmanager_v1 as google
from provider_common import (
    ConflictError,
    Context,
    CredentialsError,
    DeadlineError,
    InvalidRequestError,
    NoSecretError,
    PermanentError,
    ProviderError,
    TemporaryError,
    remaining,
)

from provider_gcp import _metadata
from provider_gcp._endpoint import connect
from provider_gcp._errors import Asked, UnusableVersionError, translate
from provider_gcp._http import PROVIDER
from provider_gcp._tokens import Identity, TokenManager
from provider_gcp.spec import GCPSecretManagerSpec

LATEST = "latest"
LONGEST_TRY = 20.0
"""Seconds that one call may take, if the caller leaves as many."""
READ_RETRIES = 2
"""Retries of a read where the store says nothing: what Google's client would retry, too."""
PAGE = 1000

_TIME_OVER = grpc.StatusCode.DEADLINE_EXCEEDED
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}")
_VERSION = re.compile(r"[A-Za-z0-9_-]{1,63}")


class AlreadyThereError(ConflictError):
    """A secret that was to be created is there."""


class SecretManager:
    """The secrets of one project (and location), asked by one identity."""

    def __init__(
        self,
        ctx: Context[Any],
        client: Any,
        identity: Identity,
        tokens: TokenManager,
        *,
        project: str,
        location: str = "",
    ) -> None:
        self._ctx = ctx
        self._client = client
        self._identity = identity
        self._tokens = tokens
        self._project = project
        self._location = location
        self.parent = f"projects/{project}" + (f"/locations/{location}" if location else "")

    @classmethod
    def open(cls, ctx: Context[GCPSecretManagerSpec]) -> SecretManager:
        """The secrets that a spec opens. Reads the credentials; Google is asked at the first call."""
        spec = ctx.spec
        project = _project(ctx)
        identity = spec.auth.method().prepare(ctx, project)
        tokens = ctx.shared(("gcp-token", identity.key), TokenManager)
        location = spec.location or ""
        return cls(ctx, connect(ctx, location), identity, tokens, project=project, location=location)

    def login(self) -> None:
        """Make sure that there is an access token."""
        self._tokens.current(self._identity.fetch)

    def forget(self) -> None:
        """Let go of the token. Another store of the same identity keeps what it has."""
        self._ctx.shared_objects.discard(("gcp-token", self._identity.key))

    @property
    def regional(self) -> bool:
        """True for the secrets of one location."""
        return bool(self._location)

    def name(self, key: str) -> str:
        """The resource name of a secret. Raises InvalidRequestError for what no secret can be named."""
        if not _KEY.fullmatch(key):
            raise InvalidRequestError(
                f"{key[:100]!r} can't be the name of a secret in Secret Manager: those are letters, digits, - and _,"
                " at most 255"
            )
        return f"{self.parent}/secrets/{key}"

    # -- reading -------------------------------------------------------------------------------------------------------

    def get(self, key: str) -> google.Secret:
        """The secret without its value. Raises NoSecretError."""
        request = google.GetSecretRequest(name=self.name(key))
        secret: google.Secret = self._call(
            "GetSecret", self._client.get_secret, request, key=key, retries=READ_RETRIES
        )
        return secret

    def access(self, key: str, version: str = "") -> bytes:
        """The value of a version, the latest by default. Raises NoSecretError, UnusableVersionError."""
        if version and not _VERSION.fullmatch(version):
            raise InvalidRequestError(
                f"{version[:100]!r} can't be a version of {key!r}: give a number, an alias, or latest"
            )
        request = google.AccessSecretVersionRequest(name=f"{self.name(key)}/versions/{version or LATEST}")
        answer: google.AccessSecretVersionResponse = self._call(
            "AccessSecretVersion",
            self._client.access_secret_version,
            request,
            key=key,
            version=version,
            retries=READ_RETRIES,
        )
        if "payload" not in answer:
            raise PermanentError(f"Google answers without a value for secret {key!r}")
        payload, data = answer.payload, bytes(answer.payload.data)
        if "data_crc32c" in payload and payload.data_crc32c != google_crc32c.value(data):
            raise TemporaryError(
                f"The value of secret {key!r} does not have the checksum that Google sent along"
            )
        return data

    def access_enabled(self, key: str) -> bytes:
        """The value of the latest version, or if that is disabled or destroyed, of the newest enabled one."""
        try:
            return self.access(key)
        except UnusableVersionError:
            newest = self._newest_enabled(key)
            if newest is None:
                raise
        return self.access(key, newest)

    def _newest_enabled(self, key: str) -> str | None:
        request = google.ListSecretVersionsRequest(
            parent=self.name(key), filter="state:ENABLED", page_size=PAGE
        )
        pages = self._pages("ListSecretVersions", self._client.list_secret_versions, request, key=key)
        versions = (version for page in pages for version in page.versions)
        newest = max(versions, key=lambda version: version.create_time, default=None)
        return None if newest is None else newest.name.rpartition("/")[2]

    def names(self, filter: str) -> Iterator[str]:  # noqa: A002 - the field's name
        """The names of all secrets that Google's filter selects, page by page."""
        request = google.ListSecretsRequest(parent=self.parent, filter=filter, page_size=PAGE)
        for page in self._pages("ListSecrets", self._client.list_secrets, request):
            for secret in page.secrets:
                # Google answers with the project's number, whatever it was asked by.
                yield secret.name.rpartition("/secrets/")[2]

    # -- writing -------------------------------------------------------------------------------------------------------

    def writing(self, key: str) -> AbstractContextManager[None]:
        """Keep other writers of a secret in this process waiting, in a `with` block."""
        return self._ctx.changing(self.name(key))

    def create(self, key: str, secret: google.Secret) -> google.Secret:
        """Make a secret without a value. Raises AlreadyThereError."""
        self.name(key)
        request = google.CreateSecretRequest(parent=self.parent, secret_id=key, secret=secret)
        made: google.Secret = self._call("CreateSecret", self._client.create_secret, request, about=key)
        return made

    def update(self, key: str, secret: google.Secret, fields: Sequence[str]) -> None:
        """Change `fields` of a secret, if it is still the one that `secret.etag` names."""
        request = google.UpdateSecretRequest(secret=secret, update_mask={"paths": list(fields)})
        self._call("UpdateSecret", self._client.update_secret, request, about=key)

    def add_version(self, key: str, value: bytes) -> None:
        """Add a value."""
        payload = google.SecretPayload(data=value, data_crc32c=google_crc32c.value(value))
        request = google.AddSecretVersionRequest(parent=self.name(key), payload=payload)
        self._call("AddSecretVersion", self._client.add_secret_version, request, about=key)

    def delete(self, key: str, etag: str) -> None:
        """Remove a secret with all versions, if it is still the one that `etag` names. Raises NoSecretError."""
        request = google.DeleteSecretRequest(name=self.name(key), etag=etag)
        self._call("DeleteSecret", self._client.delete_secret, request, key=key)

    # ------------------------------------------------------------------------------------------------------------------

    def _pages(self, call: str, method: Callable[..., Any], request: Any, *, key: str = "") -> Iterator[Any]:
        while True:
            # Google's pager would ask for later pages by itself, past the deadline and uncounted.
            page = self._call(call, method, request, key=key, retries=READ_RETRIES, first_page=True)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _call(
        self,
        call: str,
        method: Callable[..., Any],
        request: Any,
        *,
        key: str = "",
        version: str = "",
        about: str = "",
        retries: int = 0,
        first_page: bool = False,
    ) -> Any:
        """One call. `key` is given when NOT_FOUND means that this secret is absent, `about` when it does not."""
        asked = Asked(call, self._project, self._location, key or about, version)

        def once() -> Any:
            token = self._tokens.current(self._identity.fetch)
            try:
                return self._counted(asked, method, request, token.value, absent_is_no_secret=bool(key))
            except CredentialsError:
                # Revoked, or the key behind it was: one new token shows which.
                if not self._tokens.refused(token):
                    raise
                token = self._tokens.current(self._identity.fetch)
                return self._counted(asked, method, request, token.value, absent_is_no_secret=bool(key))

        answer = self._ctx.retrying(once, max_retries=retries)
        return next(iter(answer.pages)) if first_page else answer

    def _counted(
        self, asked: Asked, method: Callable[..., Any], request: Any, token: str, *, absent_is_no_secret: bool
    ) -> Any:
        metadata = [("authorization", f"Bearer {token}")]
        if self._identity.quota_project:
            metadata.append(("x-goog-user-project", self._identity.quota_project))
        left, started = remaining(), time.monotonic()
        try:
            with self._ctx.api_call(PROVIDER, asked.call):
                return method(request=request, retry=None, timeout=min(left, LONGEST_TRY), metadata=metadata)
        except exceptions.GoogleAPICallError as error:
            # Of two clocks that measure the same time one is first: a tenth of a second decides for the caller's.
            if error.grpc_status_code is _TIME_OVER and time.monotonic() - started > left - 0.1:
                raise DeadlineError(
                    f"{asked}: Google did not answer in the time that the caller gave"
                ) from None
            raise self._translated(error, asked, absent_is_no_secret=absent_is_no_secret) from None

    @staticmethod
    def _translated(
        error: exceptions.GoogleAPICallError, asked: Asked, *, absent_is_no_secret: bool
    ) -> ProviderError:
        if error.grpc_status_code is grpc.StatusCode.ALREADY_EXISTS:
            return AlreadyThereError(f"{asked}: it is there already")
        made = translate(error, asked)
        if isinstance(made, NoSecretError) and not absent_is_no_secret:
            return TemporaryError(f"{asked}: the secret vanished while it was written")
        return made


def _project(ctx: Context[GCPSecretManagerSpec]) -> str:
    """The secrets' project: where nothing is said of it, the cluster's."""
    workload = ctx.spec.auth.workload_identity
    cluster = None if workload is None else workload.cluster_project_id
    return ctx.spec.project_id or cluster or _metadata.project_id(ctx)
