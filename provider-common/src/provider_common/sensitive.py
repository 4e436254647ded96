"""Bytes that can't be printed by accident. What has to be sent is sent as is; what is shown is a mask."""

from __future__ import annotations


class SecretBytes(bytes):
    """A credential or a secret value. It works wherever bytes work; `str`, `repr` and formatting give a mask.

    `decode()` is the deliberate way to the text.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretBytes(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, _spec: str) -> str:
        return "***"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a SecretBytes is not to be pickled: it would end up where nobody guards it")
