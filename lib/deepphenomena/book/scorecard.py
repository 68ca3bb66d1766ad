"""The scorecard: the verdict of record of every claim, generated from cards and records only.

Checks do not count. There are four formats: a page, JSON, a badge, and text for a terminal.
"""

import html
from collections.abc import Mapping
from pathlib import Path

from deepphenomena.book import claims_table, results, scorecard_json, standing, tables
from deepphenomena.book.cards import Card
from deepphenomena.book.claims import Verdict
from deepphenomena.book.records import Attempt, Record, Stood
from deepphenomena.book.scorecard_json import page
from deepphenomena.book.standing import Chapters
from deepphenomena.runtime import documents
from deepphenomena.runtime.typesetting import markup


def last_stood(shown: Record) -> Attempt | None:
    """Return the run to compare with: the recorded run of the preset or, for that run, its previous attempt."""
    kept = results.recorded(shown.slug, shown.preset)
    if kept is None or not kept.same_run(shown):
        return kept and kept.as_attempt()
    return kept.attempts[-1] if kept.attempts else None


def moved(before: Stood, after: Stood) -> bool:
    """Return whether a claim changed: another verdict, or 95% intervals that do not overlap.

    Without intervals, only a change in the first three digits counts.
    """
    if before.verdict != after.verdict:
        return True
    old, new = before.estimate, after.estimate
    if tables.measured_text(old) == tables.measured_text(new):
        return False
    if None in (old.low, old.high, new.low, new.high):
        return old.mean != new.mean
    return new.high < old.low or old.high < new.low


def drift(shown: Record) -> dict[str, tuple[Stood, Stood]]:
    """Return the claims and checks of a run that changed since its last record: {id: (before, after)}."""
    last = last_stood(shown)
    pairs = {
        name: (last.outcomes[name], after)
        for name, after in shown.as_attempt().outcomes.items()
        if last and name in last.outcomes
    }
    return {name: pair for name, pair in pairs.items() if moved(*pair)}


def write(chapters: Chapters, folder: Path) -> None:
    """Write `scorecard.json`, its JSON schema and the badge, `scorecard.svg`, into a folder."""
    documents.write_whole(folder / "scorecard.json", scorecard_json.text(chapters) + "\n")
    documents.write_whole(folder / "scorecard.schema.json", scorecard_json.schema() + "\n")
    documents.write_whole(folder / "scorecard.svg", badge(chapters))


def badge(chapters: Chapters) -> str:
    """Return the score as an SVG for a README: `claims reproduced | 12 in size, 19 in direction, of 78`.

    Its color does not depend on the score: a claim that does not hold is a result, not a defect.
    """
    counts = standing.tally(chapters)
    size, direction = counts[Verdict.REPRODUCED_SIZE], counts[Verdict.REPRODUCED_DIRECTION]
    total = sum(counts.values())
    return _badge(
        "claims reproduced", f"{size} in size, {direction} in direction, of {total}" if total else "none recorded"
    )


def _badge(label: str, value: str) -> str:
    """Return a badge with two texts. `textLength` fits them into their boxes with any font."""
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
    """Return the scorecard for a terminal: the headline, every claim with its verdict of record, and changes."""
    blocks = [standing.headline(standing.tally(chapters))]
    for card, by_preset in chapters:
        blocks.append(f"\n{card.title} ({card.slug}): {standing.chapter_headline(card, by_preset)}")
        blocks += [_line(card, claim.id, by_preset) for claim in card.claims]
        for run in by_preset.values():
            if run.void:
                blocks.append(f"  {tables.run_name(run)}: {run.void}")
            for name, (before, after) in drift(run).items():
                unit = card.find(name).unit
                blocks.append(
                    f"  {tables.run_name(run)}, moved: {name}: {_stood(before, unit)}; now {_stood(after, unit)}"
                )
    return "\n".join(blocks)


def _line(card: Card, claim_id: str, by_preset: Mapping[str, Record]) -> str:
    stands = standing.of_claim(card, claim_id, by_preset)
    value = tables.measured_text(stands.outcome.estimate, card.claim(claim_id).unit) if stands.outcome else "–"
    agrees = standing.agreement(card, claim_id, by_preset)
    quick = f"; quick: {agrees}" if agrees else ""
    return f"  {tables.SYMBOLS[stands.verdict]} {stands.verdict:<22} {claim_id:<32} {value:<36} {stands.reason}{quick}"


