"""The folder that results go to: Secrets, the status of each ExternalSecret, and states of generators.

Everything may hold secrets, so folders are 0700 and files 0600. A file is replaced in one step: whoever is interrupted
leaves the old one or the new one. Nothing outside this folder is ever written.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from provider_common.errors import InvalidSpecError
from provider_common.manifests import ManifestError, read_manifests

from eso_core.api.externalsecret import ExternalSecret
from eso_core.api.generatorstate import GeneratorState, instant, parse_generator_state, parse_instant
from eso_core.api.meta import EXTERNAL_SECRET_API_VERSION
from eso_core.api.secrets import Secret, parse_secret
from eso_core.reconcile.world import Managed, SyncStatus

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TEMPORARY = ".tmp"


class OutputError(Exception):
    """The folder can't be used. The text names the path and what to do."""


class Output:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self._statuses = folder / "status"
        self._states = folder / "generatorstates"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Use the folder alone: a second core on the same folder would undo what the first does. Raises OutputError."""
        try:
            if not self.folder.exists():
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                self.folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutputError(
                f"{self.folder} can't be written to: {error.strerror}: name another with --output"
            ) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OutputError(
                    f"another eso-core is writing to {self.folder}: stop it, or name another folder with --output"
                ) from None
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what an interrupted run left half written."""
        for folder in (self.secrets, self._statuses, self._states):
            for path in folder.glob(f"*/.*{_TEMPORARY}"):
                path.unlink(missing_ok=True)

    # Secrets

    def secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret as it was written. Raises InvalidSpecError when somebody broke the file."""
        content = self._read(self.secrets / namespace / f"{name}.yaml")
        return None if content is None else parse_secret(content)

    def write_secret(self, secret: Secret) -> Path:
        """Write the Secret. Raises OSError."""
        return self._write(self.secrets, secret.meta.namespace, secret.meta.name, secret.manifest())

    def delete_secret(self, namespace: str, name: str) -> None:
        """Remove the Secret. Raises OSError; that there is none is fine."""
        (self.secrets / namespace / f"{name}.yaml").unlink(missing_ok=True)

    def all_secrets(self) -> Iterator[Secret]:
        """Every Secret that can be read."""
        for content in self._all(self.secrets):
            try:
                yield parse_secret(content)
            except InvalidSpecError:
                continue

    # Status of ExternalSecrets

    def status(self, namespace: str, name: str) -> SyncStatus:
        """What the last sync left. A file that was lost or broken means "never synced"."""
        try:
            content = self._read(self._statuses / namespace / f"{name}.yaml")
            return SyncStatus() if content is None else _status_of(content)
        except (InvalidSpecError, KeyError, TypeError, AttributeError):
            return SyncStatus()

    def write_status(self, external_secret: ExternalSecret, status: SyncStatus, now: datetime) -> None:
        """Keep the status. Raises OSError."""
        meta = external_secret.meta
        content = self._read_quietly(self._statuses / meta.namespace / f"{meta.name}.yaml")
        manifest = _status_manifest(external_secret, status, _transition(content, status, now))
        if manifest != content:
            self._write(self._statuses, meta.namespace, meta.name, manifest)

    def forget_statuses(self, living: set[tuple[str, str]]) -> None:
        """Remove the status of every ExternalSecret that is no longer there."""
        for path in self._statuses.glob("*/*.yaml"):
            if (path.parent.name, path.stem) not in living:
                path.unlink(missing_ok=True)

    # States of generators

    def states(self) -> list[GeneratorState]:
        """Every state that is kept."""
        states = []
        for content in self._all(self._states):
            try:
                states.append(parse_generator_state(content))
            except (InvalidSpecError, KeyError):
                continue
        return states

    def write_state(self, state: GeneratorState) -> None:
        """Keep the state. Raises OSError."""
        self._write(self._states, state.namespace, state.name, state.manifest())

    def delete_state(self, state: GeneratorState) -> None:
        """Forget the state: what it stood for is gone."""
        (self._states / state.namespace / f"{state.name}.yaml").unlink(missing_ok=True)

    # Files

    def _all(self, folder: Path) -> Iterator[dict[str, Any]]:
        for path in sorted(folder.glob("*/*.yaml")):
            content = self._read_quietly(path)
            if content is not None:
                yield content

    def _read_quietly(self, path: Path) -> dict[str, Any] | None:
        try:
            return self._read(path)
        except InvalidSpecError:
            return None

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            manifests = read_manifests(path).manifests
        except FileNotFoundError:
            return None
        except (OSError, ManifestError):
            raise InvalidSpecError(
                f"{path} can't be read as a manifest: remove it, it will be made again"
            ) from None
        return manifests[0].content if manifests else None

    def _write(self, folder: Path, namespace: str, name: str, manifest: dict[str, Any]) -> Path:
        for directory in (folder, folder / namespace):
            directory.mkdir(mode=0o700, exist_ok=True)
        path = folder / namespace / f"{name}.yaml"
        text = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
        _replace(path, text.encode())
        return path


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _status_manifest(external_secret: ExternalSecret, status: SyncStatus, transition: str) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": "True" if status.ready else "False",
        "reason": status.reason,
        "message": status.message,
        "lastTransitionTime": transition,
    }
    content: dict[str, Any] = {"conditions": [condition]}
    if status.refresh_time is not None:
        content["refreshTime"] = instant(status.refresh_time)
        content["syncedResourceVersion"] = status.synced_version
        content["binding"] = {"name": external_secret.target_name}
    content["managed"] = {
        "data": sorted(status.managed.data),
        "labels": sorted(status.managed.labels),
        "annotations": sorted(status.managed.annotations),
    }
    content["inputs"] = status.inputs
    meta = external_secret.meta
    return {
        "apiVersion": EXTERNAL_SECRET_API_VERSION,
        "kind": "ExternalSecret",
        "metadata": {"name": meta.name, "namespace": meta.namespace},
        "status": content,
    }


def _transition(before: dict[str, Any] | None, status: SyncStatus, now: datetime) -> str:
    """The time of the last change of the condition's status, as text."""
    try:
        condition = (before or {})["status"]["conditions"][0]
        if condition["status"] == ("True" if status.ready else "False"):
            return str(condition["lastTransitionTime"])
    except (KeyError, IndexError, TypeError):
        pass
    return instant(now)


def _status_of(content: dict[str, Any]) -> SyncStatus:
    status = content["status"]
    condition = status["conditions"][0]
    refreshed = status.get("refreshTime")
    managed = status.get("managed") or {}
    return SyncStatus(
        refresh_time=None if refreshed is None else parse_instant(refreshed, "status"),
        synced_version=str(status.get("syncedResourceVersion") or ""),
        reason=str(condition["reason"]),
        ready=condition["status"] == "True",
        message=str(condition["message"]),
        managed=Managed(
            frozenset(managed.get("data") or ()),
            frozenset(managed.get("labels") or ()),
            frozenset(managed.get("annotations") or ()),
        ),
        inputs=str(status.get("inputs") or ""),
    )
