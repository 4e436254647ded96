"""The page about templates says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from eso_core.template.functions import SUPPORTED


def test_the_page_lists_every_function_and_no_other() -> None:
    """Users write templates by the page."""
    page = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
    table = page.partition("## Functions")[2].partition("| area | functions |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == SUPPORTED.split()
