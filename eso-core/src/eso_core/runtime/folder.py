"""A folder of manifests, read once: what the core acts on, and what is wrong with it.

The providers' own objects are not understood here, only noticed when they change: they belong to the providers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provider_common.errors import InvalidSpecError
from provider_common.manifests import SUFFIXES, Manifest, ManifestError, read_manifests

from eso_core.api.externalsecret import ExternalSecret, parse_external_secret
from eso_core.api.meta import Meta, parse_meta
from eso_core.api.secrets import Secret, parse_config_map, parse_secret
from eso_core.api.stores import STORE_KINDS, Store, parse_store

ObjectKey = tuple[str, str, str]
"""kind, namespace (empty for cluster kinds), name."""
_CLUSTER_KINDS = frozenset({"ClusterSecretStore", "ClusterGenerator", "Namespace"})
_OUR_GROUPS = ("secretstore.external-secrets.io", "generator.external-secrets.io")
_NOT_YET = frozenset({"PushSecret", "ClusterExternalSecret", "ClusterPushSecret"})
_RESTLESS = 20
"""Looks after which a folder that never rests is taken as it is."""
Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """An ExternalSecret that can't be acted on."""

    namespace: str
    name: str
    message: str


@dataclass(slots=True)
class Loaded:
    """What a folder holds. A store that can't be used is kept as the reason why."""

    external_secrets: list[ExternalSecret] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    stores: dict[ObjectKey, Store | str] = field(default_factory=dict)
    secrets: dict[tuple[str, str], Secret | str] = field(default_factory=dict, repr=False)
    config_maps: dict[tuple[str, str], Mapping[str, bytes] | str] = field(default_factory=dict, repr=False)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    digests: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    """Hash of each provider's object, by apiVersion, kind, namespace and name."""
    problems: list[str] = field(default_factory=list)
    """What keeps the folder as a whole from being understood, by file and line."""
    notes: list[str] = field(default_factory=list)
    empty: bool = True
    """Whether there is not a single manifest."""

    @property
    def whole(self) -> bool:
        """True when nothing is wrong: only then may something be removed because it is not in the folder.

        A folder without any manifest is rather one that was not mounted, or is being checked out, than one that says that
        everything is to go.
        """
        return not self.problems and not self.broken and not self.empty


def signature(folder: Path) -> Signature:
    """What changes when a manifest is added, changed or removed."""
    found = []
    for path in _files(folder)[0]:
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """Every file with manifests, hidden ones left out, in a fixed order (as providers read the same folder), and what can't be
    looked into.
    """
    found: list[Path] = []
    problems: list[str] = []

    def unlisted(error: OSError) -> None:
        problems.append(f"{error.filename} can't be listed: {error.strerror}")

    for where, folders, names in os.walk(folder, onerror=unlisted):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(where, name)
            if not name.startswith(".") and path.suffix in SUFFIXES:
                found.append(path)
    return sorted(found), problems


class Watch:
    """Tells when a folder has changed and has come to rest: many a program removes a file before it writes it again, and what
    is missing for a moment must not cost anybody a Secret.
    """

    def __init__(self, folder: Path, seen: Signature) -> None:
        self._folder = folder
        self._seen = self._last = seen
        self._looks = 0

    def look(self) -> bool:
        """True when the folder is not as it was seen, and has not changed since the last look (or keeps changing)."""
        now = signature(self._folder)
        if now == self._seen:
            self._last, self._looks = now, 0
            return False
        self._looks += 1
        rests, self._last = now == self._last, now
        return rests or self._looks >= _RESTLESS


def load_at_rest(folder: Path) -> tuple[Loaded, Signature]:
    """Everything in `folder`, and its signature: the one before reading, when it is also the one after."""
    for _ in range(_RESTLESS):
        seen = signature(folder)
        loaded = load(folder)
        if signature(folder) == seen:
            break
    return loaded, seen


