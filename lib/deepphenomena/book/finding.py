"""The box below the title of a chapter: the main claim as measured, what the paper says, and what the runs took."""

import html
from collections.abc import Mapping

from deepphenomena.book import standing, tables
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.records import Record
from deepphenomena.runtime.typesetting import markup


def box(card: Card, by_preset: Mapping[str, Record]) -> str:
    """Return the box as HTML, from the card and its records alone."""
    lines = [("Main claim", _main_claim(card, by_preset)), ("The paper", markup(card.summary))]
    took = [_took(run) for run in (*standing.recorded_runs(card, by_preset), by_preset.get(QUICK)) if run]
    if took:
        lines.append(("What it took", "; ".join(took) + "."))
    terms = "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in lines)
    return f'<dl class="dp-finding">{terms}</dl>'


def _main_claim(card: Card, by_preset: Mapping[str, Record]) -> str:
    """Return the main claim with its measurement, bound and verdict of record."""
    claim = card.main
    stands = standing.of_claim(card, claim.id, by_preset)
    said = f'<a href="#claim-{claim.id}">{markup(claim.claim)}</a> {tables.verdict_html(stands.verdict)}'
    if stands.outcome is None:
        return said
    value = tables.numbers(tables.measured_text(stands.outcome.estimate, claim.unit))
    quantity, bound = markup(claim.quantity), markup(str(stands.outcome.expectation))
    return f"{said}<br>Measured: {quantity}: {value}. Bound: {bound}."


def _took(run: Record) -> str:
    made = run.provenance
    hardware = f"{made.cpu_count} CPU cores" if made.backend == "cpu" else html.escape(made.device)
    name = html.escape(tables.run_name(run))
    return f"{name} run: {len(run.seeds)} seeds, {tables.duration(made.wall_seconds)} on {hardware}"
