"""What a run found, as one object, and its forms: JSON, JUnit, Markdown, HTML. Comparison and matrix read the JSON again."""

from provider_conformance.report.forms import as_junit, as_markdown, write_all
from provider_conformance.report.html import as_html
from provider_conformance.report.many import Change, compare, matrix
from provider_conformance.report.model import Report, Verdict, report_schema

__all__ = [
    "Change",
    "Report",
    "Verdict",
    "as_html",
    "as_junit",
    "as_markdown",
    "compare",
    "matrix",
    "report_schema",
    "write_all",
]
