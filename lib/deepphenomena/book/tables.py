"""Tables of claims and verdicts, as HTML for pages and notebooks and as text for terminals and for nbval."""

import collections
import html
from collections.abc import Iterable, Sequence

from deepphenomena.book.cards import Card
from deepphenomena.book.claims import Estimate, Verdict
from deepphenomena.book.records import Outcome, Record

SYMBOLS = {
    Verdict.REPRODUCED: "✓",
    Verdict.NOT_REPRODUCED: "✗",
    Verdict.INCONCLUSIVE: "≈",
    Verdict.NOT_MEASURED: "–",
}


def measured_text(estimate: Estimate, unit: str | None = None) -> str:
    """A mean with its interval and the number of seeds, for example `12.3 [11.8, 12.8], n = 3`."""
    if estimate.n == 0:
        return "–"
    if estimate.mean is None:
        return f"not finite, n = {estimate.n}"
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


def provenance_text(record: Record) -> str:
    """One line that says what made a record."""
    made = record.provenance
    commit = f"commit {made.commit[:10]}" if made.commit else "no commit known"
    code = "" if made.clean in (True, None) else " with uncommitted changes"
    changed = "".join(f", {name} = {value}" for name, value in record.overrides.items())
    data = ", ".join(
        f"{use.name}/{use.split} {use.n:,} ({use.provenance}, sha256 {use.sha256[:8]}…)" for use in record.datasets
    )
    return (
        f"{record.preset}{changed}: seeds {record.parameters['first_seed']} to "
        f"{record.parameters['first_seed'] + record.parameters['seeds'] - 1}; {made.device}, {made.backend}, "
        f"{made.cpu_count} cores; {duration(made.wall_seconds)}; {made.started:%Y-%m-%d}; "
        f"JAX {made.versions.get('jax')}; {commit}{code}" + (f"; data: {data}" if data else "")
    )


def duration(seconds: float) -> str:
    """Seconds in words a person reads: 41 s, 3 min 20 s, 1 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def claims_html(card: Card, records: Sequence[Record]) -> str:
    """The claims of a chapter with one column, verdict and measured value, for each record."""
    head = "".join(column(title(record)) for record in records)
    rows = []
    for claim in card.claims:
        cells = "".join(outcome_cell(record.outcome(claim.id), claim.unit) for record in records)
        expected = html.escape(" · ".join(_expected(claim, records)))
        rows.append(
            f'<tr id="claim-{claim.id}"><th scope="row">{html.escape(claim.claim)}'
            f"<br><small>{html.escape(claim.where)}; <code>{claim.id}</code></small></th>"
            f"<td>{html.escape(claim.reported or 'no number')}</td><td>{html.escape(claim.quantity)}</td>"
            f"<td>{expected}</td>{cells}</tr>"
        )
    provenance = "".join(f"<p><small>{html.escape(provenance_text(record))}</small></p>" for record in records)
    columns = f"{column('Claim')}{column('Paper')}{column('Measured quantity')}{column('Expected')}{head}"
    table = scrolling("Claims, what was measured (mean over seeds, 95% interval) and verdict", columns, _body(rows))
    return f'<div id="claims">{table}{provenance}</div>'


def column(name: str) -> str:
    """The head of a column."""
    return f'<th scope="col">{html.escape(name)}</th>'


def scrolling(caption: str, columns: str, bodies: str) -> str:
    """A table in a box of its own that scrolls where the screen is narrow, by keyboard too."""
    return (
        f'<div class="dp-claims" role="region" aria-label="{caption}" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{columns}</tr></thead>{bodies}</table></div>"
    )


def _body(rows: Iterable[str]) -> str:
    return f"<tbody>{''.join(rows)}</tbody>"


def title(record: Record) -> str:
    """A run's preset, and whether it was modified."""
    return f"{record.preset}, modified" if record.overrides else record.preset


def _expected(claim, records: Sequence[Record]) -> list[str]:
    """The expectation, or one for each preset shown where they differ."""
    texts = {record.preset: str(claim.expectation(record.preset)) for record in records}
    if len(set(texts.values())) == 1:
        return [next(iter(texts.values()))]
    return [f"{preset}: {text}" for preset, text in texts.items()]


