"""Manifests that nobody writes by mistake. The folder's other files count, and the process lives on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from provider_common._folder import NOTHING, scan
from provider_common.manifests import ManifestError, read_manifests

TYPES = frozenset({("g/v1", "Thing")})
HEAD = "apiVersion: g/v1\nkind: Thing\nmetadata: {name: odd}\nspec:\n"
TEN = 10


def bomb(members: str) -> str:
    """Eight lines that stand for ten thousand million values."""
    lines = [f"  a0: &a0 {members}"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * TEN)}]" for n in range(1, 9)]
    return "\n".join(lines)


def merged() -> str:
    """The same by merge keys."""
    lines = ["  a0: &a0 {x: 1}"]
    lines += [f"  a{n}: &a{n} {{<<: *a{n - 1}, b{n}: *a{n - 1}}}" for n in range(1, 40)]
    return "\n".join(lines)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


ODD = {
    "a pipe that nobody writes to": (os.mkfifo, "is no file"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "is no file"),
    "a huge file": (lambda path: (path.touch(), os.truncate(path, 2**40)), "has more than 67108864 bytes"),
    "aliases without end": (
        text(HEAD + bomb("[x, x, x]")),
        "line 1: its aliases stand for more than 1000000 values",
    ),
    "merges without end": (text(HEAD + merged()), "line 1: its aliases stand for more than 1000000 values"),
    "aliases in a Secret": (
        text("apiVersion: v1\nkind: Secret\nmetadata: {name: odd}\ndata:\n" + bomb("[x]")),
        "line 1: its aliases stand for more than",
    ),
    "brackets in brackets": (text(HEAD + "  a: " + "[" * 200_000), "line 5: nested more than 500 times"),
    "braces in braces": (text(HEAD + "  a: " + "{a: " * 200_000), "line 5: nested more than 500 times"),
    "lists in lists on one line": (
        text(HEAD + "  a:\n  " + "- " * 200_000),
        "line 6: nested more than 500 times",
    ),
    "blocks in blocks": (
        text(HEAD + "".join(f"{' ' * depth}a:\n" for depth in range(2, 3000))),
        "nested more than 500 times",
    ),
    "what holds itself": (text(HEAD + "  a: &a [*a]"), "spec can't be expressed as JSON"),
    "code": (text(HEAD + "  a: !!python/object/apply:os.abort []"), "line 5: not valid YAML"),
    "a key twice": (
        text(HEAD + "  a: 1\n  b: {c: 1,\n    c: 2}\n"),
        "line 7: a key that the mapping has already",
    ),
    "a number of six thousand digits": (text(HEAD + "  a: " + "9" * 6000), "line 1: not valid YAML"),
    "bytes that are no text": (
        lambda path: path.write_bytes(HEAD.encode() + b"  a: \xff\x00"),
        "line 1: not valid YAML",
    ),
}


@pytest.mark.parametrize(("write", "said"), [pytest.param(*case, id=name) for name, case in ODD.items()])
def test_an_odd_file_is_named_and_the_others_count(
    tmp_path: Path, write: Callable[[Path], object], said: str
) -> None:
    write(tmp_path / "odd.yaml")
    (tmp_path / "well.yaml").write_text("apiVersion: g/v1\nkind: Thing\nmetadata: {name: well}\n")

    found = scan(tmp_path, TYPES, NOTHING)

    assert list(found.problems) == ["odd.yaml"]
    assert said in found.problems["odd.yaml"]
    assert len(found.problems["odd.yaml"]) < 200
    assert ("g/v1", "Thing", "default", "well") in found.entries


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ('{"a": 1, "a": 2}', "line 1: a key that the object has already"),
        (r'{"a": "\ud800"}', "line 1: not valid JSON"),
    ],
    ids=["a key twice", "half a character"],
)
def test_json_is_looked_at_as_closely(tmp_path: Path, spec: str, said: str) -> None:
    """Python would take the last of two, and text that can't be written or sent."""
    head = '{"apiVersion": "g/v1", "kind": "Thing", "metadata": {"name": "odd"}, "spec": '
    (tmp_path / "a.json").write_text(f"{head}{spec}}}")
    with pytest.raises(ManifestError, match=said):
        read_manifests(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(head + r'{"a": "\ud83d\ude00"}}')
    assert read_manifests(tmp_path / "a.json").manifests[0].content["spec"] == {"a": "\U0001f600"}


def test_a_pipe_in_place_of_a_manifest_is_an_error_for_other_readers_too(tmp_path: Path) -> None:
    """A core reads the same folder."""
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(ManifestError, match="is no file"):
        read_manifests(tmp_path / "a.yaml")


def test_a_large_document_without_tricks_is_read(tmp_path: Path) -> None:
    """A hundred nested blocks, long lines, many brackets, and an alias used a thousand times."""
    nested = "".join(f"{' ' * depth}n:\n" for depth in range(2, 102)) + " " * 102 + "n: 1\n"
    lists = "  b: &b [" + "[], " * 1000 + "]\n" + "  c: [" + "*b, " * 500 + "]\n"
    (tmp_path / "a.yaml").write_text(f"{HEAD}{nested}{lists}  long: {'x' * 100_000}\n")

    (manifest,) = read_manifests(tmp_path / "a.yaml").manifests

    assert len(manifest.content["spec"]["long"]) == 100_000
    assert len(manifest.content["spec"]["c"]) == 500