def load(folder: Path) -> Loaded:
    """Everything in `folder`. Problems are collected, not raised."""
    files, problems = _files(folder)
    loaded = Loaded(problems=problems)
    seen: dict[tuple[str, str, str, str], str] = {}
    for path in files:
        name = str(path.relative_to(folder))
        try:
            parsed = read_manifests(path)
        except ManifestError as error:
            loaded.problems.append(f"{name} {error}")
            continue
        except OSError as error:
            loaded.problems.append(f"{name}: {error.strerror}")
            continue
        loaded.problems += [f"{name} {text}" for text in parsed.problems]
        for manifest in parsed.manifests:
            loaded.empty = False
            namespace = "" if manifest.kind in _CLUSTER_KINDS else manifest.namespace
            key = (manifest.api_version, manifest.kind, namespace, manifest.name)
            place = f"{name} line {manifest.line}"
            if key in seen:
                where = f"{namespace}/{manifest.name}" if namespace else manifest.name
                loaded.problems.append(
                    f"{place}: {manifest.kind} {where} is also in {seen[key]}: remove one of them"
                )
                continue
            seen[key] = place
            _take(loaded, manifest, place)
    loaded.external_secrets.sort(key=lambda item: (item.meta.namespace, item.meta.name))
    return loaded


def _take(loaded: Loaded, manifest: Manifest, place: str) -> None:
    group = manifest.api_version.rpartition("/")[0]
    if (manifest.api_version, manifest.kind) in STORE_KINDS:
        _take_store(loaded, manifest)
    elif group == "external-secrets.io":
        _take_ours(loaded, manifest, place)
    elif group in _OUR_GROUPS:
        loaded.problems.append(
            f"{place}: {manifest.api_version} {manifest.kind} is unknown: the kinds are SecretStore and ClusterSecretStore of "
            "secretstore.external-secrets.io/v2alpha1, Generator and ClusterGenerator of generator.external-secrets.io/v2alpha1"
        )
    elif manifest.api_version == "v1":
        _take_core(loaded, manifest, place)
    else:
        # What JSON can't express is for the provider to refuse; that it changed is seen all the same.
        text = repr(manifest.content.get("spec"))
        key = (manifest.api_version, manifest.kind, manifest.namespace, manifest.name)
        loaded.digests[key] = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _take_store(loaded: Loaded, manifest: Manifest) -> None:
    namespace = "" if manifest.kind in _CLUSTER_KINDS else manifest.namespace
    try:
        store: Store | str = parse_store(manifest.content)
    except InvalidSpecError as error:
        store = error.message
    loaded.stores[manifest.kind, namespace, manifest.name] = store


def _take_ours(loaded: Loaded, manifest: Manifest, place: str) -> None:
    where = f"{manifest.kind} {manifest.namespace}/{manifest.name}"
    if manifest.kind == "ExternalSecret":
        try:
            loaded.external_secrets.append(parse_external_secret(manifest.content))
        except InvalidSpecError as error:
            loaded.broken.append(Broken(manifest.namespace, manifest.name, error.message))
    elif manifest.kind in _NOT_YET:
        loaded.problems.append(
            f"{place}: {where}: {manifest.kind} is not supported by this core yet: take it out of the folder"
        )
    else:
        loaded.notes.append(f"{place}: {where} is a v1 object: this core does not use it")


def _take_core(loaded: Loaded, manifest: Manifest, place: str) -> None:
    key = (manifest.namespace, manifest.name)
    match manifest.kind:
        case "Secret":
            try:
                loaded.secrets[key] = parse_secret(manifest.content)
            except InvalidSpecError as error:
                loaded.secrets[key] = error.message
                loaded.problems.append(f"{place}: {error.message}")
        case "ConfigMap":
            try:
                loaded.config_maps[key] = parse_config_map(manifest.content)[1]
            except InvalidSpecError as error:
                loaded.config_maps[key] = error.message
                loaded.problems.append(f"{place}: {error.message}")
        case "Namespace":
            try:
                meta: Meta = parse_meta(manifest.content, namespaced=False)
                loaded.namespaces[meta.name] = meta.labels
            except InvalidSpecError as error:
                loaded.problems.append(f"{place}: {error.message}")
