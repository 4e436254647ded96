"""`GCPSecretManager`: secrets of one project, read, found, pushed and deleted. How a push changes a secret is in `_push`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self

from provider_common import (
    Context,
    Find,
    InvalidRequestError,
    NoPropertyError,
    NoSecretError,
    PermanentError,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
    gjson,
    go_json,
)
from provider_common.values import inner_dot, select_property

from provider_gcp.spec import GCPSecretManagerSpec

if TYPE_CHECKING:
    from provider_gcp._client import SecretManager

FIND_THREADS = 8


class SecretManagerStore(ProviderV2[GCPSecretManagerSpec]):
    """One project opened with one identity."""

    def __init__(self, secrets: SecretManager, *, fetch_enabled: bool = False) -> None:
        self._secrets = secrets
        self._fetch_enabled = fetch_enabled

    @classmethod
    def open(cls, ctx: Context[GCPSecretManagerSpec]) -> Self:
        """Read the credentials. Google is asked at the first call."""
        # Here and not above: Google's libraries take longer to import than all the rest.
        from provider_gcp._client import SecretManager

        policy = ctx.spec.secret_version_selection_policy
        return cls(SecretManager.open(ctx), fetch_enabled=policy == "LatestOrFetch")

    # -- reading -------------------------------------------------------------------------------------------------------

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The payload of a version, the latest by default; with Fetch, annotations and labels as JSON."""
        if ref.metadata_policy == "Fetch":
            secret = self._secrets.get(ref.key)
            return go_json(
                {"annotations": dict(secret.annotations) or None, "labels": dict(secret.labels) or None},
                escape_html=True,
            )
        if ref.version:
            return self._secrets.access(ref.key, ref.version)
        return self._latest(ref.key)

    def _latest(self, key: str) -> bytes:
        return self._secrets.access_enabled(key) if self._fetch_enabled else self._secrets.access(key)

    def select(self, ref: RemoteRef, value: bytes) -> bytes:
        """A gjson path into JSON, where a key that literally holds the dots wins. Of metadata: `annotations`, `labels`, or
        one of their keys, dots included.
        """
        if ref.metadata_policy == "Fetch":
            return _select_metadata(ref, value)
        if gjson.get(value, "@valid") is None:
            raise PermanentError(
                f"Secret {ref.key!r} is not JSON, so it has no property {ref.property!r}: ask for it without property"
            )
        found = select_property(value, ref.property, literal_first=inner_dot)
        if found is None:
            raise NoPropertyError(ref.key, ref.property)
        return found

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Latest versions of the secrets whose name matches and begins with `path`; without a name, of those that have all
        `tags` as labels (and `path` in their name).
        """
        if find.name is not None:
            names: Iterable[str] = (
                name
                for name in self._secrets.names(f"name:{_quoted(find.path)}" if find.path else "")
                if name.startswith(find.path) and find.name_matches(name)
            )
        elif find.tags:
            terms = [f"labels.{key}={_quoted(value)}" for key, value in sorted(find.tags.items())]
            if bad := [key for key in find.tags if not _is_label(key)]:
                raise InvalidRequestError(f"{bad[0][:63]!r} can't be a label: correct find.tags")
            if find.path:
                terms.append(f"name:{_quoted(find.path)}")
            names = self._secrets.names(" ".join(terms))
        else:
            raise InvalidRequestError("A find needs name.regexp or tags")
        return {name: value for name, value in _concurrently(self._found, names) if value is not None}

    def _found(self, name: str) -> tuple[str, bytes | None]:
        try:
            return name, self._latest(name)
        except NoSecretError:
            # Deleted since it was listed, or without any version.
            return name, None

    # -- writing -------------------------------------------------------------------------------------------------------

    def push_secret(self, data: PushData) -> None:
        """Write the secret, or one property of it, as a new version, unless it is there already."""
        from provider_gcp._push import push

        push(self._secrets, data)

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Remove a property, and the secret with its last one; without a property, the secret with all versions."""
        from provider_gcp._push import delete

        delete(self._secrets, ref)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True when there is an enabled version. As in the in-tree store, `property` plays no part."""
        try:
            self._secrets.access_enabled(ref.remote_key)
        except NoSecretError:
            return False
        return True

    # ------------------------------------------------------------------------------------------------------------------

    def validate(self) -> Sequence[str]:
        """Get an access token, unless there is one. No secret is asked for: there may be none that it may read."""
        self._secrets.login()
        return ()

    def close(self) -> None:
        """Let go of the token; the connection is shared and stays."""
        self._secrets.forget()


def _select_metadata(ref: RemoteRef, value: bytes) -> bytes:
    part, dot, key = ref.property.partition(".")
    if part not in ("annotations", "labels"):
        raise InvalidRequestError(
            f"{ref.property!r} is no property of a secret's metadata: annotations, labels, annotations.<key> or"
            " labels.<key>"
        )
    found = json.loads(value)[part]
    if not dot:
        return go_json(found, escape_html=True)
    if key not in (found or {}):
        raise NoPropertyError(ref.key, ref.property)
    return str(found[key]).encode()


def _is_label(key: str) -> bool:
    return bool(key) and all(char.isalnum() or char in "_-" for char in key)


def _quoted(value: str) -> str:
    """`value` in a filter of Google's: as it is, or in quotes where it holds more than a name can."""
    if value and all(char.isascii() and (char.isalnum() or char in "_-") for char in value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _concurrently(fetch: Callable[[str], tuple[str, Any]], names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """`fetch` of each name, a few at a time; each in the caller's context, so that it sees the call's deadline."""
    with ThreadPoolExecutor(FIND_THREADS, thread_name_prefix="gcp-find") as pool:
        waiting = []
        try:
            for name in names:
                waiting.append(pool.submit(copy_context().run, fetch, name))
                if len(waiting) >= 2 * FIND_THREADS:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
