"""Laws that hold for any document and path, tried on generated ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from provider_common.errors import InvalidSpecError, PermanentError
from provider_common.values import decode_json, gjson, go_json, sjson, to_map, whole_secret

PLAIN_KEYS = st.text(st.characters(codec="utf-8", exclude_characters=".*?|#@!{}[]()=<>%\\:~"), min_size=1)

# A whole float beyond 2**53 is written with its shortest digits, which is another integer.
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda x: abs(x) < 1 << 53 or ("e" in repr(x) and abs(x) >= 1e21)
)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
SYNTAX = st.lists(
    st.sampled_from(
        [".", "|", "#", "#(", ")", ")#", "*", "?", "\\", "@this", "@keys", "@flatten", "@pretty", "@dig:", "!", "{",
         "}", "[", "]", ",", ":", '"', "=", "<", "%", "~", "a", "b", "0", "1", "..", "-1"]
    ),
    max_size=12,
).map("".join)  # fmt: skip
NOISE = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b" ", b"a", b'"a":', b"1", b"true", b"n", b"\xff"]),
    max_size=30,
).map(b"".join)  # fmt: skip
DOCUMENTS = st.binary() | NOISE | VALUES.map(lambda value: json.dumps(value).encode())
PATHS = st.text() | SYNTAX


@given(DOCUMENTS, PATHS)
def test_reading_raises_nothing_whatever_the_document_and_the_path(document: bytes, path: str) -> None:
    """A property is written by a user and a secret by anybody: neither may break a call."""
    match = gjson.get(document, path)

    assert match is None or isinstance(match.bytes(), bytes)


@given(DOCUMENTS, PATHS, st.binary())
def test_writing_raises_only_its_own_error(document: bytes, path: str, value: bytes) -> None:
    """What can't be set is a mistake in the manifest, and is reported as one."""
    changes: list[Callable[[], bytes]] = [
        lambda: sjson.set_string(document, path, value),
        lambda: sjson.delete(document, path),
    ]
    for change in changes:
        try:
            changed = change()
        except InvalidSpecError:
            continue
        assert isinstance(changed, bytes)


def refuse(constant: str) -> None:
    raise ValueError(constant)


def parsed(document: bytes) -> Any:
    """What Python's own parser says, None for what it refuses and for what only Python accepts."""
    try:
        return json.loads(document.decode("utf-8", "replace"), parse_constant=refuse)
    except ValueError:
        return None


@given(DOCUMENTS)
def test_a_map_is_made_or_refused(document: bytes) -> None:
    """No document, however broken, ends in another error than ours, and none is refused that is an object."""
    try:
        members = to_map(document, what="secret")
    except PermanentError:
        assert not isinstance(parsed(document), dict)
    else:
        assert len(members) == len(parsed(document))


def path_of(keys: list[str]) -> str:
    return ".".join(keys)


@given(
    st.lists(PLAIN_KEYS.filter(lambda key: not key.isdigit() and key != "-1"), min_size=1, max_size=4),
    st.text(),
)
def test_what_was_set_is_read_back(keys: list[str], value: str) -> None:
    """Push and read agree on what a path means."""
    document = sjson.set_string(b'{"other": [1, 2]}', path_of(["x", *keys]), value.encode())

    match = gjson.get(document, path_of(["x", *keys]))

    assert match is not None
    assert match.bytes() == value.encode()
    assert json.loads(document)["other"] == [1, 2]


@given(st.dictionaries(PLAIN_KEYS, VALUES, max_size=4), PLAIN_KEYS, st.text())
def test_deleting_what_was_added_gives_the_document_back(
    members: dict[str, Any], key: str, value: str
) -> None:
    """The rest of a secret is not touched by writing to one property of it."""
    document = go_json({f"k{name}": member for name, member in members.items()}, escape_html=False)

    added = sjson.set_string(document, f"x{key}", value.encode())

    assert sjson.delete(added, f"x{key}") == document


def lookup(value: Any, steps: list[str]) -> Any:
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


@st.composite
def documents_with_a_path(draw: st.DrawFn) -> tuple[Any, list[str]]:
    roots: st.SearchStrategy[Any] = st.dictionaries(PLAIN_KEYS, VALUES, min_size=1) | st.lists(
        VALUES, min_size=1
    )
    value: Any = draw(roots)
    root: Any = value
    steps: list[str] = []
    while isinstance(value, (dict, list)) and value:
        usable = (
            [k for k in value if gjson_plain(k)]
            if isinstance(value, dict)
            else [str(i) for i in range(len(value))]
        )
        if not usable or (steps and draw(st.booleans())):
            break
        step = draw(st.sampled_from(usable))
        steps.append(step)
        value = lookup(value, [step])
    return root, steps


def gjson_plain(key: str) -> bool:
    return bool(key) and not set(key) & set(".*?|#@!{}[]()=<>%\\:~")


@given(documents_with_a_path(), st.sampled_from([None, 1]))
def test_simple_paths_agree_with_a_json_parser(case: tuple[Any, list[str]], indent: int | None) -> None:
    """Where a path is only keys and indexes, there is nothing to argue about."""
    root, steps = case
    document = json.dumps(root, indent=indent).encode()
    if not steps:
        return

    match = gjson.get(document, path_of(steps))

    assert match is not None
    assert json.loads(match.raw) == lookup(root, steps)


@given(VALUES)
def test_encoding_and_decoding_are_inverse(value: Any) -> None:
    """Nothing is lost in a nested value that is decoded and written again, big integers included."""
    text = go_json(value, escape_html=True)

    assert go_json(decode_json(text, what="x"), escape_html=True) == text
    assert json.loads(text) == value


@given(st.dictionaries(st.text(), st.binary()))
def test_a_whole_secret_is_one_object_of_texts(data: dict[str, bytes]) -> None:
    """Whatever a Secret holds can be pushed; text comes back unchanged."""
    members = to_map(whole_secret(data), what="x")

    assert members.keys() == data.keys()
    for name, value in data.items():
        decoded = value.decode("utf-8", "replace")
        assert "\ufffd" in decoded or members[name] == value
