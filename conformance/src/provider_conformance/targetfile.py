"""Reads a target file. Its form is published as `target.schema.json`; here it becomes the objects of `target`.

Unknown fields and wrong types are errors that name the field: a misspelled limit must not excuse anything silently.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import json
import subprocess
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from provider_conformance.target import (
    Existing,
    Faults,
    GeneratorTarget,
    Hang,
    Limits,
    Obj,
    StoreTarget,
    Target,
    TargetError,
    Tls,
)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CommandSeeder:
    """Seeds by a command. It gets one JSON document on standard input, and says by its exit status whether it worked."""

    command: tuple[str, ...]
    folder: Path

    def put(self, store: str, key: str, value: bytes, tags: Mapping[str, str]) -> None:
        """Create or replace a secret."""
        value_base64 = base64.b64encode(value).decode()
        self._run({"op": "put", "store": store, "key": key, "value_base64": value_base64, "tags": dict(tags)})

    def delete(self, store: str, key: str) -> None:
        """Remove a secret."""
        self._run({"op": "delete", "store": store, "key": key})

    def _run(self, order: dict[str, Any]) -> None:
        done = subprocess.run(  # noqa: S603 - the target's own command
            self.command,
            input=json.dumps(order),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.command[0]} ended with {done.returncode}: {done.stderr.strip()[:200]}")


@dataclass(frozen=True, slots=True)
class CommandProcess:
    """Stops and starts the provider by commands."""

    stop_command: tuple[str, ...]
    start_command: tuple[str, ...]
    folder: Path

    def start(self) -> None:
        """Run the start command, which has to leave the provider running."""
        subprocess.run(self.start_command, cwd=self.folder, timeout=60, check=True)  # noqa: S603 - the target's own

    def stop(self) -> int:
        """Run the stop command, which has to wait and to end with the provider's exit status."""
        return subprocess.run(self.stop_command, cwd=self.folder, timeout=60, check=False).returncode  # noqa: S603


def schema() -> dict[str, Any]:
    """The JSON schema of target files."""
    text = resources.files("provider_conformance").joinpath("target.schema.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def load_target(
    file: Path, *, endpoint: str = "", tls_dir: Path | None = None, plaintext: bool = False
) -> Target:
    """The target that a file describes. `endpoint` and `tls_dir` win over what it says.

    Raises TargetError, naming the field.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise TargetError(f"{file}: cannot be read: {problem}") from None
    if not isinstance(content, dict) or content.pop("target", None) != FORMAT:
        raise TargetError(f"{file}: target: has to be {FORMAT}, the version of this file's format")
    base = file.parent
    content["endpoint"] = endpoint or content.get("endpoint", "")
    content["tls"] = None if plaintext else _tls(content.get("tls") or {}, base, tls_dir)
    target: Target = _build(Target, content, "", base)
    return target


def asked_otherwise(target: Target, *, contract: str | None = None, dialect: Any = None) -> Target:
    """The target, asked by another contract version or in another dialect. Raises TargetError for a malformed version."""
    if contract:
        target = replace(target, contract=_contract(contract, "contract", Path()))
    return replace(target, dialect=dialect) if dialect else target


def _tls(given: Any, base: Path, folder: Path | None) -> Tls:
    """Certificates: `dir` has what the core's Secret has; the other fields add to it."""
    content = _mapping(given, "tls")
    pairs = _texts(content.pop("bad", {}), "tls.bad")
    content = _texts(content, "tls")
    if folder is None:
        if "dir" not in content:
            raise TargetError("tls.dir: the folder with ca.crt, client.crt and client.key has to be given")
        folder = base / content["dir"]
    content.pop("dir", None)
    cert, key = _pair(folder)
    bad = {name: _pair(base / where) for name, where in pairs.items()}
    ca_key = content.pop("ca_key", "")
    rewrite = content.pop("rewrite_dir", "")
    name = content.pop("server_name", "")
    if content:
        raise TargetError(f"tls.{min(content)}: there is no such field")
    return Tls(
        ca=_read(folder / "ca.crt"),
        cert=cert,
        key=key,
        server_name=name,
        ca_key=_read(base / ca_key) if ca_key else None,
        bad=bad,
        rewrite_dir=base / rewrite if rewrite else None,
    )


