"""A KV engine of either version, as five operations on names: read, metadata, list, write, delete.

This is where "no such secret" is decided, so this is where it is doubted. Vault answers 404 for four different things: no
such secret, no such mount, the wrong engine version, and (v2 paths on a v1 mount) a plain-looking miss that means
nothing. The mount's type and version are therefore asked once per store, and a miss counts only on a mount that was seen
to be what the spec says.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from provider_common import (
    AccessDeniedError,
    InvalidRequestError,
    InvalidSpecError,
    PermanentError,
)
from provider_common.context import held

from provider_vault import _paths
from provider_vault._client import VaultClient
from provider_vault._errors import quoted, refusal
from provider_vault._http import Answer

Version = Literal["v1", "v2"]
# "generic" is what old Vaults call KV v1; cubbyhole speaks the same API.
_V1_TYPES = frozenset({"kv", "generic", "cubbyhole"})


@dataclass(frozen=True, slots=True)
class Place:
    """A name on a mount. `verified` is whether the mount was seen to be what the spec says."""

    mount: str
    name: str
    verified: bool

    @property
    def shown(self) -> str:
        """For messages: quoted, so that no name can forge a line, and shortened."""
        return quoted(f"{self.mount}/{self.name}" if self.name else self.mount)


@dataclass(frozen=True, slots=True)
class Read:
    """What a data read found. `data` is None for a v2 version that is deleted or destroyed."""

    data: Mapping[str, Any] | None = field(repr=False)
    version: int = 0
    """KV v2 only: which version this is."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What KV v2 knows about a secret, as Vault tells it."""

    raw: Mapping[str, Any] = field(repr=False)

    @property
    def custom(self) -> Mapping[str, str]:
        """The user's own part."""
        found = self.raw.get("custom_metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def current_version(self) -> int:
        """0 when there is no version yet."""
        found = self.raw.get("current_version")
        return found if isinstance(found, int) else 0

    def texts(self) -> dict[str, str]:
        """The three facts that users ask for, under the user's own entries."""
        facts = {
            name: str(self.raw[name])
            for name in ("created_time", "current_version", "delete_version_after")
            if self.raw.get(name) is not None
        }
        return {**facts, **{str(key): str(value) for key, value in self.custom.items()}}


class KeyValue:
    """The KV engine of one store."""

    def __init__(self, vault: VaultClient, *, path: str, version: Version) -> None:
        self._vault = vault
        self._path = path
        self.version = version
        self._asking = threading.Lock()
        self._mounts: frozenset[str] = frozenset()

    def place(self, key: str) -> Place:
        """Where `key` is, with or without the mount in front. Raises InvalidRequestError when it names no secret."""
        found = self.folder(key)
        if not found.name:
            raise InvalidRequestError(f"{quoted(key)} names a mount, not a secret")
        return found

    def folder(self, path: str) -> Place:
        """Where a folder is; its name is empty for the whole mount.

        Raises InvalidSpecError when the mount is not the KV engine that the spec says.
        """
        whole = _paths.clean(path)
        if not self._path and not whole:
            raise InvalidRequestError("Without spec.path, a key or find.path has to begin with the mount")
        mount = self._verified_mount(self._path or whole)
        verified = mount is not None
        if mount is None:
            mount = self._path or _paths.guess_mount(whole)
        name = _paths.below_v2(mount, whole) if self.version == "v2" else _paths.below(mount, whole)
        if self.version == "v1" and self._path and mount != self._path:
            # KV v1 has no `data` in between, so a path may lead into a folder of the mount.
            inside = _paths.below(mount, self._path)
            name = "/".join(part for part in (inside, _paths.below(self._path, whole)) if part)
        return Place(mount, name, verified)

    def read(self, place: Place, *, version: str = "") -> Read | None:
        """The data of a version (empty: the current one); None when Vault says that there is no such secret or version.

        Raises AccessDeniedError where a miss can't be believed.
        """
        params = {"version": _version(version)} if version and self.version == "v2" else None
        answer, _ = self._vault.ask(
            "ReadSecretData", "GET", self._url(place, "data"), what=place.shown, params=params, may_miss=True
        )
        data = answer.part("data")
        if data is None or (self.version == "v1" and not answer.ok):
            if answer.ok:
                raise PermanentError(f"Vault answers for {place.shown} without any data")
            self._miss(answer, place)
            return None
        if self.version == "v1":
            return Read(data)
        inner, about = data.get("data"), data.get("metadata")
        # Only KV v2 adds metadata: an entry of a v1 secret may be named `data`, too.
        if not isinstance(about, Mapping) or not isinstance(inner, Mapping | None):
            raise InvalidSpecError(
                f"{place.shown} is not on a KV v2 mount: correct spec.path or spec.version"
            )
        return Read(inner, int(about.get("version") or 0))

    def metadata(self, place: Place) -> Metadata | None:
        """KV v2 only: what is known of the secret; None when Vault says that there is none."""
        answer, _ = self._vault.ask(
            "ReadSecretData",
            "GET",
            self._url(place, "metadata"),
            what=f"metadata of {place.shown}",
            may_miss=True,
        )
        data = answer.part("data")
        if answer.ok and data is not None:
            return Metadata(data)
        self._miss(answer, place)
        return None

    def names(self, place: Place) -> list[str]:
        """What is directly in a folder; names of folders end in a slash. Empty when there is no such folder."""
        url = self._url(place, "metadata")
        answer, _ = self._vault.ask("ListSecrets", "LIST", url, what=f"list of {place.shown}", may_miss=True)
        data = answer.part("data")
        if answer.ok and data is not None:
            return [str(name) for name in data.get("keys") or ()]
        self._miss(answer, place)
        return []

    def write(
        self, place: Place, data: Mapping[str, Any], *, cas: int | None = None, call: str = "WriteSecretData"
    ) -> None:
        """Write the secret's data. With `cas` (v2) only over that version. Raises ConflictError when it is another."""
        body: dict[str, Any] = dict(data)
        if self.version == "v2":
            body = {"data": dict(data)}
            if cas is not None:
                body["options"] = {"cas": cas}
        self._vault.ask(call, "POST", self._url(place, "data"), what=place.shown, body=body)

    def write_metadata(self, place: Place, custom: Mapping[str, str]) -> None:
        """KV v2 only: set the user's part of the metadata, whole."""
        self._vault.ask(
            "WriteSecretData",
            "POST",
            self._url(place, "metadata"),
            what=f"metadata of {place.shown}",
            body={"custom_metadata": dict(custom)},
        )

    def delete(self, place: Place) -> None:
        """Remove the secret with all its versions."""
        url = self._url(place, "metadata")
        self._vault.ask("DeleteSecret", "DELETE", url, what=place.shown, may_miss=True)

    def check_mount(self) -> str:
        """Look at the mount, if spec.path names one. Returns a warning, empty when all is well."""
        if self._path and self._verified_mount(self._path) is None:
            return f"The token may not see a mount {self._path!r}, or there is none: extend its policy or correct spec.path"
        return ""

    def _url(self, place: Place, api: str) -> str:
        parts = [place.mount, api, place.name] if self.version == "v2" else [place.mount, place.name]
        return _paths.quote_path("/".join(part for part in parts if part))

    def _miss(self, answer: Answer, place: Place) -> None:
        """Return if the 404 says "no such secret"; raise what else it says."""
        deleted = self.version == "v2" and answer.part("data") is not None
        if answer.status != 404 or (answer.errors != () and not deleted) or answer.warned:
            raise refusal(answer, place.shown)
        if not place.verified:
            raise AccessDeniedError(
                f"Vault finds nothing at {place.shown}, but the token may not see what is mounted at {quoted(place.mount)}, so"
                " that can't be told from a wrong mount: extend its policy or correct the path"
            )

    def _verified_mount(self, path: str) -> str | None:
        known = self._known_mount(path)
        if known is not None:
            return known
        # One caller asks, the others wait for what it hears.
        busy = f"Another call's question for the mount of {quoted(path)} does not come to an end"
        with held(self._asking, busy=busy):
            found = self._known_mount(path) or self._ask_mount(path)
            if found is not None:
                self._mounts |= {found}
            return found

    def _known_mount(self, path: str) -> str | None:
        return next((mount for mount in self._mounts if path == mount or path.startswith(f"{mount}/")), None)

    def _ask_mount(self, path: str) -> str | None:
        try:
            answer, _ = self._vault.ask(
                "ReadMount",
                "GET",
                f"sys/internal/ui/mounts/{_paths.quote_path(path)}",
                what=f"the mount of {quoted(path)}",
                may_miss=True,
            )
        except AccessDeniedError:
            return None  # no such mount, or no policy for anything on it: the read itself will tell
        data = answer.part("data")
        if data is None or not isinstance(data.get("path"), str):
            return None
        mount = str(data["path"]).strip("/")
        options = data.get("options")
        number = str(options.get("version") or "1") if isinstance(options, Mapping) else "1"
        self._check(mount, kind=str(data.get("type")), number=number)
        return mount

    def _check(self, mount: str, *, kind: str, number: str) -> None:
        if kind not in _V1_TYPES:
            raise InvalidSpecError(
                f"spec.path: what is mounted at {mount!r} is no KV engine: use the VaultDynamicSecret generator, or"
                " correct the path"
            )
        if f"v{number}" != self.version:
            raise InvalidSpecError(
                f"spec.version: {mount!r} is KV version {number}, not {self.version[1:]}: set version: v{number}"
            )
        if self.version == "v2" and self._path and mount != self._path:
            raise InvalidSpecError(
                f"spec.path: the mount is {mount!r}, and {self._path!r} is a folder in it: set path: {mount} and put the"
                " folder into the keys"
            )


def _version(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequestError(f"version {quoted(text)} is no version of a KV secret: use a number")
    return text