def outcome_cell(outcome: Outcome | None, unit: str | None, *, note: str = "") -> str:
    """A table cell with a verdict, symbol and words so that colour is never the only sign, and the measured value."""
    verdict = outcome.verdict if outcome else Verdict.NOT_MEASURED
    measured = f"<br>{html.escape(measured_text(outcome.estimate, unit))}" if outcome else ""
    measured += f'<br><small class="dp-note">{html.escape(note)}</small>' if note else ""
    measured = measured.replace("n = ", "n&nbsp;=&nbsp;")
    return f'<td><span class="dp-{verdict.replace(" ", "-")}">{SYMBOLS[verdict]} {verdict}</span>{measured}</td>'


def claims_text(card: Card, record: Record) -> str:
    """The claims of a record as plain text for a terminal: verdict, claim, measured and expected."""
    lines = [f"{card.title} ({title(record)})"]
    for claim in card.claims:
        outcome = record.outcome(claim.id)
        verdict = outcome.verdict if outcome else Verdict.NOT_MEASURED
        measured = measured_text(outcome.estimate, claim.unit) if outcome else "–"
        expected = claim.expectation(record.preset)
        lines.append(f"  {SYMBOLS[verdict]} {verdict:<15} {claim.id:<32} {measured:<36} expected {expected}")
    return "\n".join([*lines, f"  {headline([record])}"])


def summary_text(card: Card, record: Record) -> str:
    """Verdict (of what no clock measures), id and expectation of every claim: the same where the verdicts are."""
    rows = [
        ("timed" if claim.timed else record.outcome(claim.id).verdict, claim.id, claim.expectation(record.preset))
        for claim in card.claims
    ]
    return "\n".join(f"{verdict:<15} {name:<32} expected {expected}" for verdict, name, expected in rows)


def tally(records: Iterable[Record]) -> dict[Verdict, int]:
    """How many claims have each verdict, verdicts in their fixed order."""
    counts = collections.Counter(outcome.verdict for record in records for outcome in record.outcomes)
    return {verdict: counts[verdict] for verdict in Verdict}


def headline(records: Sequence[Record]) -> str:
    """The score in words, for example `9 of 12 claims reproduced, 1 not reproduced, 2 inconclusive`."""
    counts = tally(records)
    rest = [f"{count} {verdict}" for verdict, count in counts.items() if count and verdict != Verdict.REPRODUCED]
    return ", ".join([f"{counts[Verdict.REPRODUCED]} of {sum(counts.values())} claims reproduced", *rest])


def benchmarks_html(results: dict) -> str:
    """The recorded benchmarks: ours beside the best peer, whether the ratio asked for is reached, and on what."""
    peak = next((row["gigaflops"] for row in results["rows"] if row["best_peer"] is None), None)
    rows = []
    for row in results["rows"]:
        ours, best = row["forms"]["ours"], row["forms"].get(row["best_peer"])
        cells = [_milliseconds(ours), "–" if best is None else f"{row['best_peer']}, {_milliseconds(best)}"]
        cells += [_number(row["ratio"]), _number(row["must"])]
        cells.append("–" if row["must"] is None or row["ratio"] is None else _reached(row["ratio"] >= row["must"]))
        cells.append(_number(row["memory_ratio"]))
        cells.append(f"{row['gigaflops'] / peak:.0%}" if row["gigaflops"] and peak else "–")
        rows.append(f'<tr><th scope="row">{html.escape(row["workload"])}</th>' + "".join(map(cell, cells)) + "</tr>")
    names = [
        "Workload",
        "Ours",
        "Best peer",
        "Ratio",
        "Must reach",
        "Reached",
        "Memory, ours / peer's",
        "Share of peak",
    ]
    made = results["provenance"]
    line = (
        f"{made['processor']}, {made['cores']} cores; {made['written'][:10]}; commit {(made['commit'] or '?')[:10]}; "
    )
    line += ", ".join(f"{name} {version}" for name, version in made["versions"].items() if version)
    table = scrolling("Benchmarks: medians of alternating runs", "".join(map(column, names)), _body(rows))
    return f"{table}<p><small>{html.escape(line)}</small></p>"


def _milliseconds(form: dict) -> str:
    return f"{1e3 * form['median_seconds']:,.3g} ms"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _reached(yes: bool) -> str:
    return "✓ yes" if yes else "✗ no"


def cell(text: str) -> str:
    """A table cell that holds plain text."""
    return f"<td>{html.escape(text)}</td>"
