"""Rendered YAML as a map of texts, as the Go operator's reader (sigs.k8s.io/yaml) makes it: the answers are its own."""

from __future__ import annotations

import pytest
from eso_core.template import TemplateError, keys_and_values

SCALARS = {
    "yes": "true", "On": "true", "y": "true", "NO": "false", "n": "false", "tRue": "tRue", "~": "", "null": "", "": "",
    "7": "7", "007": "7", "08": "8", "0o17": "15", "0x1F": "31", "0b11": "3", "1_000": "1000", "-017": "-15", "+1": "1", "-0": "0",
    "1.0": "1", "1.10": "1.1", "1e3": "1000", "1000000.0": "1e+06", "1e21": "1e+21", "1.5e-7": "1.5e-07", ".5": "0.5", "5.": "5",
    ".inf": "+Inf", "-.inf": "-Inf", ".nan": "NaN", "1e400": "1e400",
    "12:30": "12:30", "12:30:45": "12:30:45", "2024-01-01": "2024-01-01", "2024-01-01T00:00:00Z": "2024-01-01T00:00:00Z",
    "'007'": "007", '"x"': "x", "=": "=", "1,000": "1,000", "3d": "3d", "x # c": "x", "!!str 5": "5", "!!binary aGk=": "hi", "!own x": "x",
    "|\n  m\n  n": "m\nn", "9223372036854775808": "9223372036854775808",
}  # fmt: skip


@pytest.mark.parametrize(("scalar", "expected"), SCALARS.items(), ids=map(repr, SCALARS))
def test_a_scalar_becomes_text(scalar: str, expected: str) -> None:
    """A time must not become seconds, nor a date a Python object; a password `12:30` is read like any other."""
    assert keys_and_values(f"a: {scalar}") == {"a": expected}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("yes: x", {"true": "x"}),
        ("0x10: x", {"16": "x"}),
        ("a: 1\na: 2", {"a": "2"}),
        ("a: &x 1\nb: *x", {"a": "1", "b": "1"}),
        ("<<: {a: 1}\nb: 2", {"a": "1", "b": "2"}),
        ("a: \udcff", {"a": "\udcff"}),
    ],
    ids=["empty", "bool key", "int key", "twice", "alias", "merge", "bytes that are no text"],
)
def test_a_map_is_read(text: str, expected: dict[str, str]) -> None:
    """Keys are scalars as well."""
    assert keys_and_values(text) == expected


def test_digits_are_never_lost() -> None:
    """The Go operator's reader rounds to 32 bits, and would change a key that happens to be a number."""
    text = "a: 0.30000000000000004\nb: 123456789012345678901234567890\nc: 3.14159265358979"

    found = keys_and_values(text)

    assert found == {
        "a": "0.30000000000000004",
        "b": "123456789012345678901234567890",
        "c": "3.14159265358979",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [canary]", "the value of key 'a' is no text: put it in quotes"),
        ("a: {b: canary}", "the value of key 'a' is no text"),
        ("[canary]: x", "a key of the result is no text"),
        ("~: canary", "a key of the result is no text"),
        ("- canary", "not a map"),
        ("canary", "not a map"),
        ("a: 'canary", "not YAML"),
        ("a: canary\n---\nb: x", "not YAML"),
        ("a: *canary", "not YAML"),
        ("a: !!int canary", "the value of key 'a' is not what its tag says"),
        ("a: !!binary canary", "the value of key 'a' is not base64"),
        ('a: "\\ud800"', "an escape that is no character"),
    ],
)
def test_what_is_no_map_of_texts_is_told_without_values(text: str, said: str) -> None:
    """What was rendered may hold secrets."""
    with pytest.raises(TemplateError) as raised:
        keys_and_values(text)
    assert said in str(raised.value)
    assert "canary" not in str(raised.value)
