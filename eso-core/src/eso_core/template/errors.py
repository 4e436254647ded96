"""What is wrong with a template, in words that hold no value."""

from __future__ import annotations


class TemplateError(Exception):
    """The template can't be parsed or evaluated. The text names line and column, and the key or function."""
