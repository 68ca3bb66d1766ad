"""Ours beside the paper's: the numbers that the paper gives, what the recorded run measured, and the difference."""

from collections.abc import Mapping

from deepphenomena.book import standing, tables
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.claims import Claim, PaperNumber
from deepphenomena.book.records import Outcome, Record
from deepphenomena.runtime.statistics import Scale
from deepphenomena.runtime.typesetting import markup

COLUMNS = ("Quantity", "The paper's", "Ours", "Difference", "Verdict")


def numbers_html(card: Card, by_preset: Mapping[str, Record]) -> str:
    """Return the table of a chapter; empty if the paper gives no number for any claim.

    Ours is the recorded run nearest the paper that measured the claim or, without one, the quick run.
    """
    compared = [(claim, *_ours(card, claim, by_preset)) for claim in card.claims if claim.paper]
    rows = [_row(claim, claim.paper, run, found, by_preset, card) for claim, run, found in compared]
    if not rows:
        return ""
    columns = "".join(map(tables.column, COLUMNS))
    return tables.scrolling("Ours beside the paper's", columns, tables.body(rows), kind="dp-cards dp-numbers")


def _ours(card: Card, claim: Claim, by_preset: Mapping[str, Record]) -> tuple[Record | None, Outcome | None]:
    stands = standing.of_claim(card, claim.id, by_preset)
    if stands.outcome:
        return stands.record, stands.outcome
    quick = by_preset.get(QUICK)
    return quick, quick.outcome(claim.id) if quick else None


def _row(
    claim: Claim, paper: PaperNumber, run: Record | None, found: Outcome | None, by_preset: Mapping, card: Card
) -> str:
    unit = f" {claim.unit}" if claim.unit else ""
    cells = (
        f"{markup(f'{_number(paper)}{unit}')}{tables.small(paper.source)}",
        f"{tables.numbers(tables.measured_text(found.estimate, claim.unit))}{tables.small(tables.run_name(run))}"
        if run and found
        else "not measured",
        _difference(claim, found) if found else "",
        tables.verdict_html(standing.of_claim(card, claim.id, by_preset).verdict),
    )
    labelled = "".join(f'<td data-label="{label}">{text}</td>' for label, text in zip(COLUMNS[1:], cells, strict=True))
    return f'<tr><th scope="row"><a href="#claim-{claim.id}">{markup(claim.quantity)}</a></th>{labelled}</tr>'


def _difference(claim: Claim, found: Outcome) -> str:
    """Return ours minus the paper's or, on a log scale, how many times the paper's ours is."""
    value = tables.difference(claim, found.estimate)
    if value is None:
        return ""
    return f"×&nbsp;{value:.3g}" if claim.scale is Scale.LOG else f"{round(value, 12) + 0:+.3g}".replace("-", "−")


def _number(paper: PaperNumber) -> str:
    """Return the paper's number with its range, for example `0.96 [0.89, 0.96]`."""
    if paper.low is None or paper.high is None:
        return f"{paper.value:g}"
    return f"{paper.value:g} [{paper.low:g}, {paper.high:g}]"
