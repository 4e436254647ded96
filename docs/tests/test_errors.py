"""docs/errors.md against the classes themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from provider_common import errors

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \| (yes|no) \| (.+) \| (.+) \|$", re.MULTILINE)


def classes(cls: type[errors.ProviderError]) -> Iterator[type[errors.ProviderError]]:
    for sub in cls.__subclasses__():
        if sub.__module__ == errors.__name__:
            yield sub
            yield from classes(sub)


def test_the_page_lists_every_class_with_its_code_and_status() -> None:
    """A class that is missing here would be guessed at."""
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    listed = {(name, code, status, again) for name, code, status, again, _, _ in ROW.findall(text)}

    assert listed == {
        (cls.__name__, cls.code, cls.status, "yes" if cls.retryable else "no")
        for cls in classes(errors.ProviderError)
    }
