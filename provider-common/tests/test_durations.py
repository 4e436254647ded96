"""Durations as Go writes them, and as nobody does."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_common.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("0s", 0.0), ("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("1h0m0.5s", 3600.5), ("250ms", 0.25),
        ("1us", 1e-6), ("1µs", 1e-6), ("1μs", 1e-6), ("10ns", 1e-8), (".5s", 0.5), ("1.s", 1.0), ("-2s", -2.0),
        ("+2s", 2.0), ("-0", 0.0), ("2562047h", 2562047 * 3600.0),
    ],
)  # fmt: skip
def test_what_go_accepts_is_accepted(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "-", "+", "1", "1.5", "s", ".s", "1x", "1s ", " 1s", "1 s", "--1s", "1s-1s", "1e3s", "inf", "nan", "٣s", "2562048h", "9" * 400 + "h"],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_what_go_refuses_is_refused_with_an_example(text: str) -> None:
    """Go holds 292 years at most, and knows Latin digits only."""
    with pytest.raises(ValueError, match="write it like 30s, 5m or 1h30m") as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 150


@given(st.text(alphabet="0123456789.+-hmsuµn", max_size=30))
def test_whatever_comes_is_a_finite_number_or_an_error(text: str) -> None:
    try:
        assert math.isfinite(parse_duration(text))
    except ValueError:
        return
