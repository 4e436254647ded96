"""Statuses stay within what a peer accepts as metadata, whatever a caller put into a request."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from provider_common import NoSecretError
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
