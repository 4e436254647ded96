"""Durations in manifests, as Go writes them (`1h30m`, `250ms`, `0`)."""

from __future__ import annotations

from typing import Annotated

from provider_common.durations import parse_duration
from pydantic import AfterValidator


def _checked(text: str) -> str:
    if text:
        parse_duration(text)
    return text


GoDuration = Annotated[str, AfterValidator(_checked)]
"""A duration in a manifest; empty means the field's default."""

__all__ = ["GoDuration", "parse_duration"]
