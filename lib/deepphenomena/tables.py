"""Tables of claims and verdicts, as HTML for pages and notebooks and as text for terminals and for nbval."""

import collections
import html
from collections.abc import Iterable, Sequence

from deepphenomena.cards import QUICK, Card
from deepphenomena.claims import Estimate, Verdict
from deepphenomena.records import Outcome, Record

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
    head = "".join(_column(_title(record)) for record in records)
    rows = []
    for claim in card.claims:
        cells = "".join(_outcome_cell(record.outcome(claim.id), claim.unit) for record in records)
        expected = html.escape(" · ".join(_expected(claim, records)))
        rows.append(
            f'<tr id="claim-{claim.id}"><th scope="row">{html.escape(claim.claim)}'
            f"<br><small>{html.escape(claim.where)}; <code>{claim.id}</code></small></th>"
            f"<td>{html.escape(claim.reported or 'no number')}</td><td>{html.escape(claim.quantity)}</td>"
            f"<td>{expected}</td>{cells}</tr>"
        )
    provenance = "".join(f"<p><small>{html.escape(provenance_text(record))}</small></p>" for record in records)
    columns = f"{_column('Claim')}{_column('Paper')}{_column('Measured quantity')}{_column('Expected')}{head}"
    table = _table("Claims, what was measured (mean over seeds, 95% interval) and verdict", columns, rows)
    return f'<div id="claims">{table}{provenance}</div>'


def _column(name: str) -> str:
    return f'<th scope="col">{html.escape(name)}</th>'


def _table(caption: str, columns: str, rows: Iterable[str]) -> str:
    """A table in a box of its own that scrolls where the screen is narrow, by keyboard too."""
    return (
        f'<div class="dp-claims" role="region" aria-label="{caption}" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _title(record: Record) -> str:
    return f"{record.preset}, modified" if record.overrides else record.preset


def _expected(claim, records: Sequence[Record]) -> list[str]:
    """The expectation, or one for each preset shown where they differ."""
    texts = {record.preset: str(claim.expectation(record.preset)) for record in records}
    if len(set(texts.values())) == 1:
        return [next(iter(texts.values()))]
    return [f"{preset}: {text}" for preset, text in texts.items()]


def _outcome_cell(outcome: Outcome | None, unit: str | None) -> str:
    """A table cell with a verdict, symbol and words so that colour is never the only sign, and the measured value."""
    verdict = outcome.verdict if outcome else Verdict.NOT_MEASURED
    measured = f"<br>{html.escape(measured_text(outcome.estimate, unit))}" if outcome else ""
    measured = measured.replace("n = ", "n&nbsp;=&nbsp;")
    return f'<td><span class="dp-{verdict.replace(" ", "-")}">{SYMBOLS[verdict]} {verdict}</span>{measured}</td>'


def claims_text(card: Card, record: Record) -> str:
    """The claims of a record as plain text for a terminal: verdict, claim, measured and expected."""
    lines = [f"{card.title} ({_title(record)})"]
    for claim in card.claims:
        outcome = record.outcome(claim.id)
        verdict = outcome.verdict if outcome else Verdict.NOT_MEASURED
        measured = measured_text(outcome.estimate, claim.unit) if outcome else "–"
        expected = claim.expectation(record.preset)
        lines.append(f"  {SYMBOLS[verdict]} {verdict:<15} {claim.id:<32} {measured:<36} expected {expected}")
    return "\n".join([*lines, f"  {headline([record])}"])


def summary_text(card: Card, record: Record) -> str:
    """Verdict, id and expectation of every claim: the same on every machine as long as the verdicts are."""
    rows = [(record.outcome(claim.id), claim.expectation(record.preset)) for claim in card.claims]
    return "\n".join(f"{outcome.verdict:<15} {outcome.id:<32} expected {expected}" for outcome, expected in rows)


def tally(records: Iterable[Record]) -> dict[Verdict, int]:
    """How many claims have each verdict, verdicts in their fixed order."""
    counts = collections.Counter(outcome.verdict for record in records for outcome in record.outcomes)
    return {verdict: counts[verdict] for verdict in Verdict}


def headline(records: Sequence[Record]) -> str:
    """The score in words, for example `9 of 12 claims reproduced, 1 not reproduced, 2 inconclusive`."""
    counts = tally(records)
    rest = [f"{count} {verdict}" for verdict, count in counts.items() if count and verdict != Verdict.REPRODUCED]
    return ", ".join([f"{counts[Verdict.REPRODUCED]} of {sum(counts.values())} claims reproduced", *rest])


def scorecard_text(chapters: Sequence[tuple[Card, dict[str, Record]]]) -> str:
    """The scorecard for a terminal: every chapter's claims under the quick run, then the headline of each preset."""
    blocks = []
    for card, by_preset in chapters:
        if not by_preset:
            blocks.append(f"{card.title}\n  no run recorded; run: deepphenomena record {card.slug}")
            continue
        shown = by_preset.get(QUICK) or next(iter(by_preset.values()))
        blocks.append(claims_text(card, shown))
        blocks += [f"  {name}: {headline([other])}" for name, other in by_preset.items() if other is not shown]
    return "\n".join(blocks)


def scorecard_html(chapters: Sequence[tuple[Card, dict[str, Record]]], presets: Sequence[str] = (QUICK, "full")) -> str:
    """The scorecard of the book: one row for each claim of each chapter, quick and full side by side."""
    head = "".join(_column(name) for name in presets)
    rows = []
    for card, by_preset in chapters:
        for claim in card.claims:
            outcomes = [by_preset[name].outcome(claim.id) if name in by_preset else None for name in presets]
            link = f"chapters/{card.part}/{card.slug}.html#claim-{claim.id}"
            rows.append(
                f"<tr><td>{html.escape(card.paper.authors[0])} et al. {card.paper.year}</td>"
                f'<th scope="row"><a href="{link}">{html.escape(claim.claim)}</a></th>'
                f"<td>{html.escape(claim.reported or 'no number')}</td>"
                + "".join(_outcome_cell(outcome, claim.unit) for outcome in outcomes)
                + "</tr>"
            )
    columns = f"{_column('Paper')}{_column('Claim')}{_column("Paper's number")}{head}"
    return _table("Every claim of every chapter", columns, rows)


def runs_html(chapters: Sequence[tuple[Card, dict[str, Record]]]) -> str:
    """What each run of each chapter took, and on what."""
    rows = []
    for card, by_preset in chapters:
        for record in by_preset.values():
            made = record.provenance
            cells = [_title(record), str(record.parameters["seeds"]), f"{made.device} ({made.backend})"]
            cells += [f"{made.cpu_count}", duration(made.wall_seconds), f"{made.started:%Y-%m-%d}"]
            rows.append(f'<tr><th scope="row">{html.escape(card.title)}</th>' + "".join(map(_cell, cells)) + "</tr>")
    names = ["Chapter", "Run", "Seeds", "Device", "CPU cores", "Took", "On"]
    return _table("Runs shown in this book", "".join(map(_column, names)), rows)


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
        rows.append(f'<tr><th scope="row">{html.escape(row["workload"])}</th>' + "".join(map(_cell, cells)) + "</tr>")
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
    table = _table("Benchmarks: medians of alternating runs", "".join(map(_column, names)), rows)
    return f"{table}<p><small>{html.escape(line)}</small></p>"


def _milliseconds(form: dict) -> str:
    return f"{1e3 * form['median_seconds']:,.3g} ms"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _reached(yes: bool) -> str:
    return "✓ yes" if yes else "✗ no"


def _cell(text: str) -> str:
    return f"<td>{html.escape(text)}</td>"
