"""Documents and paths made to hurt: deep, long, ambiguous. Slow ones would hit the suite's time limit."""

from __future__ import annotations

import pytest
from provider_common.errors import InvalidSpecError, PermanentError
from provider_common.values import (
    compile_name,
    decoded_to_bytes,
    gjson,
    go_json,
    sjson,
    to_map,
    to_map_decoded,
)

MIB = 1 << 20
DEEP = b"[" * MIB


@pytest.mark.parametrize(
    "path", ["a", "0", "0.0.0", "#", "#.#.#", "#(0)#", "..#", "{a,b}", "0|0|@this", "@keys"]
)
@pytest.mark.parametrize(
    "document", [DEEP, DEEP + b"]" * MIB, b'{"a":' * (MIB // 5)], ids=["open", "closed", "objects"]
)
def test_a_deep_document_is_read_without_recursion(document: bytes, path: str) -> None:
    """A secret of a megabyte of brackets may find something or nothing, but it does not break the process."""
    match = gjson.get(document, path)

    assert match is None or match.raw


def test_the_innermost_of_four_thousand_levels_is_found() -> None:
    """Dots cost no stack: a path goes as deep as it is long."""
    levels = 4000
    document = b"[" * levels + b'"core"' + b"]" * levels

    match = gjson.get(document, ".".join(["0"] * levels))

    assert match is not None
    assert match.bytes() == b"core"


@pytest.mark.parametrize("modifier", ["@pretty", "@dig:a", '@flatten:{"deep":true}'])
def test_a_modifier_refuses_a_document_that_is_too_deep_for_it(modifier: str) -> None:
    """Those that work on every level take quadratic time, so they stop early and say so."""
    with pytest.raises(InvalidSpecError, match="nested more than 100 levels"):
        gjson.get(DEEP, modifier)


@pytest.mark.parametrize(
    "path",
    ["{" * 90 + "a" + "}" * 90, "#(" * 90 + "a" + ")" * 90, "@dig:" * 90 + "a", "[" * 90 + "0" + "]" * 90],
    ids=["objects", "queries", "digs", "arrays"],
)
def test_a_path_that_nests_too_deep_is_an_error_in_the_manifest(path: str) -> None:
    """Finding nothing would be a lie: the path was not followed."""
    document = b'{"a":' + b"[" * 95 + b"1" + b"]" * 95 + b"}"
    if path.startswith("#"):
        document = b"[" * 95 + b"1" + b"]" * 95

    with pytest.raises(InvalidSpecError, match="nests more than 64"):
        gjson.get(document, path)


def test_a_path_of_many_kilobytes_is_refused() -> None:
    """The memory that a path takes grows with the square of its length."""
    with pytest.raises(InvalidSpecError, match="10001 bytes long"):
        gjson.get(b"{}", "a." * 5000 + "b")


@pytest.mark.parametrize(
    "key", [b"a" * MIB, b'\\"' * (MIB // 2), b"\\\\" * (MIB // 2)], ids=["long", "quotes", "slashes"]
)
def test_long_strings_are_skipped_in_one_pass(key: bytes) -> None:
    """Escapes do not make the scanner go back."""
    match = gjson.get(b'{"' + key + b'":"' + key + b'","b":1}', "b")

    assert match is not None
    assert match.raw == b"1"


def test_wildcards_do_not_explode() -> None:
    """The pattern that makes a backtracking matcher run for ever is answered at once, and correctly."""
    document = b'{"' + b"a" * 5000 + b'":1}'

    assert gjson.get(document, "*a" * 500 + "*b") is None
    assert gjson.get(document, "*a" * 500 + "*") is not None


def test_a_repeated_key_means_the_first_one_in_a_path_and_the_last_one_in_a_map() -> None:
    """As in Go, where the two are read by different libraries."""
    document = b'{"a":1,"a":2}'

    match = gjson.get(document, "a")

    assert match is not None
    assert match.bytes() == b"1"
    assert to_map(document, what="x") == {"a": b"2"}


@pytest.mark.parametrize("digits", ["9007199254740993", "123456789012345678901234567890", "-1" + "0" * 300])
def test_integers_keep_all_their_digits(digits: str) -> None:
    """An id rounded to a float is a wrong id."""
    document = f'{{"a": {digits}, "b": [{digits}]}}'.encode()

    match = gjson.get(document, "a")

    assert match is not None
    assert match.bytes() == digits.encode()
    assert to_map(document, what="x")["a"] == digits.encode()
    assert to_map_decoded(document, what="x") == {"a": digits.encode(), "b": f"[{digits}]".encode()}


@pytest.mark.parametrize("digits", ["1e400", "-1e400", "9" * 310, "9" * 5000])
def test_a_number_beyond_every_float_is_an_error_when_it_has_to_be_decoded(digits: str) -> None:
    """Go refuses it too; turning it into infinity would be worse."""
    with pytest.raises(PermanentError, match="too large") as caught:
        to_map_decoded(f'{{"a":{digits}}}'.encode(), what="secret")

    assert digits not in caught.value.message


def test_a_map_nested_as_deep_as_go_allows_is_written_again() -> None:
    """Decoder and encoder use no recursion; at 10000 levels Go itself gives up."""
    at_limit = b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}"

    assert to_map_decoded(at_limit, what="x") == {"a": b"[" * 9999 + b"]" * 9999}
    with pytest.raises(PermanentError, match="not valid JSON"):
        to_map_decoded(b'{"a":' + b"[" * 10000 + b"]" * 10000 + b"}", what="x")


@pytest.mark.parametrize("path", ["1000000000", "a.1000000000.b", "a.18446744073709551615.99999999"])
def test_an_absurd_index_does_not_fill_the_memory(path: str) -> None:
    """Setting element 1000000000 would write four gigabytes of nulls."""
    with pytest.raises(InvalidSpecError, match="grow by more than"):
        sjson.set_string(b"", path, b"x")


@pytest.mark.parametrize("path", ["#.#.a", "#.@this", '@pretty:{"prefix":" "}'])
def test_a_path_to_made_values_does_not_destroy_the_document(path: str) -> None:
    """Go writes at an offset that belongs to another text, over whatever stands there."""
    with pytest.raises(InvalidSpecError, match="not part of the document"):
        sjson.set_string(b'[ "x\\\\",[{"a":1},[{"b":1}]]]', path, b"v")


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, {"a": {1, 2}}, float("nan"), [float("inf")]],
    ids=["object", "number-as-key", "set", "nan", "infinity"],
)
def test_what_json_has_no_form_for_is_an_error(value: object) -> None:
    """Backends' libraries decode to many types; an unknown one is reported by its name, not printed."""
    with pytest.raises(PermanentError):
        go_json(value, escape_html=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", "é"), ("\ud800", "\ufffd"), (True, "true"), (False, "false"), (None, ""), (10**30, "1" + "0" * 30),
        (1e22, "1" + "0" * 22), (1.0, "1"), (-0.0, "-0"), (1e-7, "0.0000001"), ({"b": 1, "a": "<"}, '{"a":"\\u003c","b":1}'),
        ([1.5, None], "[1.5,null]"), (b"\xff", None),
    ],
    ids=repr,
)  # fmt: skip
def test_a_decoded_value_becomes_bytes(value: object, text: str | None) -> None:
    """What a client library decoded is turned into what the document said."""
    assert decoded_to_bytes(value) == (b"\xff" if text is None else text.encode())


def test_a_slow_pattern_for_other_engines_is_fast_here() -> None:
    """RE2 is linear; this one takes a backtracking engine longer than the universe has."""
    assert not compile_name("(a*)*b").matches("a" * 100_000)
