"""How a claim stands: the verdict of record over all recorded runs, and whether the quick run agrees with it."""

import collections
import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.claims import Verdict
from deepphenomena.book.records import Outcome, Record

Chapters = Sequence[tuple[Card, Mapping[str, Record]]]  # each card with its records by preset


class Agreement(enum.StrEnum):
    """How the quick run compares with the verdict of record. It has no verdict of its own."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    TOO_SMALL = "too small to tell"
    NO_RECORD = "no decided record"


class Standing(NamedTuple):
    """How a claim stands.

    Attributes:
        verdict: the verdict of record.
        reason: why, in one line.
        record: the recorded run nearest the paper that measured the claim; None where none did.
        outcome: what that run measured.
    """

    verdict: Verdict
    reason: str
    record: Record | None
    outcome: Outcome | None


def recorded_runs(card: Card, by_preset: Mapping[str, Record]) -> list[Record]:
    """The records that have a share in verdicts of record, nearest the paper first: unmodified runs beyond quick."""
    return [
        by_preset[preset]
        for preset in reversed(card.order)
        if preset != QUICK and preset in by_preset and not by_preset[preset].overrides
    ]


def counts_in_headline(card: Card, by_preset: Mapping[str, Record]) -> bool:
    """Whether a chapter has a share in the headline: a recorded run beyond quick, and no longer a draft."""
    return not card.draft and bool(recorded_runs(card, by_preset))


def of_claim(card: Card, claim_id: str, by_preset: Mapping[str, Record]) -> Standing:
    """The verdict of record of a claim: that of the recorded run nearest the paper.

    It is `mixed` where one recorded run, an earlier attempt at a preset included, found that the claim holds and
    another that it does not.
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
    """(name, verdict) of every recorded run of a claim, earlier attempts included."""
    named = []
    for run, found in runs:
        named.append((run.preset if run.attempt == 1 else f"{run.preset} (attempt {run.attempt})", found.verdict))
        for attempt in run.attempts:
            if claim_id in attempt.outcomes and not attempt.overrides:
                named.append((f"{run.preset} (attempt {attempt.attempt})", attempt.outcomes[claim_id].verdict))
    return named


def agreement(card: Card, claim_id: str, by_preset: Mapping[str, Record]) -> Agreement | None:
    """How the quick run compares with the verdict of record; None where it did not measure the claim."""
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
    """How many claims have each verdict of record, over the chapters that count; verdicts in their fixed order."""
    counts = collections.Counter(
        of_claim(card, claim.id, by_preset).verdict
        for card, by_preset in chapters
        if counts_in_headline(card, by_preset)
        for claim in card.claims
    )
    return {verdict: counts[verdict] for verdict in Verdict}


def headline(counts: Mapping[Verdict, int]) -> str:
    """The score in words, for example `of 12 claims: 4 reproduced (size), 5 reproduced (direction), 3 inconclusive`."""
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"of {sum(counts.values())} claims: {', '.join(parts)}" if parts else "no claim has a recorded run"


def chapter_headline(card: Card, by_preset: Mapping[str, Record]) -> str:
    """How a chapter's claims stand, in words; what keeps it from counting, where something does."""
    if card.draft:
        return "a draft, which counts for nothing"
    if not counts_in_headline(card, by_preset):
        return "no recorded run beyond quick, so it counts for nothing yet"
    return headline(tally([(card, by_preset)]))
