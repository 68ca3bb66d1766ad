"""Words and HTML that every table of the book is made of: numbers with intervals, verdicts, provenance, cells."""

import html
from collections.abc import Iterable

from deepphenomena.book.claims import CheckVerdict, Claim, Verdict
from deepphenomena.book.records import Record
from deepphenomena.book.standing import Agreement
from deepphenomena.runtime.statistics import Estimate, Scale

SYMBOLS = {
    Verdict.REPRODUCED_SIZE: "✓",
    Verdict.REPRODUCED_DIRECTION: "✓",
    Verdict.NOT_REPRODUCED: "✗",
    Verdict.MIXED: "±",
    Verdict.INCONCLUSIVE: "≈",
    Verdict.NOT_MEASURED: "–",
    CheckVerdict.PASSED: "✓",
    CheckVerdict.FAILED: "✗",
    CheckVerdict.UNDECIDED: "≈",
    Agreement.AGREES: "=",
    Agreement.DISAGREES: "≠",
    Agreement.TOO_SMALL: "≈",
    Agreement.NO_RECORD: "–",
}

# The style sheet's class of each; colour is never the only sign.
_CLASSES = {
    Verdict.REPRODUCED_SIZE: "reproduced",
    Verdict.REPRODUCED_DIRECTION: "reproduced",
    CheckVerdict.PASSED: "reproduced",
    Agreement.AGREES: "reproduced",
    Verdict.NOT_REPRODUCED: "not-reproduced",
    CheckVerdict.FAILED: "not-reproduced",
    Agreement.DISAGREES: "not-reproduced",
    Verdict.NOT_MEASURED: "not-measured",
    Agreement.NO_RECORD: "not-measured",
}


def measured_text(estimate: Estimate, unit: str | None = None) -> str:
    """A mean with its interval and the number of seeds, for example `12.3 [11.8, 12.8], n = 3`."""
    if estimate.n == 0:
        return "–"
    if estimate.mean is None:
        return f"no mean, n = {estimate.n}"
    shown = f"{estimate.mean:.3g}"
    if estimate.low is not None and estimate.high is not None:
        digits = _digits(estimate.high - estimate.low, estimate.mean)
        shown = f"{estimate.mean:.{digits}g} [{estimate.low:.{digits}g}, {estimate.high:.{digits}g}]"
    return f"{shown}{f' {unit}' if unit else ''}, n = {estimate.n}"


def _digits(width: float, mean: float) -> int:
    """Significant digits that show an interval of this width around this mean: three, more where it is narrow."""
    if width <= 0 or mean == 0:
        return 3
    ratio = abs(mean) / width
    return min(6, max(3, 2 + len(str(int(ratio))))) if ratio >= 1 else 3


def difference(claim: Claim, estimate: Estimate) -> float | None:
    """Ours minus the paper's number; ours over it on a log scale. None where there is nothing to compare."""
    if claim.paper is None or estimate.mean is None:
        return None
    if claim.scale is Scale.LOG:
        return estimate.mean / claim.paper.value if claim.paper.value else None
    return estimate.mean - claim.paper.value


def difference_text(claim: Claim, estimate: Estimate) -> str:
    """The difference in words, for example `ours − paper's: +0.3`; empty where there is nothing to compare."""
    value = difference(claim, estimate)
    if value is None:
        return ""
    if claim.scale is Scale.LOG:
        return f"ours / paper's: {value:.3g}"
    return f"ours − paper's: {round(value, 12) + 0:+.3g}"  # rounding errors of the mean are no difference


def provenance_text(record: Record) -> str:
    """One line that says what made a record."""
    made = record.provenance
    commit = f"commit {made.commit[:10]}" if made.commit else "no commit known"
    code = "" if made.clean in (True, None) else " with uncommitted changes"
    changed = "".join(f", {name} = {value}" for name, value in record.overrides.items())
    data = ", ".join(
        f"{use.name}/{use.split} {use.n:,} ({use.provenance}, sha256 {use.sha256[:8]}…)" for use in record.datasets
    )
    reused = f", seen before: {record.seeds_reused}" if record.seeds_reused else ""
    return (
        f"{run_name(record)}{changed}: seeds {record.seeds.start} to {record.seeds.stop - 1}{reused}; "
        f"{made.device}, {made.backend}, {made.cpu_count} cores; {duration(made.wall_seconds)}; "
        f"{made.started:%Y-%m-%d}; JAX {made.versions.get('jax')}; {commit}{code}" + (f"; data: {data}" if data else "")
    )


def run_name(record: Record) -> str:
    """A run's preset, which attempt at it this is, and whether it was modified."""
    attempt = f" (attempt {record.attempt})" if record.attempt > 1 and record.preset != "quick" else ""
    return f"{record.preset}{attempt}{', modified' if record.overrides else ''}"


def duration(seconds: float) -> str:
    """Seconds in words a person reads: 41 s, 3 min 20 s, 1 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def verdict_html(verdict: Verdict | CheckVerdict | Agreement) -> str:
    """A verdict, symbol and words, in its colour."""
    return f'<span class="dp-{_CLASSES.get(verdict, "inconclusive")}">{SYMBOLS[verdict]} {verdict}</span>'


def small(text: str) -> str:
    """A line of small print; empty where there is none."""
    return f'<br><small class="dp-note">{html.escape(text)}</small>' if text else ""


def numbers(text: str) -> str:
    """Escaped text in which no number is torn from what belongs to it."""
    return html.escape(text).replace("n = ", "n&nbsp;=&nbsp;")


def column(name: str) -> str:
    """The head of a column."""
    return f'<th scope="col">{html.escape(name)}</th>'


def cell(text: str) -> str:
    """A table cell that holds plain text."""
    return f"<td>{html.escape(text)}</td>"


def body(rows: Iterable[str]) -> str:
    """The body of a table."""
    return f"<tbody>{''.join(rows)}</tbody>"


def scrolling(caption: str, columns: str, bodies: str, *, kind: str = "") -> str:
    """A table in a box of its own that scrolls where the screen is narrow, by keyboard too.

    Of the kind `dp-cards` it does not scroll: on a narrow screen each row becomes a card.
    """
    return (
        f'<div class="dp-claims {kind}" role="region" aria-label="{html.escape(caption)}" tabindex="0"><table>'
        f"<caption>{html.escape(caption)}</caption><thead><tr>{columns}</tr></thead>{bodies}</table></div>"
    )


def folded(summary: str, content: str) -> str:
    """Content that a reader opens by its summary, which says what is inside."""
    return f'<details class="dp-folded"><summary>{html.escape(summary)}</summary>{content}</details>'
