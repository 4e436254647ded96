"""What the core does to names and values between a provider's answer and the Secret: decode, convert, check. A message
names keys, never values.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping

from provider_common.errors import ProviderError
from provider_common.values import convert_keys

from eso_core.reconcile.errors import SyncError

_KEY = re.compile(r"[-._a-zA-Z0-9]+")
BY_REWRITE = "rename it with rewrite"
LONGEST_KEY = 253
"""Bytes that a key of a Secret may have."""

# Go ignores line breaks, wants the padding, and does not look at the unused bits of the last character.
_STANDARD = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_URL_SAFE = re.compile(rb"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?")
_LINE_BREAKS = b"\r\n"


def _standard(value: bytes) -> bytes | None:
    text = value.translate(None, _LINE_BREAKS)
    return binascii.a2b_base64(text) if _STANDARD.fullmatch(text) else None


def _url_safe(value: bytes) -> bytes | None:
    text = value.translate(None, _LINE_BREAKS)
    return (
        binascii.a2b_base64(text.translate(bytes.maketrans(b"-_", b"+/")))
        if _URL_SAFE.fullmatch(text)
        else None
    )


def decode(strategy: str, value: bytes) -> bytes:
    """`value` decoded by a decodingStrategy. `Auto` leaves what is neither base64 nor base64url. Raises SyncError."""
    decoded: bytes | None = value
    match strategy:
        case "Base64":
            decoded = _standard(value)
        case "Base64URL":
            decoded = _url_safe(value)
        case "Auto":
            decoded = _standard(value)
            if decoded is None:
                decoded = _url_safe(value)
            return value if decoded is None else decoded
    if decoded is None:
        raise SyncError(f"the value is not {strategy}: correct decodingStrategy, or the value in the backend")
    return decoded


def decode_map(strategy: str, data: Mapping[str, bytes]) -> dict[str, bytes]:
    """Every value decoded. Raises SyncError naming the key."""
    decoded = {}
    for key in sorted(data):
        try:
            decoded[key] = decode(strategy, data[key])
        except SyncError as error:
            raise error.at(f"key {key!r}") from None
    return decoded


def refuse_null_bytes(policy: str, data: Mapping[str, bytes]) -> None:
    """Raise SyncError for the first key whose value has a NUL byte, with nullBytePolicy Fail."""
    if policy != "Fail":
        return
    for key in sorted(data):
        if b"\0" in data[key]:
            raise SyncError(f"the value of key {key!r} has a NUL byte, and nullBytePolicy is Fail")


def convert(strategy: str, data: Mapping[str, bytes]) -> dict[str, bytes]:
    """Keys made usable by a conversionStrategy. Raises SyncError when two become equal."""
    try:
        return convert_keys(data, strategy or "Default")
    except ProviderError as error:
        raise SyncError(error.message) from None


def checked_keys(data: Mapping[str, bytes], *, instead: str = BY_REWRITE) -> dict[str, bytes]:
    """`data` without empty keys. Raises SyncError for a key that a Secret can't have; `instead` is the next step."""
    for key in sorted(data):
        if len(key.encode(errors="surrogatepass")) > LONGEST_KEY:
            raise SyncError(f"key {key[:40]!r}... has more than {LONGEST_KEY} bytes: {instead}")
        if key and not _KEY.fullmatch(key):
            raise SyncError(
                f"key {key!r} has characters that a Secret's key can't have (letters, digits, `-`, `.`, `_`): {instead}"
            )
    return {key: value for key, value in data.items() if key}