def _mapping(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TargetError(f"{path}: has to be a mapping")
    return {str(name): entry for name, entry in value.items()}


def _texts(value: Any, path: str) -> dict[str, str]:
    found = _mapping(value, path)
    for name, entry in found.items():
        if not isinstance(entry, str):
            raise TargetError(f"{path}.{name}: has to be a text")
    return found


def _command(value: Any, path: str) -> tuple[str, ...]:
    """A command as the list of its words: a text would have to be taken apart by somebody's rules."""
    if not isinstance(value, list) or not value:
        raise TargetError(f"{path}: has to be a list, the program and its arguments")
    return tuple(map(str, value))


def _pair(folder: Path) -> tuple[bytes, bytes]:
    stem = "client" if (folder / "client.crt").exists() else "tls"
    return _read(folder / f"{stem}.crt"), _read(folder / f"{stem}.key")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise TargetError(f"tls: {file} cannot be read: {problem.strerror}") from None


def _seed(value: Any, path: str, base: Path) -> Any:
    if value in ("push", "none"):
        return value
    if isinstance(value, dict) and list(value) == ["command"]:
        return CommandSeeder(_command(value["command"], f"{path}.command"), base)
    if isinstance(value, dict) and list(value) == ["hook"]:
        module, _, name = str(value["hook"]).partition(":")
        try:
            found = importlib.import_module(module)
            hook = getattr(found, name) if name else found
        except (ImportError, AttributeError) as problem:
            raise TargetError(f"{path}: the hook cannot be loaded: {problem}") from None
        return hook() if isinstance(hook, type) else hook
    raise TargetError(f"{path}: has to be push, none, or one of command and hook")


def _process(value: Any, path: str, base: Path) -> CommandProcess:
    if not isinstance(value, dict) or set(value) != {"stop", "start"}:
        raise TargetError(f"{path}: has to have stop and start")
    stop, start = (_command(value[name], f"{path}.{name}") for name in ("stop", "start"))
    return CommandProcess(stop, start, base)


def _contract(value: Any, path: str, base: Path) -> tuple[int, int]:  # noqa: ARG001 - one form for all of them
    major, _, minor = str(value).partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise TargetError(f'{path}: has to be MAJOR.MINOR in quotes, such as "1.1"')
    return int(major), int(minor)


_VALUES = {"value", "value_base64", "value_file"}


def _existing(value: Any, path: str, base: Path) -> Existing:
    """One entry of `keys`: its value stands there as text, in base64, or in a file."""
    if (
        not isinstance(value, dict)
        or not {"key"} <= set(value) <= {"key", "property", "version", *_VALUES}
        or len(set(value) & _VALUES) != 1
    ):
        raise TargetError(
            f"{path}: has to have key, one of value, value_base64 and value_file, and maybe property and version"
        )
    try:
        if "value" in value:
            content = str(value["value"]).encode()
        elif "value_base64" in value:
            content = base64.b64decode(str(value["value_base64"]), validate=True)
        else:
            content = (base / str(value["value_file"])).read_bytes()
    except (OSError, ValueError) as problem:
        raise TargetError(f"{path}: the value can't be had: {problem}") from None
    return Existing(str(value["key"]), content, str(value.get("property", "")), str(value.get("version", "")))


_SPECIAL: dict[Any, Callable[[Any, str, Path], Any]] = {
    ("StoreTarget", "seed"): _seed,
    ("Target", "process"): _process,
    ("Target", "contract"): _contract,
}
_NESTED = (StoreTarget, GeneratorTarget, Limits, Faults, Hang, Obj)


def _build(kind: type[Any], content: Any, path: str, base: Path) -> Any:
    """An object of this dataclass from a mapping: every field by its own type."""
    if not isinstance(content, dict):
        raise TargetError(f"{path or 'the file'}: has to be a mapping")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in content:
        if name not in fields:
            raise TargetError(f"{path}{name}: there is no such field")
    for name, field in fields.items():
        if field.default is MISSING and field.default_factory is MISSING and name not in content:
            raise TargetError(f"{path}{name}: has to be given")
    made = {
        name: _value(kind, name, hints[name], value, f"{path}{name}", base) for name, value in content.items()
    }
    return kind(**made)


def _value(kind: type[Any], name: str, hint: Any, value: Any, path: str, base: Path) -> Any:
    if value is None or isinstance(value, Tls):
        return value
    if (special := _SPECIAL.get((kind.__name__, name))) is not None:
        return special(value, path, base)
    return _typed(hint, value, path, base)


def _typed(hint: Any, value: Any, path: str, base: Path) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _typed(hint, value, path, base)
    if origin is typing.Literal:
        if value not in arguments:
            raise TargetError(f"{path}: {value!r} is not one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise TargetError(f"{path}: has to be a list")
        return tuple(_typed(arguments[0], entry, f"{path}[{n}]", base) for n, entry in enumerate(value))
    if hint is Existing:
        return _existing(value, path, base)
    if hint in _NESTED:
        return _build(hint, value, f"{path}.", base)
    if origin is not None:  # a mapping of texts
        return {name: str(entry) for name, entry in _mapping(value, path).items()}
    if hint is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TargetError(f"{path}: has to be of type {hint.__name__}")
    return value


__all__ = ["CommandProcess", "CommandSeeder", "asked_otherwise", "load_target", "schema"]
