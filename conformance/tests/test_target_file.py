"""Target files: read strictly, in the form that the published schema describes."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from provider_conformance.target import Hang, Obj, TargetError
from provider_conformance.targetfile import (
    CommandProcess,
    CommandSeeder,
    asked_otherwise,
    load_target,
    schema,
)

FULL: dict[str, Any] = {
    "target": 1,
    "name": "acme",
    "endpoint": "acme.example:8080",
    "tls": {
        "dir": "tls",
        "ca_key": "tls/ca.key",
        "server_name": "acme",
        "rewrite_dir": "server",
        "bad": {"expired": "tls"},
    },
    "dialect": "s",
    "contract": "1.0",
    "differences_of": "s",
    "call_timeout": 5,
    "metrics_url": "http://acme.example:8081/metrics",
    "health_url": "http://acme.example:8081/healthz",
    "process": {"stop": ["true"], "start": ["true"]},
    "known_failures": {"get.value": "the backend is asleep"},
    "stores": [
        {
            "name": "kv",
            "api_version": "acme.example/v1",
            "kind": "KeyValue",
            "object": "main",
            "namespace": "team-a",
            "seed": {"command": ["seed", "acme"]},
            "key_prefix": "c-",
            "keys": [
                {"key": "a", "value": "text", "version": 3},
                {"key": "b", "value_base64": "AP8=", "property": "p"},
                {"key": "c", "value_file": "tls/ca.crt"},
            ],
            "limits": {
                "values": "object",
                "max_value_bytes": 65536,
                "find": ["name", "tags"],
                "empty_value": False,
            },
            "faults": {"timeout": "slow", "hang": {"key": "hang", "seconds": 8}},
            "second": {"object": "main", "namespace": "team-b"},
        }
    ],
    "generators": [
        {
            "name": "pin",
            "api_version": "acme.example/v1",
            "kind": "Pin",
            "object": "main",
            "namespace": "team-a",
            "fixed": True,
        }
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the full file refers to."""
    (tmp_path / "tls").mkdir()
    for name in ("ca.crt", "ca.key", "client.crt", "client.key"):
        (tmp_path / "tls" / name).write_text(name)
    return tmp_path


def _load(folder: Path, content: Any, **kwargs: Any) -> Any:
    file = folder / "target.yaml"
    file.write_text(yaml.safe_dump(content))
    return load_target(file, **kwargs)


def test_every_field_of_a_full_file_arrives(folder: Path) -> None:
    """What is declared is what the checks see."""
    target = _load(folder, FULL)
    (store,), (generator,) = target.stores, target.generators
    assert (target.contract, target.dialect, target.call_timeout) == ((1, 0), "s", 5.0)
    assert (target.tls.cert, target.tls.ca_key, target.tls.rewrite_dir) == (
        b"client.crt",
        b"ca.key",
        folder / "server",
    )
    assert target.tls.bad == {"expired": (b"client.crt", b"client.key")}
    assert isinstance(target.process, CommandProcess)
    assert store.seed == CommandSeeder(("seed", "acme"), folder)
    assert [(entry.key, entry.value, entry.version) for entry in store.keys] == [
        ("a", b"text", "3"), ("b", b"\0\xff", ""), ("c", b"ca.crt", ""),
    ]  # fmt: skip
    assert store.limits.find == ("name", "tags")
    assert store.faults.hang == Hang("hang", 8)
    assert store.second == Obj("main", "team-b")
    assert generator.fixed


def test_the_command_line_wins(folder: Path) -> None:
    """One file serves several addresses and dialects."""
    target = _load(folder, FULL, endpoint="127.0.0.1:1", tls_dir=folder / "tls")
    target = asked_otherwise(target, contract="1.1", dialect="p")
    assert target.contract == (1, 1)
    assert (target.endpoint, target.dialect) == ("127.0.0.1:1", "p")


def test_the_full_file_matches_the_schema() -> None:
    """The schema is what editors and other tools go by."""
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(FULL, schema())


def test_the_schema_describes_every_field_that_is_read(folder: Path) -> None:
    """A field that is read and not published can't be found by anybody."""
    import dataclasses

    from provider_conformance.target import Faults, GeneratorTarget, Limits, StoreTarget, Target

    defs = schema()["$defs"]
    for kind, described in (
        (Target, schema()), (StoreTarget, defs["store"]), (GeneratorTarget, defs["generator"]),
        (Limits, defs["limits"]), (Faults, defs["faults"]),
    ):  # fmt: skip
        fields = {field.name for field in dataclasses.fields(kind)}
        assert set(described["properties"]) - {"target"} == fields


