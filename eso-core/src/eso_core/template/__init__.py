"""Templates as Go's text/template has them, as far as this core supports them: the page docs/templates.md lists it all.

Whatever is not supported (a function, `define`, `template`, `block`) is an error that names it; nothing is passed through
as text. Evaluation has no way to the clock, the network, files or the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eso_core.template.errors import TemplateError
from eso_core.template.evaluate import Evaluation
from eso_core.template.keysvalues import keys_and_values
from eso_core.template.parse import parse


class Template:
    """A parsed template. Raises TemplateError, with line and column, for text that can't be parsed."""

    def __init__(self, text: str) -> None:
        self._nodes = parse(text)

    def render(self, data: Mapping[str, Any], *, missing_is_error: bool = True) -> str:
        """The text for `data`. Raises TemplateError naming a key that is missing or a function that failed, never a value."""
        return Evaluation(data, missing_is_error=missing_is_error).text_of(self._nodes)


__all__ = ["Template", "TemplateError", "keys_and_values"]
