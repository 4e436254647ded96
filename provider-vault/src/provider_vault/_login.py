"""What a way to log in amounts to: the seam between the auth models and the token manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from provider_common import AuthResolver

from provider_vault._paths import quote_segment


@dataclass(frozen=True, slots=True)
class Login:
    """A login that can be made again and again."""

    path: str
    """API path below /v1/, already quoted."""
    payload: Callable[[str], Mapping[str, Any]] = field(repr=False)
    """The body, made anew for each login; gets the address of the server."""
    identity: tuple[str | bytes, ...] = field(repr=False)
    """What the token depends on besides the connection. Hashed, never kept."""
    method: str = ""
    """The auth method in words, for messages."""
    call: str = "Login"
    """Under which name the login is counted."""


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that somebody else made. It is renewed while it can be, and never revoked: it is not ours."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate for TLS, in PEM."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@runtime_checkable
class Method(Protocol):
    """What every way to log in offers."""

    def prepare(self, auth: AuthResolver, /) -> Login | StaticToken:
        """Read the credentials and describe the login."""


def login_path(mount: str, *more: str) -> str:
    """`auth/<mount>/login[/more]`, quoted."""
    segments = [part for part in mount.split("/") if part]
    return "/".join(quote_segment(part) for part in ("auth", *segments, "login", *more))
