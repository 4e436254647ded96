"""The state of a folder of manifests at one time: what objects there are, from which file, and what is wrong.

A scan reads only the files whose time stamp, size or inode changed. What is broken for a moment keeps its last good state;
every problem names the file and the line, and never repeats what is written there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from provider_common._manifest_data import account_info, config_map_data, secret_data
from provider_common.kube import KubeObject, ServiceAccountInfo
from provider_common.manifests import SUFFIXES, Manifest, ManifestError, read_manifests

_log = logging.getLogger(__name__)

Key = tuple[str, str, str, str]
"""apiVersion, kind, namespace, name."""
Signature = tuple[int, int, int]
Types = frozenset[tuple[str, str]]
"""apiVersion and kind of the configuration objects to read."""

_HALF_WRITTEN = 1.0  # seconds for which an empty file is taken for one that is just being written
_ALWAYS: Types = frozenset({("v1", "Secret"), ("v1", "ConfigMap"), ("v1", "ServiceAccount")})


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One object of a file. `value` is what reads return, or the text of an InvalidSpecError."""

    key: Key
    line: int
    value: KubeObject | Mapping[str, bytes] | ServiceAccountInfo | str = field(repr=False)
    digest: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was last read well, and what is wrong with it now."""

    signature: Signature | None
    entries: tuple[Entry, ...] = ()
    problem: str = ""
    read_well: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything in the folder at one time. Never changed: a later state is another snapshot."""

    files: Mapping[str, File]
    entries: Mapping[Key, tuple[str, Entry]]
    problems: Mapping[str, str]
    """By relative name of the file or folder."""
    unlisted: Mapping[str, str]
    """Folders that can't be listed now, with the reason: the part of `problems` that is not about files."""
    unread: tuple[str, ...] = ()
    """Files and folders that could never be read: what is not found may be in one of them."""


NOTHING = Snapshot({}, {}, {}, {}, (".",))
"""Before the first look."""


def scan(folder: Path, types: Types, last: Snapshot) -> Snapshot:
    """The folder's state now; `last` itself when nothing changed. Reads objects of `types`, and what holds credentials."""
    files: dict[str, File] = {}
    unread: list[str] = []
    unlisted: dict[str, str] = {}
    for name, found in _walk(folder, ""):
        if isinstance(found, str):  # a folder that can't be listed keeps what was in it
            kept = {n: f for n, f in last.files.items() if name == "." or n.startswith(f"{name}/")}
            files.update(kept)
            unlisted[name] = found
            if not kept:
                unread.append(name)
            continue
        before = last.files.get(name)
        same = before is not None and before.signature == found
        files[name] = before if before and same else _load(folder, name, found, types, before)
    if last is not NOTHING and files == last.files and unlisted == last.unlisted:
        return last
    return _index(files, last, unlisted, unread)


def _load(folder: Path, name: str, signature: Signature, types: Types, before: File | None) -> File:
    entries = before.entries if before else ()
    was_read = before is not None and before.read_well
    if entries and signature[1] == 0 and time.time() - signature[0] / 1e9 < _HALF_WRITTEN:
        # Many an editor truncates a file before it writes: not believed yet, and looked at again.
        return File(None, entries, "", was_read)
    try:
        parsed = read_manifests(folder / name)
    except ManifestError as error:
        return File(signature, entries, f"{name} {error}", was_read)
    except OSError as error:
        return File(None, entries, f"{name}: {os.strerror(error.errno or errno.EIO)}", was_read)
    wanted = types | _ALWAYS
    made = tuple(_entry(name, m) for m in parsed.manifests if (m.api_version, m.kind) in wanted)
    bad = (entry.value for entry in made if isinstance(entry.value, str))
    return File(signature, made, "; ".join((*(f"{name} {text}" for text in parsed.problems), *bad)))


