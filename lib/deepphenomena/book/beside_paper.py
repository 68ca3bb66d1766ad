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
    rows = [_row(claim, claim.paper, card, by_preset) for claim in card.claims if claim.paper]
    if not rows:
        return ""
    columns = "".join(map(tables.column, COLUMNS))
    return tables.scrolling("Ours beside the paper's", columns, tables.body(rows), kind="dp-cards dp-numbers")


def _row(claim: Claim, paper: PaperNumber, card: Card, by_preset: Mapping[str, Record]) -> str:
    stands = standing.of_claim(card, claim.id, by_preset)
    run = stands.record or by_preset.get(QUICK)
    found = run and run.outcome(claim.id)
    ours = difference = ""
    if found:
        ours = tables.numbers(tables.measured_text(found.estimate, claim.unit)) + tables.small(tables.run_name(run))
        difference = _difference(claim, found)
    number = markup(_number(paper) + (f" {claim.unit}" if claim.unit else ""))
    cells = (
        f"{number}{tables.small(paper.source)}",
        ours or "not measured",
        difference,
        tables.verdict_html(stands.verdict),
    )
    head = f'<th scope="row"><a href="#claim-{claim.id}">{markup(claim.quantity)}</a></th>'
    return f"<tr>{head}{tables.labelled(COLUMNS[1:], cells)}</tr>"


def _difference(claim: Claim, found: Outcome) -> str:
    """Return ours minus the paper's or, on a log scale, how many times the paper's ours is."""
    value = tables.difference(claim, found.estimate)
    if value is None:
        return ""
    return f"×&nbsp;{value:.3g}" if claim.scale is Scale.LOG else f"{value:+.3g}".replace("-", "−")


def _number(paper: PaperNumber) -> str:
    """Return the paper's number with its range, for example `0.96 [0.89, 0.96]`."""
    if paper.low is None or paper.high is None:
        return f"{paper.value:g}"
    return f"{paper.value:g} [{paper.low:g}, {paper.high:g}]"
