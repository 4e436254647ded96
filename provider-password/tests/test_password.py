"""The Password generator: what it promises about every password, and what it refuses."""

from __future__ import annotations

import base64
import string
from collections import Counter
from collections.abc import Callable, Mapping
from secrets import SystemRandom
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_common import DeadlineError, InvalidSpecError
from provider_common.context import call_deadline
from provider_password import PasswordGenerator
from provider_password.password import DEFAULT_SYMBOLS, MAX_LENGTH, PasswordSpec, _random, password

Generate = Callable[..., Mapping[str, bytes]]


def parse(**spec: Any) -> PasswordSpec:
    return PasswordSpec.parse(spec, where="Password team-a/main")


def counts(text: str) -> tuple[int, int, int]:
    letters = sum(char in string.ascii_letters for char in text)
    digits = sum(char in string.digits for char in text)
    return letters, digits, len(text) - letters - digits


def test_the_defaults_are_24_characters_a_quarter_digits_and_a_quarter_symbols(generate: Generate) -> None:
    """What a manifest with an empty spec has always meant."""
    values = generate(PasswordGenerator, {})

    assert list(values) == ["password"]
    text = values["password"].decode()
    assert counts(text) == (12, 6, 6)
    assert len(set(text)) == 24
    assert all(char in string.ascii_letters + string.digits + DEFAULT_SYMBOLS for char in text)


def test_the_default_symbols_are_30_of_ascii() -> None:
    """All printable ASCII that is no letter, no digit, no blank, and neither quote nor semicolon."""
    assert len(DEFAULT_SYMBOLS) == 30
    assert set(string.punctuation) - set(DEFAULT_SYMBOLS) == {"'", ";"}


@pytest.mark.parametrize("length", [0, -1, -1000])
def test_a_length_of_zero_or_less_means_the_default(length: int) -> None:
    """The Go generator takes any such number for "not set"."""
    assert len(password(parse(length=length))) == 24


@pytest.mark.parametrize(
    ("length", "quarter"), [(1, 0), (3, 0), (4, 1), (7, 1), (8, 2), (39, 9), (43, 10)], ids=str
)
def test_a_quarter_is_rounded_down(length: int, quarter: int) -> None:
    """25 % of the length, without a fraction."""
    assert counts(password(parse(length=length))) == (length - 2 * quarter, quarter, quarter)


def test_zero_digits_and_zero_symbols_are_obeyed() -> None:
    """Zero is a number, not "not set"."""
    assert counts(password(parse(length=20, digits=0, symbols=0))) == (20, 0, 0)


ALPHABETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20
)  # code points of any script


@given(
    letters=st.integers(0, 60),
    digits=st.integers(0, 30),
    symbols=st.integers(0, 30),
    alphabet=ALPHABETS,
    no_upper=st.booleans(),
)
def test_with_repetition_every_combination_can_be_met(
    letters: int, digits: int, symbols: int, alphabet: str, no_upper: bool
) -> None:
    """The number of characters of each class is exact, and each comes from its alphabet."""
    length = letters + digits + symbols
    if length == 0:
        return
    spec = parse(
        length=length,
        digits=digits,
        symbols=symbols,
        symbolCharacters=alphabet,
        noUpper=no_upper,
        allowRepeat=True,
    )

    text = password(spec)

    assert len(text) == length
    allowed = spec.letters + string.digits + alphabet
    assert all(char in allowed for char in text)
    outside = Counter(char for char in text if char not in alphabet)
    assert sum(n for char, n in outside.items() if char in spec.letters) <= letters
    assert sum(n for char, n in outside.items() if char in string.digits) <= digits


