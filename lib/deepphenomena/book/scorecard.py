"""The scorecard: every claim of every chapter, by what run it was judged, and what moved since the last record.

It is made from cards and records alone, in four forms: a page, JSON, a badge, and text for a terminal.
"""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepphenomena.book import records, tables
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.claims import Claim, Verdict
from deepphenomena.book.records import Outcome, Record
from deepphenomena.runtime import documents

FULL = "full"  # the preset shown beside the quick run
SHOWN = (QUICK, FULL)

Chapters = Sequence[tuple[Card, dict[str, Record]]]  # what `runner.collect` finds: each card with its records by preset


def last_record(shown: Record) -> Record | None:
    """The record that a run is compared with: the recorded run of its preset or, where it is that, the one it replaced.

    So a fresh run drifts from the record that is kept, and a kept record from the one before it.
    """
    kept = records.recorded(shown.slug, shown.preset)
    return kept.replaces if kept is not None and kept.same_run(shown) else kept


def moved(before: Outcome, after: Outcome) -> bool:
    """Whether a claim stands otherwise than it did: another verdict, or 95% intervals that share no point.

    Without intervals (fewer than three seeds) only a change that three digits show counts.
    """
    if before.verdict != after.verdict:
        return True
    old, new = before.estimate, after.estimate
    if tables.measured_text(old) == tables.measured_text(new):
        return False
    if None in (old.low, old.high, new.low, new.high):
        return old.mean != new.mean
    return new.high < old.low or old.high < new.low


def drift(last: Record | None, shown: Record) -> list[tuple[Outcome, Outcome]]:
    """The claims of a run that moved since the last record: (before, after) for each."""
    pairs = ((last.outcome(after.id), after) for after in shown.outcomes) if last else ()
    return [(before, after) for before, after in pairs if before is not None and moved(before, after)]


def content(chapters: Chapters) -> dict[str, Any]:
    """The scorecard as JSON holds it: the score of each preset, then chapters, their runs and their claims."""
    return {"score": _score(chapters), "chapters": [_chapter(card, by_preset) for card, by_preset in chapters]}


def _score(chapters: Chapters) -> dict[str, dict[Verdict, int]]:
    made = {name: [by_preset[name] for _, by_preset in chapters if name in by_preset] for name in SHOWN}
    return {name: tables.tally(found) for name, found in made.items() if found}


def page(card: Card) -> str:
    """A chapter's page, as an address in the book."""
    return f"chapters/{card.part}/{card.slug}.html"


def _chapter(card: Card, by_preset: dict[str, Record]) -> dict[str, Any]:
    lasts = {name: last_record(record) for name, record in by_preset.items()}
    runs, claims = {}, []
    for name, record in by_preset.items():
        runs[name] = record.model_dump(mode="json", include={"overrides", "parameters", "datasets", "provenance"})
        runs[name]["last_record"] = lasts[name] and lasts[name].provenance.model_dump(mode="json")
        runs[name]["moved"] = [after.id for _, after in drift(lasts[name], record)]
    for claim in card.claims:
        measured = {name: _measured(record.outcome(claim.id)) for name, record in by_preset.items()}
        for name, last in lasts.items():
            if measured[name] and last:
                measured[name]["before"] = _measured(last.outcome(claim.id))
        said = claim.model_dump(mode="json", include={"id", "claim", "where", "reported", "quantity", "unit"})
        claims.append(said | {"page": f"{page(card)}#claim-{claim.id}", "runs": measured})
    named = {"slug": card.slug, "title": card.title, "part": card.part, "page": page(card)}
    return named | {"paper": card.paper.model_dump(mode="json", exclude_none=True), "runs": runs, "claims": claims}


def _measured(outcome: Outcome | None) -> dict[str, Any] | None:
    return outcome and outcome.model_dump(mode="json", include={"verdict", "estimate", "expectation"})


def write(chapters: Chapters, folder: Path) -> None:
    """Write `scorecard.json` and the badge, `scorecard.svg`, into a folder."""
    documents.write_whole(folder / "scorecard.json", as_json(chapters) + "\n")
    documents.write_whole(folder / "scorecard.svg", badge(chapters))


def as_json(chapters: Chapters) -> str:
    """The scorecard's content, written out."""
    return json.dumps(content(chapters), ensure_ascii=False, indent=1, allow_nan=False)


def badge(chapters: Chapters) -> str:
    """The score as an SVG for a README: `claims reproduced | quick 31 of 40, full 30 of 40`.

    It has one colour whatever the score: a claim that does not hold is a result and no defect.
    """
    score = ", ".join(
        f"{name} {counts[Verdict.REPRODUCED]} of {sum(counts.values())}" for name, counts in _score(chapters).items()
    )
    return _badge("claims reproduced", score or "none measured")


