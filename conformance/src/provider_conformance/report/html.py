"""One page that a person likes to read: the verdict first, then areas, failures with what to do, slow calls, the rest.

Self-contained: no script, no font, no address is loaded. Every text of the run is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from provider_conformance.registry import AREAS, find_check
from provider_conformance.report.model import Report, Verdict
from provider_conformance.verdict import Result, Status

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conformance of $name</title>
<style>
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --page: #fcfcfd; --card: #fff; --line: #dfe2e6;
  --passed: #2b8a3e; --failed: #c92a2a; --known-failure: #b35900; --known-difference: #1971c2;
  --not-applicable: #868e96; --not-run: #7048e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef0; --dim: #a0a6ad; --page: #16181b; --card: #1f2226; --line: #34383d;
  --passed: #51cf66; --failed: #ff8787; --known-failure: #ffa94d; --known-difference: #74c0fc;
  --not-applicable: #868e96; --not-run: #b197fc; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; }
p.dim, .dim { color: var(--dim); } code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; margin-top: 1.4rem; }
.card, details { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.card strong { display: block; font-size: 1.05rem; }
.bar { display: flex; height: .5rem; border-radius: .25rem; overflow: hidden; margin: .5rem 0; background: var(--line); }
.bar i { display: block; } .word { font-weight: 600; }
table { width: 100%; border-collapse: collapse; } td, th { text-align: left; padding: .35rem .6rem .35rem 0; vertical-align: top; }
tr + tr td { border-top: 1px solid var(--line); } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.grow { width: 45%; }
details { margin: .5rem 0; } summary { cursor: pointer; } details dl { margin: .7rem 0 0; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; overflow-wrap: anywhere; }
.passed { color: var(--passed); } .failed { color: var(--failed); } .known-failure { color: var(--known-failure); }
.known-difference { color: var(--known-difference); } .not-applicable { color: var(--not-applicable); } .not-run { color: var(--not-run); }
</style></head><body>
<h1>Conformance of $name</h1>
<p class="dim">$about</p>
<div class="cards">$cards</div>
$failures
<h2>By area</h2>
$areas
<h2>What was not judged, and why</h2>
$others
<h2>Slowest calls</h2>
$slow
$left
<h2>Every check</h2>
$every
</body></html>
""")

_COLOUR = {
    "conformant": "passed",
    "conformant with known failures": "known-failure",
    "conformant with known differences": "known-difference",
    "incomplete": "not-run",
    "not conformant": "failed",
}


def as_html(report: Report) -> str:
    """The page."""
    about = (
        f"contract {report.contract}, dialect {report.dialect} &middot; suite {escape(report.suite)} &middot;"
        f" {escape(report.started)} &middot; {report.seconds:.1f} s &middot; {len(report.results)} results"
    )
    if report.seed is not None:
        about += f" &middot; seed {report.seed}"
    return _PAGE.substitute(
        name=escape(report.name),
        about=about,
        cards="".join(map(_card, report.verdicts())),
        failures=_failures(report),
        areas=_areas(report),
        others=_others(report),
        slow=_slow(report),
        left=_left(report),
        every="".join(_area(area, rows) for area, rows in report.areas()),
    )


def _bar(rows: Sequence[Result] | Verdict) -> str:
    counts = (
        rows.counts if isinstance(rows, Verdict) else {s: sum(r.status is s for r in rows) for s in Status}
    )
    parts = (
        f'<i title="{counts[s]} {s}" style="flex:{counts[s]};background:var(--{s})"></i>'
        for s in Status
        if counts[s]
    )
    return f'<div class="bar">{"".join(parts)}</div>'


def _card(verdict: Verdict) -> str:
    counts = ", ".join(f"{verdict.counts[status]} {status}" for status in Status if verdict.counts[status])
    return (
        f'<div class="card"><strong>{escape(verdict.subject)}</strong> <span class="dim">{verdict.profile}</span>'
        f'{_bar(verdict)}<span class="word {_COLOUR[verdict.word]}">{verdict.word}</span>'
        f'<div class="dim">{counts}</div></div>'
    )


def _failures(report: Report) -> str:
    rows = [row for row in report.results if row.status is Status.FAILED]
    if not rows:
        return ""
    return "<h2>Failures</h2>" + "".join(_failure(row) for row in rows)


def _failure(row: Result) -> str:
    check = find_check(row.check)
    parts = {
        "Seen": row.reason,
        "If this fails": check.lost,
        "Likely cause": check.cause,
        "Fix": check.fix,
        "Contract": ", ".join(row.contract),
    }
    body = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in parts.items())
    return (
        f'<details open><summary><code class="failed">{row.check}</code> <span class="dim">{escape(row.subject)}</span>'
        f" &mdash; {escape(check.summary)}</summary><dl>{body}</dl></details>"
    )


def _areas(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{AREAS[area]}</td><td class="grow">{_bar(found)}</td>'
        f'<td class="number passed">{sum(r.status is Status.PASSED for r in found)}</td>'
        f'<td class="number failed">{sum(r.status is Status.FAILED for r in found) or ""}</td>'
        f'<td class="number dim">{sum(r.seconds for r in found):.2f} s</td></tr>'
        for area, found in report.areas()
    )
    head = (
        '<tr class="dim"><th></th><th></th><th class="number">passed</th><th class="number">failed</th>'
        '<th class="number">time</th></tr>'
    )
    legend = " &middot; ".join(f'<span class="{status}">{status}</span>' for status in Status)
    return f'<p class="dim">Colours: {legend}</p><table>{head}{rows}</table>'


def _others(report: Report) -> str:
    found = []
    for status in (Status.KNOWN, Status.DIFFERENCE, Status.NOT_RUN, Status.NOT_APPLICABLE):
        for reason, rows in report.reasons(status):
            names = ", ".join(f"<code>{row.check}</code>" for row in rows)
            found.append(
                f'<tr><td class="{status}">{status}</td><td>{escape(reason)}<div class="dim">{names}</div></td></tr>'
            )
    return (
        f"<table>{''.join(found)}</table>" if found else '<p class="dim">Nothing: every check was judged.</p>'
    )


def _slow(report: Report) -> str:
    rows = "".join(
        f'<tr><td class="number">{call.seconds * 1000:.0f} ms</td><td><code>{call.method}</code> {call.status}</td>'
        f'<td><code>{row.check}</code> <span class="dim">{escape(row.subject)}</span></td></tr>'
        for row, call in report.slowest()
    )
    return f"<table>{rows}</table>"


def _left(report: Report) -> str:
    if not report.left_behind:
        return ""
    return (
        "<h2>Left behind</h2><ul>"
        + "".join(f"<li>{escape(entry)}</li>" for entry in report.left_behind)
        + "</ul>"
    )


def _area(area: str, rows: Sequence[Result]) -> str:
    body = "".join(
        f'<tr><td class="{row.status}">{row.status}</td><td><code>{row.check}</code> <span class="dim">'
        f"{escape(row.subject)}</span></td><td>{escape(find_check(row.check).summary)}</td>"
        f'<td class="dim">{", ".join(row.contract)}</td></tr>'
        for row in rows
    )
    return f"<details><summary>{AREAS[area]} ({len(rows)})</summary><table>{body}</table></details>"
