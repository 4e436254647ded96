"""rewrite: each operation, and how it fails."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.api.externalsecret import DataFrom
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.rewrite import rewrite


def steps(*items: dict[str, Any]) -> Any:
    return DataFrom.model_validate({"find": {}, "rewrite": items}).rewrite


@pytest.mark.parametrize(
    ("source", "target", "key", "expected"),
    [
        ("^app/", "", "app/one", "one"),
        ("/", "-", "a/b/c", "a-b-c"),
        ("(.*)_(.*)", "${2}_$1", "one_two", "two_one"),
        ("(.*)_(.*)", "$2_$1", "one_two", "one"),
        ("(.*)_(.*)", "${2}x", "one_two", "twox"),
        ("(.*)_(.*)", "$2x", "one_two", ""),
        ("(?P<first>[a-z]+)-.*", "${first}", "one-two", "one"),
        ("a", "$$", "banana", "b$n$n$"),
        ("a", "$", "ba", "b$"),
        ("x*", "-", "abxc", "-a-b-c-"),
        ("$", "!", "end", "end!"),
        ("(a)|(b)", "[$1$2]", "ab", "[a][b]"),
        ("(a)", "$9", "a", ""),
        ("(a)", "$01", "a", ""),
        ("(a)", "$1\u00e4", "a", ""),
        ("(a)", "${1", "a", "${1"),
    ],
)
def test_a_pattern_is_replaced_as_go_does_it(source: str, target: str, key: str, expected: str) -> None:
    """The manifests were written for Go's regexp: `$1x` is the group `1x`, and empty matches count only by themselves."""
    assert rewrite(steps({"regexp": {"source": source, "target": target}}), {key: b"v"}) == {expected: b"v"}


def test_steps_follow_one_another() -> None:
    """The second sees what the first left."""
    chain = steps(
        {"regexp": {"source": "^app/", "target": ""}}, {"transform": {"template": "{{ .value | upper }}_KEY"}}
    )
    assert rewrite(chain, {"app/one": b"1", "app/two": b"2"}) == {"ONE_KEY": b"1", "TWO_KEY": b"2"}


@pytest.mark.parametrize(
    "step",
    [{"regexp": {"source": ".*", "target": "same"}}, {"transform": {"template": "same"}}],
    ids=["regexp", "transform"],
)
def test_keys_that_become_equal_are_an_error(step: dict[str, Any]) -> None:
    """Elsewhere a random one wins: a Secret that changes with every sync."""
    with pytest.raises(SyncError, match=r"rewrite\[0\]: keys 'a' and 'b' both become 'same'"):
        rewrite(steps(step), {"a": b"1", "b": b"2"})


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"regexp": {"source": "(?=a)", "target": ""}}, "regexp.source: is not an RE2 pattern"),
        ({"regexp": {"source": "(", "target": ""}}, "regexp.source: is not an RE2 pattern"),
        ({"regexp": {"source": r"\C", "target": ""}}, "regexp.source: is not an RE2 pattern"),
        (
            {"transform": {"template": "{{ .value | nope }}"}},
            "transform.template: line 1 column 13: function 'nope'",
        ),
        (
            {"transform": {"template": "{{ .value"}},
            "transform.template: line 1 column 10: the action is not closed",
        ),
    ],
    ids=["look-ahead", "parenthesis", "half a character", "function", "braces"],
)
def test_a_step_that_cannot_work_is_named(step: dict[str, Any], said: str) -> None:
    """The manifest is wrong: say where."""
    with pytest.raises(SyncError) as raised:
        rewrite(steps(step), {"a": b"1"})
    assert raised.value.message.startswith(f"rewrite[0]: {said}")
    assert raised.value.retry is False


ONE, TWO = b'{"a": "1", "n": 10.50, "big": 12345678901234567890}', b'{"b": true, "o": {"z": 1, "y": "<"}}'


def test_merge_takes_inner_keys_out() -> None:
    """Extract: the originals are gone, inner values are as whole values would be."""
    assert rewrite(steps({"merge": {}}), {"one": ONE, "two": TWO}) == {
        "a": b"1",
        "n": b"10.5",
        "big": b"12345678901234567890",
        "b": b"true",
        "o": b'{"y":"\\u003c","z":1}',
    }


def test_an_escape_that_is_no_character_does_not_stop_a_merge() -> None:
    """Go reads it as U+FFFD; a lone surrogate could not be written."""
    assert rewrite(steps({"merge": {}}), {"one": rb'{"k": "\ud800"}'}) == {"k": "\ufffd".encode()}


def test_merge_can_make_one_json_object() -> None:
    """JSON: the originals stay, and the merged object is beside them."""
    merged = rewrite(
        steps({"merge": {"strategy": "JSON", "into": "all"}}), {"one": b'{"a": 1}', "two": b'{"b": "x"}'}
    )
    assert merged == {"one": b'{"a": 1}', "two": b'{"b": "x"}', "all": b'{"a":1,"b":"x"}'}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"conflictPolicy": "Ignore"}, b"two"),
        ({"conflictPolicy": "Ignore", "priority": ["two", "one"]}, b"one"),
        ({"conflictPolicy": "Ignore", "priority": ["one"]}, b"one"),
        (
            {"conflictPolicy": "Ignore", "priority": ["gone", "one"], "priorityPolicy": "IgnoreNotFound"},
            b"one",
        ),
    ],
)
def test_priority_decides_who_wins(options: dict[str, Any], expected: bytes) -> None:
    """Keys go in alphabetical order, then those with priority in theirs; the later one wins."""
    data = {"one": b'{"k": "one"}', "two": b'{"k": "two"}'}
    assert rewrite(steps({"merge": options}), data) == {"k": expected}


@pytest.mark.parametrize(
    ("options", "data", "said"),
    [
        (
            {},
            {"one": b'{"k": 1, "l": 1}', "two": b'{"k": 1, "l": 2}'},
            "merge: 'k', 'l' stand in more than one value",
        ),
        ({"priority": ["gone"]}, {"one": b"{}"}, "merge.priority: no key 'gone' was fetched"),
        ({}, {"one": b"canary"}, "merge: the value of key 'one' is not a JSON object"),
        ({}, {"one": b"[1]"}, "merge: the value of key 'one' is not a JSON object"),
        ({}, {"one": b"\xff"}, "merge: the value of key 'one' is not a JSON object"),
        ({}, {"one": b'{"a": NaN}'}, "merge: the value of key 'one' is not a JSON object"),
        ({}, {"one": b'{"a": 1e999}'}, "merge: the value of key 'one' is not a JSON object"),
    ],
    ids=["conflict", "priority", "text", "list", "bytes", "not a number", "no float"],
)
def test_what_cannot_be_merged_is_told_without_values(
    options: dict[str, Any], data: dict[str, bytes], said: str
) -> None:
    """All conflicts at once: nobody wants to find them one by one."""
    with pytest.raises(SyncError) as raised:
        rewrite(steps({"merge": options}), data)
    assert raised.value.message.startswith(f"rewrite[0]: {said}")
    assert "canary" not in raised.value.message
