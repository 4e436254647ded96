"""Patterns, keys and properties as users write them, and what they are told when it does not work."""

from __future__ import annotations

import pytest
from provider_common.errors import ConflictError, InvalidRequestError, InvalidSpecError, PermanentError
from provider_common.values import (
    any_dot,
    compile_name,
    convert_key,
    convert_keys,
    gjson,
    inner_dot,
    select_property,
    to_map,
    to_map_decoded,
    with_property,
    without_property,
)

DOTTED = b'{"a.b": "literal", "a": {"b": "nested", "c": "below"}, ".x": "first", "": {"x": "second"}}'


@pytest.mark.parametrize(
    ("prop", "rule", "expected"),
    [
        ("a.b", any_dot, b"literal"),
        ("a.b", inner_dot, b"literal"),
        ("a.c", any_dot, b"below"),
        (".x", any_dot, b"first"),
        (".x", inner_dot, b"second"),
        ("a.b", lambda _: False, b"nested"),
        ("a.d", any_dot, None),
        ("a\\.b", any_dot, b"literal"),
    ],
)
def test_a_key_that_contains_the_dots_wins_over_a_path(
    prop: str, rule: object, expected: bytes | None
) -> None:
    """Secrets have keys like `tls.crt`; whoever writes that property means the key."""
    assert select_property(DOTTED, prop, literal_first=rule) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [b"", b"plain text", b"\xff\xfe", b"a: yaml", b"12", b'"str"'])
def test_a_property_of_what_is_not_an_object_is_absent(value: bytes) -> None:
    """Finding nothing is an answer that the caller turns into an error naming secret and property."""
    assert select_property(value, "a") is None


@pytest.mark.parametrize(
    ("document", "prop", "expected"),
    [
        pytest.param(b"", "a", b'{"a":"v"}', id="nothing is an empty object"),
        pytest.param(b'{ "k":  1 }', "a.b", b'{ "k":  1 ,"a":{"b":"v"}}', id="the rest byte for byte"),
        pytest.param(b"[1]", "-1", b'[1,"v"]', id="appended to an array"),
        pytest.param(b'{"x*":"1"}', "x\\*", b'{"x*":"v"}', id="an escaped wildcard is a character"),
    ],
)
def test_a_property_is_written_as_text(document: bytes, prop: str, expected: bytes) -> None:
    assert with_property(document, prop, b"v", what="secret 's'") == expected


@pytest.mark.parametrize("prop", ["*", "ab*", "a.#", "a|b", "@this", "a?"])
def test_a_property_that_might_name_several_places_is_not_written(prop: str) -> None:
    """It would overwrite what it happens to find, or do nothing and call it a success."""
    with pytest.raises(InvalidRequestError, match="has to name one place"):
        with_property(b'{"abc":"theirs"}', prop, b"v", what="secret 's'")


def test_bytes_that_are_no_text_are_not_written() -> None:
    """JSON would hold something else in their place."""
    with pytest.raises(InvalidRequestError, match="not UTF-8"):
        with_property(b"{}", "a", b"\xff", what="secret 's'")


@pytest.mark.parametrize("document", [b"plain", b'"text"', b"7", b'{"half": ', b"null"])
def test_a_property_does_not_go_into_what_is_no_document(document: bytes) -> None:
    """It would replace what somebody keeps there. And there is none to be removed."""
    with pytest.raises(ConflictError, match=r"^Secret 's' is no JSON object"):
        with_property(document, "half", b"v", what="secret 's'")
    assert without_property(document, "half") == document


@pytest.mark.parametrize(
    ("document", "prop", "left"),
    [
        pytest.param(b'{"a":"1","b":"2"}', "a", b'{"b":"2"}', id="others stay"),
        pytest.param(b'{"a":"1"}', "b", b'{"a":"1"}', id="absent"),
        pytest.param(b"{}", "a", b"{}", id="absent from an empty one"),
        pytest.param(b'{"a":"1"}', "a", None, id="the last"),
        pytest.param(b'{"a":{"b":{"c":"1"}},"d":[]}', "a.b.c", None, id="the last below others"),
        pytest.param(b'{"a":{"b":"1"},"d":[null]}', "a.b", b'{"a":{},"d":[null]}', id="null is something"),
        pytest.param(b'["1"]', "0", None, id="the last of an array"),
    ],
)
def test_with_the_last_property_nothing_is_left(document: bytes, prop: str, left: bytes | None) -> None:
    """Objects that were made for it hold nothing either."""
    assert without_property(document, prop) == left


