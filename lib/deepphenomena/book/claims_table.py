"""The tables of a chapter: its claims with every recorded run, its checks, the coverage of its paper."""

import html
import urllib.parse
from collections.abc import Mapping, Sequence

from deepphenomena.book import beside_paper, standing, tables
from deepphenomena.book.cards import QUICK, SMOKE, Card
from deepphenomena.book.claims import Check, CheckVerdict, Claim, Expectation, Verdict
from deepphenomena.book.records import Outcome, Record
from deepphenomena.book.standing import Agreement
from deepphenomena.runtime.typesetting import markup

COLUMNS = ("Claim", "Verdict of record", "Paper and bound", "Ours, every run")


def claims_html(
    card: Card, by_preset: Mapping[str, Record], this: Record | None = None, *, repository: str | None = None
) -> str:
    """Return the claims, checks and coverage of a chapter, for its page and its notebook.

    Args:
        card: the chapter's card.
        by_preset: the recorded runs and the quick run, by preset.
        this: another run to show next to them, with modified parameters.
        repository: the address of the book's repository, to which readers report problems with a claim.
    """
    runs = [*by_preset.values(), *([this] if this else [])]
    rows = [claim_row(card, claim, by_preset, this=this, repository=repository) for claim in card.claims]
    columns = "".join(map(tables.column, COLUMNS))
    table = tables.scrolling(
        "What the paper claims, what was measured, and the verdict", columns, tables.body(rows), kind="dp-cards"
    )
    made = "".join(f"<p><small>{html.escape(tables.provenance_text(run))}</small></p>" for run in runs)
    voided = "".join(
        f'<p class="dp-void">{html.escape(tables.run_name(run))}: {html.escape(run.void)}.</p>'
        for run in runs
        if run.void
    )
    return (
        f'<div id="claims">{voided}{beside_paper.numbers_html(card, by_preset)}{table}'
        f"{checks_html(card, runs)}{coverage_html(card)}{tables.folded('What made each run', made)}</div>"
    )


def claim_row(
    card: Card,
    claim: Claim,
    by_preset: Mapping[str, Record],
    *,
    this: Record | None = None,
    page: str = "",
    repository: str | None = None,
) -> str:
    """Return the row of a claim. `page` is the address of its chapter if the row is on another page."""
    stands = standing.of_claim(card, claim.id, by_preset)
    agrees = standing.agreement(card, claim.id, by_preset)
    bound = stands.outcome.expectation if stands.outcome else claim.expectation(this.preset if this else QUICK)
    cells = (
        tables.verdict_html(stands.verdict) + tables.small(stands.reason),
        _paper(claim, bound),
        _runs(card, claim, by_preset, agrees, this),
    )
    reported = f" · <small>{_problem_link(card, claim, repository)}</small>" if repository else ""
    anchor = "" if page else f' id="claim-{claim.id}"'
    attributes = f'data-verdict="{stands.verdict}" data-basis="{claim.basis}" data-quick="{agrees or "not measured"}"'
    head = f'<th scope="row">{_sentence(claim, page)}{reported}</th>'
    return f"<tr{anchor} {attributes}>{head}{tables.labelled(COLUMNS[1:], cells)}</tr>"


def _sentence(claim: Claim, page: str) -> str:
    sentence = markup(claim.claim)
    page = html.escape(page)
    linked = f'<a href="{page}#claim-{claim.id}">{sentence}</a>' if page else sentence
    where = claim.where + ("; not checked against a source" if claim.unverified else "")
    tested = f'<br><small><a href="{page}#measures-{claim.id}">how tested</a></small>'
    return f"{linked}{tables.small(where)}{tested}"


def _problem_link(card: Card, claim: Claim, repository: str) -> str:
    """Return a link to a new issue about a claim, filled in as far as it can be."""
    body = f"Claim `{claim.id}` of `{card.slug}`: {claim.claim}\n\nWhat is wrong with it, and how do you know?\n"
    fields = urllib.parse.urlencode({"title": f"{card.slug}: {claim.id}", "body": body})
    return f'<a href="{html.escape(f"{repository}/issues/new?{fields}")}">report a problem</a>'


def _paper(claim: Claim, bound: Expectation) -> str:
    basis = "the paper's number" if claim.basis == "number" else "the paper's direction"
    return f"{markup(claim.reported or 'no number reported')}{tables.small(f'bound: {bound}, from {basis}')}"


def _runs(
    card: Card, claim: Claim, by_preset: Mapping[str, Record], agrees: Agreement | None, this: Record | None
) -> str:
    """Return the quantity, all recorded runs (nearest the paper first), the quick run, and an additional run."""
    lines = [_run(claim, run) for run in standing.recorded_runs(card, by_preset)]
    if agrees:
        lines.append(f"quick: {_value(claim, by_preset[QUICK].outcome(claim.id))}<br>{tables.verdict_html(agrees)}")
    if this:
        lines.append(_run(claim, this))
    return f'<small class="dp-note">{markup(claim.quantity)}</small>' + "".join(f"<div>{line}</div>" for line in lines)


