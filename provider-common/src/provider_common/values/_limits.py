"""How deep a path or a document may nest where following it needs Python's own stack, and what is said beyond."""

from __future__ import annotations

from provider_common.errors import InvalidSpecError

MAX_PATH = 8192
"""Bytes of a path. Following one takes memory that grows with the square of its length."""

MAX_NESTING = 64
"""Queries in queries, multipaths in multipaths."""

MAX_DEPTH = 100
"""Containers in containers, for the modifiers that rewrite a document at every level. Their time grows with the square
of the depth, in the Go library too."""


def encode_path(path: str) -> bytes:
    """The bytes of a path that is not too long; raises InvalidSpecError."""
    encoded = path.encode("utf-8", "surrogatepass")
    if len(encoded) > MAX_PATH:
        raise InvalidSpecError(
            f"A property path is {len(encoded)} bytes long, more than the {MAX_PATH} that are read"
        )
    return encoded


def path_too_deep() -> InvalidSpecError:
    """For a path that nests too deep."""
    return InvalidSpecError(
        f"A property path nests more than {MAX_NESTING} queries or multipaths: simplify it"
    )


def document_too_deep(modifier: str) -> InvalidSpecError:
    """For a document that is too deep for `modifier`."""
    return InvalidSpecError(
        f"@{modifier} does not work on a value nested more than {MAX_DEPTH} levels deep: select the inner part first"
    )