def test_a_null_is_there_and_empty() -> None:
    """A JSON null is a value that somebody wrote."""
    assert select_property(b'{"a":null}', "a") == b""


def test_a_match_shows_nothing_of_itself() -> None:
    """A value must not reach a log by way of a repr."""
    match = gjson.get(b'{"a":"s3cret"}', "a")

    assert "s3cret" not in f"{match!r}{match}"


@pytest.mark.parametrize(
    "value", [b"[1]", b"null", b'"s3cret"', b"7", b'{"a":"s3cret"', b"s3cret", b"", b'{"a":1}s3cret']
)
@pytest.mark.parametrize("split", [to_map, to_map_decoded])
def test_what_is_no_object_can_not_be_split_and_is_not_shown(split: object, value: bytes) -> None:
    """The message names the secret and keeps its content to itself."""
    with pytest.raises(PermanentError, match="Secret 'db'") as caught:
        split(value, what="Secret 'db'")  # type: ignore[operator]

    assert "s3cret" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?<!a)b", r"(a)\1", "a(", "[", r"\C", "*", "a{1001}", "\ud800"]
)
def test_a_bad_pattern_names_the_field_and_is_not_printed(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is a mistake in a manifest; the C++ library would also write it to stderr."""
    with pytest.raises(InvalidSpecError, match=r"find\.name\.regexp"):
        compile_name(pattern)

    assert capfd.readouterr() == ("", "")


def test_a_pattern_is_searched_anywhere() -> None:
    """Unanchored, as in the Go core: whoever wants the whole name writes ^ and $."""
    assert compile_name("db").matches("prod/db/main")
    assert not compile_name("^db$").matches("prod/db/main")
    assert not compile_name("^db$").matches("db\n")


@pytest.mark.parametrize("pattern", [None, ""])
def test_no_pattern_matches_every_name(pattern: str | None) -> None:
    """`find` without a name finds by tags or path alone."""
    assert compile_name(pattern).matches("anything\n")


def test_a_name_with_half_a_surrogate_is_matched_and_not_an_error() -> None:
    """A backend's client may hand over a name that is not UTF-8."""
    assert compile_name("^a.b$").matches("a\udcffb")


@pytest.mark.parametrize(
    ("key", "strategy", "expected"),
    [
        ("path/to/db", "Default", "path_to_db"),
        ("path/to/db", "", "path_to_db"),
        ("path/to/db", "Unicode", "path_U002f_to_U002f_db"),
        ("path/to/db", "None", "path/to/db"),
        ("a😀", "Unicode", "a_U1f600_"),
        ("é-._½", "Default", "é-._½"),
        ("", "Default", ""),
    ],
)
def test_keys_are_converted(key: str, strategy: str, expected: str) -> None:
    """Letters and digits of every script stay; what becomes of the rest is the user's choice."""
    assert convert_key(key, strategy) == expected


def test_an_unknown_strategy_is_an_error() -> None:
    """Guessing would rename keys."""
    with pytest.raises(InvalidSpecError, match="'Unicorn'"):
        convert_key("a", "Unicorn")


def test_two_keys_that_become_one_are_an_error_that_names_both() -> None:
    """Whichever won, a secret would be lost."""
    with pytest.raises(ConflictError, match=r"'a/b' and 'a\$b' both become 'a_b'"):
        convert_keys({"a/b": b"1", "a$b": b"2"})

    assert convert_keys({"a/b": b"1", "a$b": b"2"}, "Unicode") == {"a_U002f_b": b"1", "a_U0024_b": b"2"}
