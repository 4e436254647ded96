"""Where a secret is: which mount, and which name below it. Pure; one rule for reads, metadata, lists and writes.

A key may be written with or without the mount in front (`app`, `secret/app`, `secret/data/app`): users copy it from the
CLI, from the UI and from policies. It refuses `.` and `..` segments: HTTP libraries resolve them on the way, and the
request would then reach another path than the one whose policy the user had in mind.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from provider_common import InvalidRequestError
from pydantic import AfterValidator

from provider_vault._errors import quoted

_DOTS = frozenset({".", ".."})

LONGEST_PATH = 16_384
"""Bytes of a path. Vault's listener breaks the connection somewhere above, which would look like an outage."""


def _without_dots(path: str) -> str:
    if _DOTS & set(path.split("/")):
        raise ValueError("'.' and '..' segments lead elsewhere, and no Vault path has them")
    return path


VaultPath = Annotated[str, AfterValidator(_without_dots)]
"""A mount, or what else of a spec becomes part of a path."""


def quote_segment(segment: str) -> str:
    """One path segment for a URL; a slash in it stays part of the segment."""
    return quote(segment, safe="")


def quote_path(path: str) -> str:
    """A path for a URL. Slashes separate segments; whatever else the name holds (`?`, `#`, `%`) is kept a name."""
    return "/".join(quote_segment(part) for part in path.split("/") if part)


def clean(path: str) -> str:
    """`path` without outer and doubled slashes. Raises InvalidRequestError for `.` and `..` segments, and for what is longer
    than any path can be.
    """
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        raise InvalidRequestError(f"{quoted(path)} is longer than a Vault path can be ({LONGEST_PATH} bytes)")
    parts = [part for part in path.split("/") if part]
    if _DOTS & set(parts):
        raise InvalidRequestError(f"{quoted(path)} holds a '.' or '..' segment, which no Vault path can have")
    return "/".join(parts)


def below(mount: str, path: str) -> str:
    """The name of `path` below `mount`, with or without the mount in front, for KV v1."""
    if path == mount:
        return ""
    return path.removeprefix(f"{mount}/")


def below_v2(mount: str, path: str) -> str:
    """The same for KV v2, whose API puts `data` between mount and name: after the mount it is taken away, too."""
    if path == mount:
        return ""
    if not path.startswith(f"{mount}/"):
        return path
    name = path.removeprefix(f"{mount}/")
    return "" if name == "data" else name.removeprefix("data/")


def guess_mount(path: str) -> str:
    """The mount in `path` where the server does not tell: what stands before `/data/`, else the first segment."""
    before, found, _ = path.partition("/data/")
    return before if found else path.split("/", 1)[0]