def _stood(stood: Stood, unit: str | None) -> str:
    return f"{tables.SYMBOLS[stood.verdict]} {stood.verdict} {tables.measured_text(stood.estimate, unit)}"


def as_html(chapters: Chapters) -> str:
    """Return the scorecard of the book: one row for each claim, grouped by chapter."""
    columns = "".join(map(tables.column, claims_table.COLUMNS))
    groups = "".join(_group(card, by_preset) for card, by_preset in chapters)
    table = tables.scrolling("Every claim of every chapter", columns, groups, kind="dp-cards")
    files = (
        'The same as <a href="scorecard.json">JSON</a> (<a href="scorecard.schema.json">schema</a>) '
        'and as a <a href="scorecard.svg">badge</a>.'
    )
    return f'<div id="every-claim">{table}<p class="dp-files">{files}</p></div>{_checks(chapters)}'


def _group(card: Card, by_preset: Mapping[str, Record]) -> str:
    """Return the rows of a chapter, below a row with the paper and the verdicts of the chapter."""
    authors = card.paper.authors[0] + (" et al." if len(card.paper.authors) > 1 else "")
    link = f'<a href="{html.escape(page(card))}">{html.escape(card.title)}</a>'
    name = f"{link}<br>{html.escape(f'{authors} {card.paper.year}')}"
    tested, total = card.coverage.share
    summary = f"{standing.chapter_headline(card, by_preset)}; {tested} of {total} figures, tables and theorems tested"
    summary += "".join(f"; {tables.run_name(run)}: {run.void}" for run in by_preset.values() if run.void)
    rows = "".join(claims_table.claim_row(card, claim, by_preset, page=page(card)) for claim in card.claims)
    return (
        f'<tbody data-chapter="{html.escape(card.title)}"><tr class="dp-chapter"><th scope="rowgroup">{name}</th>'
        f'<td colspan="{len(claims_table.COLUMNS) - 1}">{html.escape(summary)}</td></tr>{rows}</tbody>'
    )


def _checks(chapters: Chapters) -> str:
    """Return all checks of all chapters in one folded table; they do not count in the score."""
    rows, count = [], 0
    for card, by_preset in chapters:
        for check in card.checks:
            count += 1
            found = [(run, run.outcome(check.id)) for run in by_preset.values()]
            verdicts = "".join(
                f"<div>{html.escape(tables.run_name(run))}: {tables.verdict_html(one.verdict)}</div>"
                for run, one in found
                if one
            )
            link = f'<a href="{html.escape(page(card))}#check-{check.id}">{markup(check.check)}</a>'
            rows.append(f'<tr><th scope="row">{link}</th>{tables.cell(card.title)}<td>{verdicts}</td></tr>')
    columns = "".join(map(tables.column, ("Check", "Chapter", "Every run")))
    table = tables.scrolling("Checks of our setup", columns, tables.body(rows))
    return tables.folded(f"{count} checks of our setup, which do not count", table)


def runs_html(chapters: Chapters) -> str:
    """Return the table of the time and hardware of each run of each chapter."""
    rows = []
    for card, by_preset in chapters:
        for record in by_preset.values():
            made = record.provenance
            cells = [tables.run_name(record), str(len(record.seeds)), f"{made.device} ({made.backend})"]
            cells += [f"{made.cpu_count}", tables.duration(made.wall_seconds), f"{made.started:%Y-%m-%d}"]
            cells += [f"{count} moved" if (count := len(drift(record))) else "nothing moved"]
            cells = "".join(map(tables.cell, cells))
            rows.append(f'<tr><th scope="row">{html.escape(card.title)}</th>{cells}</tr>')
    names = ("Chapter", "Run", "Seeds", "Device", "CPU cores", "Took", "On", "Since the record before")
    return tables.scrolling("Runs shown in this book", "".join(map(tables.column, names)), tables.body(rows))
