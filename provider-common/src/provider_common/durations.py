"""Go durations (`1h30m`, `10s`, `250ms`), as manifests write them."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = (2**63 - 1) / 1e9
"""Seconds that Go can hold: about 292 years."""


def parse_duration(text: str) -> float:
    """Seconds of a Go duration. Raises ValueError, with a text for users, for anything else."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0.0
    seconds, position = 0.0, 0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None:
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not body or position != len(body) or seconds > _LONGEST:
        raise ValueError(f"{text[:40]!r} is not a duration: write it like 30s, 5m or 1h30m")
    return -seconds if text.startswith("-") else seconds
