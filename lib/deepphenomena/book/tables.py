"""Text and HTML for the tables of the book: numbers with intervals, verdicts, provenance, cells."""

import html
from collections.abc import Iterable

from deepphenomena.book.claims import CheckVerdict, Claim, Verdict
from deepphenomena.book.records import Record
from deepphenomena.book.standing import Agreement, attempt_name
from deepphenomena.runtime.statistics import Estimate, Scale
from deepphenomena.runtime.typesetting import markup

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

# The CSS class of each; color is never the only indication.
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
    """Return a mean with its interval and the number of seeds, for example `12.3 [11.8, 12.8], n = 3`."""
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
    """Return the number of significant digits for an interval of this width: three, or more if it is narrow."""
    if width <= 0 or mean == 0:
        return 3
    ratio = abs(mean) / width
    return min(6, max(3, 2 + len(str(int(ratio))))) if ratio >= 1 else 3


def difference(claim: Claim, estimate: Estimate) -> float | None:
    """Return ours minus the paper's number, or their ratio on a log scale. Return None without a number."""
    if claim.paper is None or estimate.mean is None:
        return None
    if claim.scale is Scale.LOG:
        return estimate.mean / claim.paper.value if claim.paper.value else None
    return round(estimate.mean - claim.paper.value, 12) + 0  # without rounding errors of the mean, and no −0


def difference_text(claim: Claim, estimate: Estimate) -> str:
    """Return the difference as text, for example `ours − paper's: +0.3`; empty without a number."""
    value = difference(claim, estimate)
    if value is None:
        return ""
    if claim.scale is Scale.LOG:
        return f"ours / paper's: {value:.3g}"
    return f"ours − paper's: {value:+.3g}"


def provenance_text(record: Record) -> str:
    """Return the provenance of a record in one line."""
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
    """Return the preset of a run, the number of the attempt, and whether it was modified."""
    return attempt_name(record.preset, record.attempt) + (", modified" if record.overrides else "")


def duration(seconds: float) -> str:
    """Format seconds: 41 s, 3 min 20 s, 1 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def verdict_html(verdict: Verdict | CheckVerdict | Agreement) -> str:
    """Return a verdict as symbol and text, in its color."""
    return f'<span class="dp-{_CLASSES.get(verdict, "inconclusive")}">{SYMBOLS[verdict]} {verdict}</span>'


def small(text: str) -> str:
    """Return a line of small print; empty for empty text."""
    return f'<br><small class="dp-note">{markup(text)}</small>' if text else ""


def numbers(text: str) -> str:
    """Return escaped text with nonbreaking spaces in "n = "."""
    return markup(text).replace("n = ", "n&nbsp;=&nbsp;")


def column(name: str) -> str:
    """Return the header of a column."""
    return f'<th scope="col">{markup(name)}</th>'


def cell(text: str) -> str:
    """Return a table cell with plain text."""
    return f"<td>{markup(text)}</td>"


def labelled(names: Iterable[str], cells: Iterable[str]) -> str:
    """Return the cells of a row, as HTML, each with the name of its column, which a narrow screen shows."""
    return "".join(f'<td data-label="{name}">{content}</td>' for name, content in zip(names, cells, strict=True))


def body(rows: Iterable[str]) -> str:
    """Return the body of a table."""
    return f"<tbody>{''.join(rows)}</tbody>"


def scrolling(caption: str, columns: str, bodies: str, *, kind: str = "") -> str:
    """Return a table in a box that scrolls on a narrow screen, also by keyboard.

    With the kind `dp-cards` it does not scroll: on a narrow screen, each row becomes a card.
    """
    return (
        f'<div class="dp-claims {kind}" role="region" aria-label="{html.escape(caption)}" tabindex="0"><table>'
        f"<caption>{markup(caption)}</caption><thead><tr>{columns}</tr></thead>{bodies}</table></div>"
    )


def folded(summary: str, content: str) -> str:
    """Return content folded under a summary."""
    return f'<details class="dp-folded"><summary>{markup(summary)}</summary>{content}</details>'