@given(
    letters=st.integers(0, 60),
    digits=st.integers(0, 12),
    symbols=st.integers(0, 12),
    alphabet=ALPHABETS,
    no_upper=st.booleans(),
)
def test_without_repetition_a_spec_is_refused_or_always_met(
    letters: int, digits: int, symbols: int, alphabet: str, no_upper: bool
) -> None:
    """Whatever the alphabets share: accepted means that the draw ends, every time, with all characters different."""
    length = letters + digits + symbols
    if length == 0:
        return
    try:
        spec = parse(
            length=length, digits=digits, symbols=symbols, symbolCharacters=alphabet, noUpper=no_upper
        )
    except InvalidSpecError:
        disjoint = not set(alphabet) & set(string.ascii_letters + string.digits)
        enough = letters <= (26 if no_upper else 52) and digits <= 10 and symbols <= len(set(alphabet))
        assert not (disjoint and enough), "refused although it can be met"
        return

    for _ in range(5):
        text = password(spec)
        assert len(text) == len(set(text)) == length


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        pytest.param({"length": 4, "digits": 3, "symbols": 2}, "more than length", id="no room for letters"),
        pytest.param({"length": 44}, "more than 10 digits", id="a quarter of 44 is 11 digits"),
        pytest.param({"length": 30, "digits": 11, "symbols": 0}, "more than 10 digits", id="11 digits"),
        pytest.param({"length": 53, "digits": 0, "symbols": 0}, "fewer letters", id="53 letters"),
        pytest.param(
            {"length": 27, "digits": 0, "symbols": 0, "noUpper": True},
            "fewer letters",
            id="27 lower-case letters",
        ),
        pytest.param(
            {"length": 10, "digits": 0, "symbols": 3, "symbolCharacters": "!!!!!"},
            "3 symbols are wanted, and symbolCharacters has 1 that differ",
            id="duplicates among the symbols",
        ),
        pytest.param(
            {"length": 12, "digits": 10, "symbols": 2, "symbolCharacters": "0123456789!"},
            "2 symbols are wanted, and symbolCharacters has 1 that differ",
            id="symbols used up as digits",
        ),
        pytest.param({"digits": -1}, "spec.digits", id="negative digits"),
        pytest.param({"symbols": -1}, "spec.symbols", id="negative symbols"),
        pytest.param({"secretKeys": []}, "spec.secretKeys", id="no keys"),
        pytest.param({"secretKeys": ["a", ""]}, "spec.secretKeys[1]", id="an empty key"),
        pytest.param({"secretKeys": ["a", "b", "a"]}, "names a key twice", id="a key twice"),
        pytest.param({"secretKeys": ["a b"]}, "spec.secretKeys[0]", id="a key that a Secret can't have"),
        pytest.param({"encoding": "rot13"}, "spec.encoding", id="unknown encoding"),
        pytest.param({"lenght": 3}, "spec.lenght: is not a field", id="unknown field"),
        pytest.param({"length": "24"}, "spec.length", id="a number as text"),
        pytest.param({"length": MAX_LENGTH + 1}, "spec.length", id="longer than anyone needs"),
    ],
)
def test_what_cannot_be_met_is_refused_before_anything_is_drawn(spec: dict[str, Any], part: str) -> None:
    """A draw without repetition from too few characters would not end; the message says which setting to change."""
    with pytest.raises(InvalidSpecError) as caught:
        parse(**spec)

    assert part in caught.value.message
    assert caught.value.message.startswith("Password team-a/main: spec")


@pytest.mark.parametrize("length", [44, 200, 5000])
def test_with_repetition_length_is_not_bound_by_the_alphabets(length: int) -> None:
    """`allowRepeat` is the way out that the messages name."""
    assert len(password(parse(length=length, allowRepeat=True))) == length


def test_symbols_are_characters_whatever_their_bytes() -> None:
    """Letters outside ASCII have two bytes and more: they are not to be cut."""
    text = password(parse(length=8, digits=0, symbols=6, symbolCharacters="äöü߀字😀"))

    assert len(text) == 8
    assert sum(char in "äöü߀字😀" for char in text) == 6
    assert text.encode().decode() == text


@pytest.mark.parametrize("characters", [None, ""], ids=["absent", "empty"])
def test_no_symbol_characters_means_the_default_ones(characters: str | None) -> None:
    """An empty alphabet is no alphabet."""
    spec = {} if characters is None else {"symbolCharacters": characters}

    assert set(password(parse(length=30, digits=0, symbols=30, **spec))) == set(DEFAULT_SYMBOLS)


def test_no_upper_leaves_upper_case_out() -> None:
    """26 of 26 letters, all of them small."""
    text = password(parse(length=26, digits=0, symbols=0, noUpper=True))

    assert sorted(text) == list(string.ascii_lowercase)