def _run(claim: Claim, run: Record) -> str:
    found, name = run.outcome(claim.id), html.escape(tables.run_name(run))
    if found is None:
        return f"{name}: not in this record"
    line = f"{name}: {_value(claim, found)}<br>{tables.verdict_html(found.verdict)}"
    line += tables.small(tables.difference_text(claim, found.estimate))
    if found.reference:
        scored = tables.measured_text(found.reference.estimate, claim.unit)
        line += tables.small(f"{found.reference.name}: {scored}")
    for attempt in reversed(run.attempts):
        if claim.id in attempt.outcomes and run.preset != QUICK:
            stood = attempt.outcomes[claim.id]
            line += tables.small(f"attempt {attempt.attempt}: {stood.verdict}, {tables.measured_text(stood.estimate)}")
    return line


def _value(claim: Claim, found: Outcome) -> str:
    return tables.numbers(tables.measured_text(found.estimate, claim.unit))


def checks_html(card: Card, runs: Sequence[Record]) -> str:
    """Return the folded table of our checks, which never count as reproduced claims."""
    if not card.checks:
        return ""
    columns = "".join(map(tables.column, ("Check", "Measured quantity", "Bound", *map(tables.run_name, runs))))
    rows = [
        f'<tr id="check-{check.id}"><th scope="row">{markup(check.check)}{tables.small(check.why or "")}'
        f'<br><small><a href="#measures-{check.id}">how tested</a></small></th>'
        f"{tables.cell(check.quantity)}{tables.cell(str(check.expectation(QUICK)))}"
        + "".join(_check_cell(check, run) for run in runs)
        + "</tr>"
        for check in card.checks
    ]
    failed = {check.id for run in runs for check in run.checks if check.verdict is CheckVerdict.FAILED}
    summary = f"{len(card.checks)} checks of our setup, {len(failed) or 'none'} failed"
    return tables.folded(summary, tables.scrolling("Checks of our setup", columns, tables.body(rows)))


def _check_cell(check: Check, run: Record) -> str:
    found = run.outcome(check.id)
    if found is None:
        return tables.cell("not in this record")
    measured = tables.numbers(tables.measured_text(found.estimate, check.unit))
    return f"<td>{tables.verdict_html(found.verdict)}<br>{measured}{tables.small(found.reason)}</td>"


def coverage_html(card: Card) -> str:
    """Return the folded table of all figures, tables and theorems of the paper and how they are tested."""
    rows = [
        f'<tr><th scope="row">{markup(item.item)}</th>{tables.cell(item.shows)}<td>{_tested(item)}</td></tr>'
        for item in card.coverage.items
    ]
    tested, total = card.coverage.share
    columns = "".join(map(tables.column, ("Of the paper", "Shows", "Tested by")))
    source = f"List made from: {card.coverage.source}"
    source += "" if card.coverage.complete else " It may be incomplete."
    table = tables.scrolling("Coverage of the paper", columns, tables.body(rows))
    summary = f"{tested} of {total} figures, tables and theorems of the paper are tested"
    return tables.folded(summary, f"{table}<p><small>{markup(source)}</small></p>")


def _tested(item) -> str:
    if item.not_attempted:
        return f"not attempted: {markup(item.not_attempted)}"
    return ", ".join(f'<a href="#claim-{name}"><code>{name}</code></a>' for name in map(html.escape, item.claims))


def claims_text(card: Card, record: Record) -> str:
    """Return claims and checks of a record as text for a terminal: verdict, id, measured and expected."""
    lines = [f"{card.title} ({tables.run_name(record)})"]
    for measured in card.measured:
        found = record.outcome(measured.id)
        verdict = found.verdict if found else Verdict.NOT_MEASURED
        said = "not judged" if record.preset == SMOKE else verdict
        value = tables.measured_text(found.estimate, measured.unit) if found else "–"
        kind = "" if isinstance(measured, Claim) else "check "
        expected = measured.expectation(record.preset)
        lines.append(f"  {tables.SYMBOLS[verdict]} {said:<22} {kind}{measured.id:<32} {value:<36} expected {expected}")
        if (
            found
            and not record.void
            and verdict not in (Verdict.REPRODUCED_SIZE, Verdict.REPRODUCED_DIRECTION, CheckVerdict.PASSED)
        ):
            lines.append(f"      {found.reason}")
    if record.void:
        lines.append(f"  no verdict counts: {record.void}")
    elif record.preset == QUICK:
        lines.append("  a quick run does not count in any headline; it is only compared with the recorded runs")
    return "\n".join(lines)


def summary_text(card: Card, record: Record) -> str:
    """Return verdict (unless timed), id and expectation of every claim and check, which nbval compares."""
    rows = [
        (
            "timed" if measured.timed else record.outcome(measured.id).verdict,
            measured.id,
            measured.expectation(record.preset),
        )
        for measured in card.measured
    ]
    return "\n".join(f"{verdict:<22} {name:<32} expected {expected}" for verdict, name, expected in rows)
