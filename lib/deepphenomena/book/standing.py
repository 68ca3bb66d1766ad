"""The verdict of record of each claim over all recorded runs, and its comparison with the quick run."""

import collections
import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.claims import Verdict
from deepphenomena.book.records import Outcome, Record

Chapters = Sequence[tuple[Card, Mapping[str, Record]]]  # each card with its records by preset


class Agreement(enum.StrEnum):
    """The comparison of the quick run with the verdict of record. The quick run has no verdict of its own."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    TOO_SMALL = "too small to tell"
    NO_RECORD = "no decided record"


class Standing(NamedTuple):
    """The verdict of record of a claim.

    Attributes:
        verdict: the verdict of record.
        reason: the reason in one line.
        record: the recorded run nearest the paper that measured the claim, or None.
        outcome: the measurement of that run.
    """

    verdict: Verdict
    reason: str
    record: Record | None
    outcome: Outcome | None


def attempt_name(preset: str, attempt: int) -> str:
    """Return the name of a recorded run: its preset, with the number of an attempt after the first."""
    return preset if attempt == 1 or preset == QUICK else f"{preset} (attempt {attempt})"


def recorded_runs(card: Card, by_preset: Mapping[str, Record]) -> list[Record]:
    """Return the records that count in verdicts of record, nearest the paper first: unmodified runs beyond quick."""
    return [
        by_preset[preset]
        for preset in reversed(card.order)
        if preset != QUICK and preset in by_preset and not by_preset[preset].overrides
    ]


def counts_in_headline(card: Card, by_preset: Mapping[str, Record]) -> bool:
    """Return whether a chapter counts in the headline: it has a recorded run beyond quick and is not a draft."""
    return not card.draft and bool(recorded_runs(card, by_preset))


def of_claim(card: Card, claim_id: str, by_preset: Mapping[str, Record]) -> Standing:
    """Return the verdict of record of a claim: that of the recorded run nearest the paper.

    It is `mixed` if the claim holds in one recorded run and fails in another. Earlier attempts count.
    """
    runs = [(run, found) for run in recorded_runs(card, by_preset) if (found := run.outcome(claim_id)) is not None]
    measured = [(run, found) for run, found in runs if found.verdict is not Verdict.NOT_MEASURED]
    if not measured:
        reason = runs[0][1].reason if runs else "no recorded run beyond quick"
        return Standing(Verdict.NOT_MEASURED, reason, *(runs[0] if runs else (None, None)))
    nearest, outcome = measured[0]
    decided = [(name, verdict.holds) for name, verdict in _verdicts(claim_id, runs) if verdict.holds is not None]
    if len({holds for _, holds in decided}) == 2:
        holding, failing = ([name for name, holds in decided if holds is wanted] for wanted in (True, False))
        reason = f"it holds in {', '.join(holding)} and does not in {', '.join(failing)}"
        return Standing(Verdict.MIXED, reason, nearest, outcome)
    return Standing(outcome.verdict, outcome.reason, nearest, outcome)


def _verdicts(claim_id: str, runs: list[tuple[Record, Outcome]]) -> list[tuple[str, Verdict]]:
    """Return (name, verdict) of every recorded run of a claim, including earlier attempts."""
    named = []
    for run, found in runs:
        named.append((attempt_name(run.preset, run.attempt), found.verdict))
        for attempt in run.attempts:
            if claim_id in attempt.outcomes and not attempt.overrides:
                named.append((f"{run.preset} (attempt {attempt.attempt})", attempt.outcomes[claim_id].verdict))
    return named


def agreement(card: Card, claim_id: str, by_preset: Mapping[str, Record]) -> Agreement | None:
    """Compare the quick run with the verdict of record. Return None if it did not measure the claim."""
    quick = by_preset.get(QUICK)
    found = quick.outcome(claim_id) if quick else None
    if found is None or found.verdict is Verdict.NOT_MEASURED:
        return None
    record = of_claim(card, claim_id, by_preset).verdict
    if record.holds is None:
        return Agreement.NO_RECORD
    if found.verdict.holds is None:
        return Agreement.TOO_SMALL
    return Agreement.AGREES if found.verdict.holds is record.holds else Agreement.DISAGREES


def tally(chapters: Chapters) -> dict[Verdict, int]:
    """Return the number of claims with each verdict of record in the chapters that count, in a fixed order."""
    counts = collections.Counter(
        of_claim(card, claim.id, by_preset).verdict
        for card, by_preset in chapters
        if counts_in_headline(card, by_preset)
        for claim in card.claims
    )
    return {verdict: counts[verdict] for verdict in Verdict}


def headline(counts: Mapping[Verdict, int]) -> str:
    """Return the score as text, such as `of 12 claims: 4 reproduced (size), 5 reproduced (direction), 3 mixed`."""
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"of {sum(counts.values())} claims: {', '.join(parts)}" if parts else "no claim has a recorded run"


def chapter_headline(card: Card, by_preset: Mapping[str, Record]) -> str:
    """Return the verdicts of a chapter as text, or the reason why the chapter does not count."""
    if card.draft:
        return "a draft, which does not count"
    if not counts_in_headline(card, by_preset):
        return "no recorded run beyond quick, so it does not count yet"
    return headline(tally([(card, by_preset)]))