def _badge(label: str, value: str) -> str:
    """Two words beside each other. `textLength` fits them into their boxes whatever font the reader has."""
    widths = [6.2 * len(text) for text in (label, value)]
    left, right = (round(width) + 12 for width in widths)
    texts = "".join(
        f'<text x="{x + 6}" y="14" textLength="{width:.0f}">{html.escape(text)}</text>'
        for text, x, width in zip((label, value), (0, left), widths, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{html.escape(label)}: {html.escape(value)}">'
        f'<rect width="{left + right}" height="20" rx="3" fill="#444"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" fill="#12527a"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )


def as_text(chapters: Chapters) -> str:
    """The scorecard for a terminal: every chapter's claims under the quick run, what moved, each preset's headline."""
    blocks = []
    for card, by_preset in chapters:
        if not by_preset:
            blocks.append(f"{card.title}\n  no run recorded; run: deepphenomena record {card.slug}")
            continue
        shown = by_preset.get(QUICK) or next(iter(by_preset.values()))
        blocks.append(tables.claims_text(card, shown))
        blocks += [f"  {name}: {tables.headline([other])}" for name, other in by_preset.items() if other is not shown]
        for record in by_preset.values():
            for before, after in drift(last_record(record), record):
                stood, stands = (_stood(outcome, card.claim(after.id).unit) for outcome in (before, after))
                blocks.append(f"  {record.preset}, moved: {after.id}: {stood}; now {stands}")
    return "\n".join(blocks)


def _stood(outcome: Outcome, unit: str | None) -> str:
    return f"{tables.SYMBOLS[outcome.verdict]} {outcome.verdict} {tables.measured_text(outcome.estimate, unit)}"


def as_html(chapters: Chapters) -> str:
    """The scorecard of the book: one row for each claim, quick and full side by side, chapters one after the other."""
    columns = "".join(map(tables.column, ("Claim", "Paper's number", *SHOWN)))
    groups = "".join(_group(card, [by_preset.get(name) for name in SHOWN]) for card, by_preset in chapters)
    table = tables.scrolling("Every claim of every chapter", columns, groups)
    files = 'The same as <a href="scorecard.json">JSON</a> and as a <a href="scorecard.svg">badge</a>.'
    return f'<div id="every-claim">{table}<p class="dp-files">{files}</p></div>'


def _group(card: Card, shown: Sequence[Record | None]) -> str:
    """A chapter's rows under a row that names the paper and what each run took, on what and when."""
    drifts = []
    heads = ""
    for record in shown:
        last = record and last_record(record)
        drifts.append({after.id: before for before, after in drift(last, record)} if record else {})
        heads += tables.cell(_made(record, last, len(drifts[-1])) if record else "not recorded")
    authors = card.paper.authors[0] + (" et al." if len(card.paper.authors) > 1 else "")
    name = f'<a href="{page(card)}">{html.escape(card.title)}</a><br>{html.escape(f"{authors} {card.paper.year}")}'
    rows = "".join(_row(card, claim, shown, drifts) for claim in card.claims)
    return (
        f'<tbody data-chapter="{html.escape(card.title)}">'
        f'<tr class="dp-chapter"><th scope="rowgroup" colspan="2">{name}</th>{heads}</tr>{rows}</tbody>'
    )


def _made(record: Record, last: Record | None, count: int) -> str:
    """What a run took, on what and when, and how much moved since the last record."""
    made = record.provenance
    words = f"{made.device} ({made.backend}), {made.cpu_count} cores; {tables.duration(made.wall_seconds)}; "
    words += f"{made.started:%Y-%m-%d}"
    return f"{words}; since {last.provenance.started:%Y-%m-%d}: {count or 'nothing'} moved" if last else words


def _row(card: Card, claim: Claim, shown: Sequence[Record | None], drifts: Sequence[dict[str, Outcome]]) -> str:
    outcomes = [record.outcome(claim.id) if record else None for record in shown]
    befores = [moved_ones.get(claim.id) for moved_ones in drifts]
    cells = "".join(
        tables.outcome_cell(outcome, claim.unit, note=f"before: {_stood(before, claim.unit)}" if before else "")
        for outcome, before in zip(outcomes, befores, strict=True)
    )
    verdicts = "|".join(outcome.verdict if outcome else Verdict.NOT_MEASURED for outcome in outcomes)
    return (
        f'<tr data-verdicts="{verdicts}"{" data-moved" if any(befores) else ""}>'
        f'<th scope="row"><a href="{page(card)}#claim-{claim.id}">{html.escape(claim.claim)}</a></th>'
        f"{tables.cell(claim.reported or 'no number')}{cells}</tr>"
    )


def runs_html(chapters: Chapters) -> str:
    """What each run of each chapter took, and on what."""
    rows = []
    for card, by_preset in chapters:
        for record in by_preset.values():
            made = record.provenance
            cells = [tables.title(record), str(record.parameters["seeds"]), f"{made.device} ({made.backend})"]
            cells += [f"{made.cpu_count}", tables.duration(made.wall_seconds), f"{made.started:%Y-%m-%d}"]
            cells = "".join(map(tables.cell, cells))
            rows.append(f'<tr><th scope="row">{html.escape(card.title)}</th>{cells}</tr>')
    names = ["Chapter", "Run", "Seeds", "Device", "CPU cores", "Took", "On"]
    body = f"<tbody>{''.join(rows)}</tbody>"
    return tables.scrolling("Runs shown in this book", "".join(map(tables.column, names)), body)
