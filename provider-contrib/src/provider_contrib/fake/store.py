"""The Fake store: secrets from its manifest, and what was pushed, in the memory of this one process.

Two replicas of the provider do not see each other's pushes, and a restart forgets them. Where the contract and the Go fake
differ (a push of a property or of a whole Secret, a delete), the contract holds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Self

from provider_common import (
    Block,
    ConflictError,
    Context,
    Find,
    InvalidRequestError,
    InvalidSpecError,
    NoPropertyError,
    NoSecretError,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
    UnsupportedError,
)
from provider_common.faults import Fault
from provider_common.values import convert_keys, with_property, without_property

from provider_contrib.fake.faults import FaultCounts, fault_counts
from provider_contrib.fake.spec import FakeStoreSpec, StoreFaultRule


class NoOptions(Block):
    """PushSecret metadata of the Fake store: nothing can be set."""


class Pushed:
    """Pushed values of one Fake object. They outlive the open store, so that a changed spec does not lose them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, bytes] = {}


class FakeStore(ProviderV2[FakeStoreSpec]):
    """The secrets of one Fake object."""

    def __init__(self, spec: FakeStoreSpec, *, where: str, pushed: Pushed, faults: FaultCounts) -> None:
        """`where` names the object in messages."""
        self._spec = spec
        self._where = where
        self._own = {(entry.key, entry.version): entry.value.encode() for entry in spec.data}
        self._pushed = pushed
        self._faults = faults

    @classmethod
    def open(cls, ctx: Context[FakeStoreSpec]) -> Self:
        """Nothing to log in to: the spec is the backend."""
        key = ("fake pushed", ctx.api_version, ctx.kind, ctx.namespace, ctx.name)
        pushed = ctx.shared(key, Pushed, keep=True)
        return cls(ctx.spec, where=ctx.where, pushed=pushed, faults=fault_counts(ctx))

    def get_secret(self, ref: RemoteRef) -> bytes:
        """The entry of exactly this key and version; an entry of the manifest hides what was pushed under its name."""
        if ref.metadata_policy == "Fetch":
            raise UnsupportedError(f"{self._where} has no metadata ({ref.key!r}): remove metadataPolicy")
        value = self._own.get((ref.key, ref.version))
        if value is None and not ref.version:
            value = self._pushed.values.get(ref.key)
        if value is None:
            raise NoSecretError(ref.key, version=ref.version)
        return value

    def select(self, ref: RemoteRef, value: bytes) -> bytes:
        """A missing property counts as a missing secret. Of all kinds only Fake says so, as its Go namesake does."""
        try:
            return super().select(ref, value)
        except NoPropertyError:
            raise NoSecretError(ref.key, version=ref.version, details={"property": ref.property}) from None

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        """Names that match, each with the value of its highest version, compared as text."""
        if find.name is None or find.tags or find.path:
            given = [f"find.{name}" for name in ("path", "tags") if getattr(find, name)] or ["an empty find"]
            raise InvalidRequestError(
                f"{self._where} finds by find.name alone, not by {' and '.join(given)}: give find.name.regexp only"
            )
        with self._pushed.lock:
            found = {key: ("", value) for key, value in self._pushed.values.items() if find.name_matches(key)}
        for (key, version), value in self._own.items():
            if find.name_matches(key) and (key not in found or version >= found[key][0]):
                found[key] = (version, value)
        values = {key: value for key, (_, value) in sorted(found.items())}
        return convert_keys(values, find.conversion_strategy)

    def push_secret(self, data: PushData) -> None:
        """Keep the value under `remote_key`. Raises ConflictError for a key of the manifest."""
        data.options(NoOptions)
        self._refuse_own(data.remote_key)
        value = data.value()
        with self._pushed.lock:
            if data.property:
                before = self._pushed.values.get(data.remote_key, b"")
                value = with_property(before, data.property, value, what=f"pushed secret {data.remote_key!r}")
            self._pushed.values[data.remote_key] = value

    def delete_secret(self, ref: PushRemoteRef) -> None:
        """Forget what was pushed. An entry of the manifest is not ours to remove, and stays."""
        with self._pushed.lock:
            before = self._pushed.values.get(ref.remote_key)
            if before is None:
                return
            left = without_property(before, ref.property) if ref.property else None
            if left is None:
                del self._pushed.values[ref.remote_key]
            else:
                self._pushed.values[ref.remote_key] = left

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        """True for a key without a version, of the manifest or pushed; a property is not looked at."""
        return (ref.remote_key, "") in self._own or ref.remote_key in self._pushed.values

    def validate(self) -> Sequence[str]:
        """What `spec.validationResult` says."""
        match self._spec.validation_result:
            case 0:
                return ()
            case 1:
                raise InvalidSpecError(
                    f"{self._where}: spec.validationResult is 1 (unknown): set it to 0 to be ready"
                )
            case 2:
                raise InvalidSpecError(
                    f"{self._where}: spec.validationResult is 2 (error): set it to 0 to be ready"
                )

    def fault(self, method: str, key: str) -> Fault | None:
        """The seam of `provider_common.faults`."""

        def applies(rule: StoreFaultRule) -> bool:
            if not (method in rule.methods if rule.methods else method != "Validate"):
                return False
            return not rule.keys or (method not in {"GetAllSecrets", "Validate"} and key in rule.keys)

        return self._faults.fault(self._spec.faults, applies)

    def _refuse_own(self, key: str) -> None:
        if (key, "") in self._own:
            raise ConflictError(
                f"{key!r} exists in spec.data of {self._where}, which a push does not change: choose another remoteKey",
                details={"key": key},
            )
