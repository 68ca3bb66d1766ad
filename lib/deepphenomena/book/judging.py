"""Judging: outcomes from measurements, and the conditions that void a run."""

from deepphenomena.book.cards import SMOKE, Card
from deepphenomena.book.claims import Check, CheckVerdict, Claim, Sample, Verdict, judge
from deepphenomena.book.records import Outcome, Reference


def outcome(measured: Claim | Check, preset: str, sample: Sample | None, null: tuple[str, Sample] | None) -> Outcome:
    """Return the outcome of a claim or check for a preset. `null` is the name and the score of a null model."""
    sample = sample or Sample()
    expectation = measured.expectation(preset)
    judgement = judge(measured, sample, expectation, null=null and null[1])
    none, undecided = (type(measured.verdict(None)).NOT_MEASURED, measured.verdict(judgement.holds))
    return Outcome(
        id=measured.id,
        sample=sample,
        scale=measured.scale,
        exact=measured.exact,
        estimate=sample.estimate(measured),
        expectation=expectation,
        reference=null and Reference(name=null[0], sample=null[1], estimate=null[1].estimate(measured)),
        verdict=undecided if sample.values else none,
        reason=judgement.reason,
    )


def judged(
    card: Card, preset: str, samples: dict[str, Sample], nulls: dict[str, tuple[str, Sample]]
) -> tuple[list[Outcome], list[Outcome], str | None]:
    """Return (outcomes of the claims, outcomes of the checks, reason why they are void) of a run.

    A failing check voids the run: its claims are then not measured. A timed check does not, because it can fail on a
    busy machine. Smoke runs are not judged.
    """
    claims, checks = (
        [outcome(one, preset, samples.get(one.id), nulls.get(one.id)) for one in kind]
        for kind in (card.claims, card.checks)
    )
    failed = [
        check.id
        for check, found in zip(card.checks, checks, strict=True)
        if found.verdict == CheckVerdict.FAILED and not check.timed
    ]
    if preset == SMOKE:
        void = "a smoke run is not judged"
        checks = [_without_verdict(found, CheckVerdict.NOT_MEASURED, void) for found in checks]
    else:
        void = f"the run is void: its check {', '.join(failed)} failed" if failed else None
    if void:
        claims = [_without_verdict(found, Verdict.NOT_MEASURED, void) for found in claims]
    return claims, checks, void


def _without_verdict(found: Outcome, verdict: Verdict | CheckVerdict, reason: str) -> Outcome:
    return found.model_copy(update={"verdict": verdict, "reason": reason})