def _entry(file: str, manifest: Manifest) -> Entry:
    value: KubeObject | Mapping[str, bytes] | ServiceAccountInfo
    digest = b""
    try:
        match manifest.kind if manifest.api_version == "v1" else "":
            case "Secret":
                value = secret_data(manifest.content)
            case "ConfigMap":
                value = config_map_data(manifest.content)
            case "ServiceAccount":
                value = account_info(
                    manifest.content, manifest.namespace, manifest.name, uid=_uid(manifest.key)
                )
            case _:
                value, digest = _object(manifest)
    except ValueError as error:
        where = f"{manifest.kind} {manifest.namespace}/{manifest.name}"
        return Entry(manifest.key, manifest.line, f"{file} line {manifest.line}: {where}: {error}")
    return Entry(manifest.key, manifest.line, value, digest)


def _index(files: dict[str, File], last: Snapshot, unlisted: dict[str, str], unread: list[str]) -> Snapshot:
    entries: dict[Key, tuple[str, Entry]] = {}
    problems = dict(unlisted)
    for name in sorted(files):
        file = files[name]
        texts = [file.problem] if file.problem else []
        if not file.read_well:
            unread.append(name)
        for entry in file.entries:
            if (first := entries.get(entry.key)) is not None:
                _, kind, namespace, object_name = entry.key
                texts.append(
                    f"{name} line {entry.line}: {kind} {namespace}/{object_name} is also in {first[0]}"
                    f" line {first[1].line}, and that one counts"
                )
            else:
                entries[entry.key] = (name, _continued(entry, last.entries.get(entry.key)))
        if texts:
            problems[name] = "; ".join(texts)
    _tell(problems, last.problems)
    return Snapshot(files, entries, problems, unlisted, tuple(unread))


def _continued(entry: Entry, before: tuple[str, Entry] | None) -> Entry:
    """An object that is as before is the same object; a changed one is of the next generation."""
    now = entry.value
    was = before[1].value if before else None
    if before is None or not isinstance(now, KubeObject) or not isinstance(was, KubeObject):
        return entry
    if before[1].digest != entry.digest:
        generation = was.generation + 1
        was = replace(now, generation=generation, resource_version=str(generation))
    return Entry(entry.key, entry.line, was, entry.digest)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Signature | str]]:
    """Files with manifests below `folder`, by relative name; a folder that can't be listed comes with the reason."""
    where = prefix.rstrip("/") or "."
    try:
        with os.scandir(os.path.join(folder, prefix)) as found:  # noqa: PTH118 - twice as fast, and often done
            inside = [entry for entry in found if not entry.name.startswith(".")]
    except FileNotFoundError:
        if not prefix:
            yield where, f"the folder {str(folder)!r} does not exist"
        return
    except OSError as error:
        yield where, f"the folder {where!r} can't be listed: {os.strerror(error.errno or errno.EIO)}"
        return
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, f"{prefix}{entry.name}/")
        elif os.path.splitext(entry.name)[1] in SUFFIXES:  # noqa: PTH122 - hot path
            signature = signature_of(entry.path)
            if signature is not None:
                yield f"{prefix}{entry.name}", signature


def signature_of(path: str) -> Signature | None:
    """What changes when the file does; None when there is no such file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - hot path
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _object(manifest: Manifest) -> tuple[KubeObject, bytes]:
    spec = manifest.content.get("spec") or {}
    if not isinstance(spec, dict):
        raise ValueError("spec is not a mapping")  # noqa: TRY004 - one kind of error: what a manifest says can't be
    try:
        text = json.dumps(spec, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("spec can't be expressed as JSON") from None
    uid = _uid(manifest.key)
    api_version, kind, namespace, name = manifest.key
    value = KubeObject(api_version, kind, namespace, name, spec, uid=uid, generation=1, resource_version="1")
    return value, hashlib.sha256(text.encode()).digest()


def _uid(key: Key) -> str:
    """The same object has the same UID in every process that reads the folder."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(key)))


def _tell(problems: Mapping[str, str], before: Mapping[str, str]) -> None:
    for name, text in problems.items():
        if before.get(name) != text:
            _log.warning("manifests: %s", text)
    for name in before.keys() - problems.keys():
        _log.info("manifests: %s is in order again", name)