@pytest.mark.parametrize(
    ("encoding", "decode"),
    [
        pytest.param("raw", bytes, id="raw"),
        pytest.param("base64", lambda v: base64.b64decode(v, validate=True), id="base64"),
        pytest.param("base64url", base64.urlsafe_b64decode, id="base64url"),
        pytest.param("base32", base64.b32decode, id="base32"),
        pytest.param("hex", lambda v: bytes.fromhex(v.decode()), id="hex"),
    ],
)
def test_the_finished_password_is_encoded(
    generate: Generate, encoding: str, decode: Callable[[bytes], bytes]
) -> None:
    """`length` counts characters before encoding; the standard alphabets with padding, hex in lower case."""
    spec = {"encoding": encoding, "length": 25}

    value = generate(PasswordGenerator, spec)["password"]

    assert len(decode(value).decode()) == 25
    assert value == value.strip()
    if encoding == "hex":
        assert value == value.lower()
    if encoding in {"base64", "base64url"}:
        assert len(value) == 36
        assert value.endswith(b"==")


def test_base64url_has_an_alphabet_for_urls(generate: Generate) -> None:
    """`-` and `_` in place of `+` and `/`: these symbols are full of one-bits, so they show."""
    spec = {"length": 30, "digits": 0, "symbols": 30, "symbolCharacters": "\x7f?>~", "allowRepeat": True}

    plain = generate(PasswordGenerator, {**spec, "encoding": "base64"})["password"]
    safe = generate(PasswordGenerator, {**spec, "encoding": "base64url"})["password"]

    assert set(plain) & set(b"+/")
    assert set(safe) & set(b"-_")
    assert not set(safe) & set(b"+/")


def test_every_key_gets_a_password_of_its_own(generate: Generate) -> None:
    """Two keys with one password would be one secret with two names."""
    values = generate(PasswordGenerator, {"secretKeys": ["admin", "reader", "writer.0"]})

    assert sorted(values) == ["admin", "reader", "writer.0"]
    assert len(set(values.values())) == 3


def test_every_call_makes_new_passwords(generate: Generate) -> None:
    """Nothing is remembered between two calls."""
    made = {generate(PasswordGenerator, {})["password"] for _ in range(50)}

    assert len(made) == 50


def test_many_long_passwords_end_with_the_callers_time(generate: Generate) -> None:
    """They are seconds of work, which nobody would wait for."""
    spec = {"length": MAX_LENGTH, "allowRepeat": True, "secretKeys": [f"k{n}" for n in range(64)]}

    with call_deadline(0.2), pytest.raises(DeadlineError):
        generate(PasswordGenerator, spec)


def test_every_class_of_character_can_stand_anywhere() -> None:
    """Classes are drawn one after the other and then mixed: no place is reserved. A chance of failing below 1e-40."""
    spec = parse(length=4, digits=1, symbols=1)
    places: dict[str, set[int]] = {"letter": set(), "digit": set(), "symbol": set()}
    for _ in range(400):
        for place, char in enumerate(password(spec)):
            name = "letter" if char.isalpha() else "digit" if char.isdigit() else "symbol"
            places[name].add(place)

    assert all(seen == {0, 1, 2, 3} for seen in places.values())


def test_chance_is_the_operating_systems() -> None:
    """A generator with a state of its own could be foretold from what it gave out, or be copied by a fork."""
    assert isinstance(_random, SystemRandom)


@pytest.mark.parametrize(
    ("spec", "alphabet"),
    [
        pytest.param({"digits": 0, "symbols": 0}, string.ascii_letters, id="letters"),
        pytest.param({"digits": 0, "symbols": 0, "noUpper": True}, string.ascii_lowercase, id="lower case"),
        pytest.param({"digits": "all", "symbols": 0}, string.digits, id="digits"),
        pytest.param({"digits": 0, "symbols": "all"}, DEFAULT_SYMBOLS, id="symbols"),
        pytest.param(
            {"digits": 0, "symbols": "all", "symbolCharacters": "äß€字😀-"},
            "äß€字😀-",
            id="symbols of one's own",
        ),
    ],
)
@pytest.mark.parametrize("repeat", [True, False], ids=["repeating", "different"])
def test_characters_are_drawn_evenly(spec: dict[str, Any], alphabet: str, repeat: bool) -> None:
    """Each is expected 1 000 times; ten standard deviations off would be a bias, not bad luck."""
    length = len(alphabet) // 2
    counts = {name: length if value == "all" else value for name, value in spec.items()}
    parsed = parse(**counts, length=length, allowRepeat=repeat)
    drawn: Counter[str] = Counter()

    for _ in range(2000):
        drawn.update(password(parsed))

    assert set(drawn) == set(alphabet)
    assert all(abs(n - 1000) < 320 for n in drawn.values())