def _changed(path: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(FULL)
    *way, last = path.split(".")
    inside: Any = content
    for step in way:
        inside = inside[int(step)] if step.isdigit() else inside[step]
    inside[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("target", 2, "target"),
        ("colour", "red", "colour"),
        ("stores.0.limits.max_valu_bytes", 1, "stores[0].limits.max_valu_bytes"),
        ("stores.0.limits.empty_value", "no", "stores[0].limits.empty_value"),
        ("stores.0.limits.max_value_bytes", True, "stores[0].limits.max_value_bytes"),
        ("stores.0.limits.values", "blobs", "stores[0].limits.values"),
        ("stores.0.seed", "pull", "stores[0].seed"),
        ("stores.0.seed", {"hook": "no_such_module:x"}, "stores[0].seed"),
        ("stores.0.keys", [{"key": "a"}], "stores[0].keys[0]"),
        ("stores.0.keys", "a", "stores[0].keys"),
        ("stores.0.second", {"object": "x"}, "stores[0].second.namespace"),
        ("dialect", "q", "dialect"),
        ("contract", "one", "contract"),
        ("process", {"stop": ["x"]}, "process"),
        ("known_failures", {"get.value": " "}, "known_failures.get.value"),
        ("endpoint", "acme.example", "endpoint"),
        ("tls", {"dir": "tls", "colour": "red"}, "tls.colour"),
        ("tls", {"dir": "nowhere"}, "tls"),
        ("tls", {}, "tls.dir"),
        ("tls", "tls", "tls"),
        ("tls", {"dir": 5}, "tls.dir"),
        ("tls", {"dir": "tls", "bad": ["expired"]}, "tls.bad"),
        ("process", {"stop": "./stop now", "start": ["./start"]}, "process.stop"),
        ("stores.0.seed", {"command": "seed acme"}, "stores[0].seed.command"),
        ("stores.0.keys", [{"value": "a"}], "stores[0].keys[0]"),
        ("stores.0.keys", [{"key": "a", "value_base64": "not base64!"}], "stores[0].keys[0]"),
        ("stores.0.keys", [{"key": "a", "value_file": "nowhere"}], "stores[0].keys[0]"),
        ("stores.0.limits.key_pattern", "[a-", "limits.key_pattern"),
        ("stores.0.name", "server", "'server' is used twice"),
        ("generators.0.name", "kv", "'kv' is used twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_that_names_the_field(folder: Path, path: str, value: Any, field: str) -> None:
    """A misspelled limit must not excuse anything silently."""
    with pytest.raises(TargetError) as raised:
        _load(folder, _changed(path, value))
    assert field in str(raised.value)


def test_a_file_that_is_not_text_is_an_error_that_names_it(folder: Path) -> None:
    """A certificate given in place of the target file, say."""
    (folder / "target.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TargetError, match=r"target\.yaml: cannot be read"):
        load_target(folder / "target.yaml")


def test_a_target_without_subjects_is_refused(folder: Path) -> None:
    """A run that judges nothing would look conformant."""
    content = {key: value for key, value in FULL.items() if key not in {"stores", "generators"}}
    with pytest.raises(TargetError, match="nothing to judge"):
        _load(folder, content)


def test_no_secret_shows_in_a_repr(folder: Path) -> None:
    """Targets are printed when something goes wrong; keys and existing values must not be."""
    target = _load(folder, FULL)
    for text in ("client.key'", "b'text'", "ca.key'"):
        assert text not in repr(target)


def test_a_command_seeds_and_removes(folder: Path) -> None:
    """The command gets one JSON document on standard input."""
    program = "import json, sys; json.dump(json.load(sys.stdin), open('order.json', 'w'))"
    seeder = CommandSeeder((sys.executable, "-c", program), folder)
    seeder.put("kv", "a/b", b"\0\xff", {"team": "a"})
    assert json.loads((folder / "order.json").read_text()) == {
        "op": "put", "store": "kv", "key": "a/b", "value_base64": "AP8=", "tags": {"team": "a"},
    }  # fmt: skip
    seeder.delete("kv", "a/b")
    assert json.loads((folder / "order.json").read_text()) == {"op": "delete", "store": "kv", "key": "a/b"}


def test_a_failing_command_is_an_error_with_its_words(folder: Path) -> None:
    """Nobody should have to guess why nothing was seeded."""
    seeder = CommandSeeder((sys.executable, "-c", "import sys; sys.exit('no such bucket')"), folder)
    with pytest.raises(RuntimeError, match="no such bucket"):
        seeder.delete("kv", "a")


def test_a_hook_is_loaded_and_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook is a class, an object or a module."""
    (folder / "acme_hook.py").write_text(
        "class Hook:\n    def put(self, *a): ...\n    def delete(self, *a): ...\n"
    )
    monkeypatch.syspath_prepend(folder)
    target = _load(folder, _changed("stores.0.seed", {"hook": "acme_hook:Hook"}))
    assert type(target.stores[0].seed).__name__ == "Hook"


def test_a_process_gives_the_exit_status_of_its_stop_command(folder: Path) -> None:
    """The stop command ends with the provider's own status."""
    process = CommandProcess(
        (sys.executable, "-c", "raise SystemExit(3)"), (sys.executable, "-c", ""), folder
    )
    assert process.stop() == 3
    process.start()
