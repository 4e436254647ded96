"""Statuses stay within what a peer accepts as metadata, whatever a caller put into a request."""

from __future__ import annotations

from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from provider_common import InvalidSpecError, NoSecretError, ProviderError, TemporaryError
from provider_common._wire.statuses import _shortened, abort

PRINTABLE = "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) != "%")


@given(text=st.text(max_size=600), times=st.integers(1, 20), limit=st.integers(50, 2000))
def test_a_text_is_cut_to_what_grpc_makes_of_it(text: str, times: int, limit: int) -> None:
    """grpc sends everything outside printable ASCII as %XX, three for every byte."""
    whole = text * times

    cut = _shortened(whole, limit)

    assert len(quote(cut.encode(errors="replace"), safe=PRINTABLE)) <= limit
    if cut != whole:
        assert cut.endswith("…")
        assert whole.startswith(cut[:-1])


def test_a_short_text_is_left_as_it_is() -> None:
    """Nothing is cut that fits."""
    assert _shortened("Secret does not exist: 'ключ'", 1500) == "Secret does not exist: 'ключ'"


def test_the_trailers_of_an_error_about_a_huge_name_are_small() -> None:
    """Message, details and the copies of both together, base64 included: below 8 KiB."""
    sent: list[tuple[str, str | bytes]] = []

    class Context:
        def set_trailing_metadata(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
            sent.extend(metadata)

        def abort(self, _code: object, text: str) -> None:
            sent.append(("grpc-message", quote(text, safe=PRINTABLE)))
            raise RuntimeError

    for name in ("x" * 1_000_000, "ключ" * 10_000, "\n" * 50_000):
        sent.clear()
        try:
            abort(Context(), NoSecretError(name, details={"property": name}), ())  # type: ignore[arg-type]
        except RuntimeError:
            size = sum(len(value) * (4 / 3 if isinstance(value, bytes) else 1) for _, value in sent)
            assert 500 < size < 8 * 1024
        else:
            raise AssertionError("abort has to raise")


class Recorder:
    """Stands for grpc's context: what it was given to send."""

    def __init__(self) -> None:
        self.metadata: dict[str, str | bytes] = {}
        self.code: grpc.StatusCode | None = None
        self.text = ""

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        self.metadata = dict(metadata)

    def abort(self, code: grpc.StatusCode, text: str) -> None:
        self.code, self.text = code, text
        raise RuntimeError

    @property
    def status(self) -> status_pb2.Status:
        details = self.metadata["grpc-status-details-bin"]
        assert isinstance(details, bytes)
        return status_pb2.Status.FromString(details)


def sent(error: ProviderError) -> Recorder:
    recorder = Recorder()
    with pytest.raises(RuntimeError):
        abort(recorder, error, ())  # type: ignore[arg-type]
    return recorder


@pytest.mark.parametrize("odd", ["\n", "\r", "\0", "\x1b[31m", "\u2028", "\u202e", "\ud800"], ids=ascii)
def test_a_text_is_one_line_of_printable_characters(odd: str) -> None:
    """JSON may hold half a character, which no status can carry, and a name may hold a line of its own."""
    recorder = sent(InvalidSpecError(f"before{odd}after", details={"name": odd}))

    assert recorder.code is grpc.StatusCode.INVALID_ARGUMENT
    assert recorder.text.isprintable()
    assert recorder.text.startswith("before")
    assert recorder.text.endswith("after")
    assert recorder.status.message == recorder.text


@pytest.mark.parametrize(
    ("asked", "told"),
    [(2.5, 2.5), (-1.0, 0.0), (float("nan"), 0.0), (float("inf"), 86400.0), (1e300, 86400.0)],
    ids=str,
)
def test_a_retry_delay_is_one_that_can_be_kept(asked: float, told: float) -> None:
    """It may come from a backend's header."""
    info = error_details_pb2.RetryInfo()
    assert sent(TemporaryError("away", retry_after=asked)).status.details[1].Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == told


class OddError(ProviderError):
    """An author's own class that says what is no status."""

    status = "TEAPOT"


@pytest.mark.parametrize(
    "error",
    [
        OddError("c4nary"),
        TemporaryError(ValueError("c4nary")),  # type: ignore[arg-type]
        TemporaryError("c4nary", details={"k": 7}),  # type: ignore[dict-item]
    ],
    ids=["no status", "no text", "no detail"],
)
def test_an_error_that_can_not_be_told_is_a_bug_and_says_nothing(error: ProviderError) -> None:
    """grpc would answer UNKNOWN with the text of whatever went wrong while telling."""
    recorder = sent(error)

    assert recorder.code is grpc.StatusCode.INTERNAL
    assert "c4nary" not in recorder.text
    assert b"c4nary" not in recorder.metadata["grpc-status-details-bin"]  # type: ignore[operator]
