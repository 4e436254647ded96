"""Every committed vector, answered by the Python code. The answers were given by the Go libraries (see vectors/gen).

To add cases, append lines with only the inputs to a file in vectors/ and run this module with REMAKE_VECTORS=1.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from provider_common.errors import PermanentError
from provider_common.values import (
    compile_name,
    convert_key,
    decode_json,
    gjson,
    go_json,
    sjson,
    to_map,
    to_map_decoded,
    whole_secret,
)

VECTORS = Path(__file__).parent / "vectors"
FILES = sorted(VECTORS.glob("*.json"))


def load(file: Path) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(file.read_bytes())
    return vectors


def raw(text: str | dict[str, str]) -> bytes:
    return text.encode() if isinstance(text, str) else base64.b64decode(text["base64"])


def expected(vector: dict[str, Any]) -> object:
    if vector.get("error"):
        return "error"
    if vector["op"] in {"valid", "match"}:
        return vector["yes"]
    if vector["op"] in {"map", "map-decoded"}:
        return {name: raw(value) for name, value in vector.get("map", {}).items()}
    if vector["op"] == "get":
        absent = vector["kind"] == "absent"
        return None if absent else (vector["kind"], raw(vector["raw"]), raw(vector["result"]))
    return raw(vector["result"])


def get(vector: dict[str, Any]) -> object:
    match = gjson.get(raw(vector["doc"]), vector["path"])
    return None if match is None else (match.kind.value, match.raw, match.bytes())


def encode(vector: dict[str, Any], *, escape_html: bool) -> bytes:
    return go_json(decode_json(raw(vector["doc"]), what="x"), escape_html=escape_html)


ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "get": get,
    "valid": lambda v: gjson.valid(raw(v["doc"])),
    "set": lambda v: sjson.set_string(raw(v["doc"]), v["path"], raw(v["value"])),
    "delete": lambda v: sjson.delete(raw(v["doc"]), v["path"]),
    "map": lambda v: to_map(raw(v["doc"]), what="x"),
    "map-decoded": lambda v: to_map_decoded(raw(v["doc"]), what="x"),
    "encode": lambda v: encode(v, escape_html=False),
    "encode-html": lambda v: encode(v, escape_html=True),
    "quote": lambda v: go_json(raw(v["doc"]), escape_html=False),
    "whole": lambda v: whole_secret({name: raw(value) for name, value in v.get("map", {}).items()}),
    "match": lambda v: compile_name(v["path"]).matches(v["doc"]),
    "key-default": lambda v: convert_key(v["doc"], "Default").encode(),
    "key-unicode": lambda v: convert_key(v["doc"], "Unicode").encode(),
}


def answer(vector: dict[str, Any]) -> object:
    try:
        return ANSWERS[vector["op"]](vector)
    except PermanentError:
        return "error"


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(vector, id=f"{file.stem}-{line}-{vector['op']}")
        for file in FILES
        for line, vector in enumerate(load(file), start=2)
    ],
)
def test_python_answers_as_go_does(vector: dict[str, Any]) -> None:
    """A secret read or written through either core is the same, byte for byte. The number in the id is the line."""
    assert answer(vector) == expected(vector)


def go_answers(gen: Path, file: Path) -> str:
    lines = [json.dumps(vector) for vector in load(file)]
    run = subprocess.run([gen], input="\n".join(lines), capture_output=True, text=True, check=True)
    return "[\n" + ",\n".join(run.stdout.splitlines()) + "\n]\n"


@pytest.fixture(scope="module")
def gen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program that made the vectors, built from its source."""
    go = shutil.which("go")
    if go is None:
        reason = "no `go` on PATH: install Go 1.25 or newer to have the vectors made again"
        if os.environ.get("REQUIRE_REAL_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    program = tmp_path_factory.mktemp("gen") / "gen"
    subprocess.run([go, "build", "-o", program, "."], cwd=VECTORS / "gen", check=True, timeout=280)
    return program


@pytest.mark.real
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_go_still_gives_the_committed_answers(gen: Path, file: Path) -> None:
    """The vectors are what Go says, not what somebody once wrote down."""
    made = go_answers(gen, file)
    if os.environ.get("REMAKE_VECTORS") == "1":
        file.write_text(made, encoding="utf-8")
    assert made == file.read_text(encoding="utf-8")
