"""The folder that results go to: Secrets, the status of each ExternalSecret, and states of generators.

Everything may hold secrets, so folders are 0700 and files 0600. A file is replaced in one step: whoever is interrupted
leaves the old one or the new one. Nothing outside this folder is ever written.
"""

from __future__ import annotations

import fcntl
import os
import re
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

_BaseDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TEMPORARY = ".tmp"
_SOURCE = ".source"
PARTS = ("secrets", "status", "generatorstates")
"""The folders that are written to."""


class _Dumper(_BaseDumper):  # type: ignore[misc]  # the base is chosen at run time
    """Puts in quotes what PyYAML takes for text and Kubernetes for a number or a boolean: `12345e7`, `0o17`, `08`, `y`."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[.0-9][-+._0-9eEoO]*$"), list("-+.0123456789")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]$"), list("yYnN"))


class OutputError(Exception):
    """The folder can't be used. The text names the path and what to do."""


class Output:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets, self._statuses, self._states = (folder / part for part in PARTS)

    @contextmanager
    def opened(self, source: Path | None = None) -> Iterator[None]:
        """Use the folder alone, for the manifests in `source`: a second core on the same folder, or other manifests, would
        undo what was done before. Raises OutputError.
        """
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
            if source is not None:
                self._claim(source.resolve())
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    def _claim(self, source: Path) -> None:
        """Note whose results these are. A folder that was moved or removed gives them up."""
        note = self.folder / _SOURCE
        try:
            before = Path(note.read_text(errors="surrogateescape").strip() or source)
        except OSError:
            before = source
        if before != source and before.is_dir():
            raise OutputError(
                f"{self.folder} holds what was made of {before}, and would lose it to {source}: name another folder with "
                f"--output, or remove {note} if that is meant"
            )
        try:
            _replace(note, os.fsencode(source))
        except OSError as error:
            raise OutputError(
                f"{self.folder} can't be written to: {error.strerror}: name another with --output"
            ) from None

    def _sweep(self) -> None:
        """Remove what an interrupted run left half written."""
        for folder in (self.secrets, self._statuses, self._states):
            for path in folder.glob(f"*/.*{_TEMPORARY}"):
                path.unlink(missing_ok=True)

    # Secrets

    def secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret as it was written. Raises InvalidSpecError when somebody broke the file."""
        path = self.secrets / namespace / f"{name}.yaml"
        try:
            content = self._read(path)
            return None if content is None else parse_secret(content)
        except InvalidSpecError as error:
            raise InvalidSpecError(f"{path}: {error.message}: remove it, it will be made again") from None

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
        except (InvalidSpecError, LookupError, TypeError, AttributeError):
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
        """Every state that is kept and can be read."""
        return [state for state in self._each_state() if isinstance(state, GeneratorState)]

    def lost_states(self) -> list[str]:
        """A text for each file that ought to hold a state, and does not."""
        return [text for text in self._each_state() if isinstance(text, str)]

    def _each_state(self) -> Iterator[GeneratorState | str]:
        for path in sorted(self._states.glob("*/*.yaml")):
            try:
                content = self._read(path)
                if content is not None:
                    yield parse_generator_state(content)
                    continue
                reason = "it holds no manifest"
            except InvalidSpecError as error:
                reason = error.message
            yield (
                f"{path} is no GeneratorState ({reason}): what the generator made can't be cleaned up. Restore the file, or "
                "remove it when nothing is left of it in the backend"
            )

    def state_path(self, state: GeneratorState) -> Path:
        """The file of the state."""
        return self._states / state.namespace / f"{state.name}.yaml"

    def write_state(self, state: GeneratorState) -> None:
        """Keep the state. Raises OSError."""
        self._write(self._states, state.namespace, state.name, state.manifest())

    def delete_state(self, state: GeneratorState) -> None:
        """Forget the state: what it stood for is gone."""
        self.state_path(state).unlink(missing_ok=True)

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
        except OSError as error:
            raise InvalidSpecError(f"it can't be read: {error.strerror}") from None
        except ManifestError as error:
            raise InvalidSpecError(str(error)) from None
        return manifests[0].content if manifests else None

    def _write(self, folder: Path, namespace: str, name: str, manifest: dict[str, Any]) -> Path:
        for directory in (self.folder, folder, folder / namespace):
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
        "target": status.target,
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
        target=str(managed.get("target") or ""),
        managed=Managed(
            frozenset(managed.get("data") or ()),
            frozenset(managed.get("labels") or ()),
            frozenset(managed.get("annotations") or ()),
        ),
        inputs=str(status.get("inputs") or ""),
    )
