"""The scorecard as JSON, in a documented and versioned format, with a citable address for each claim."""

import json
from collections.abc import Mapping
from typing import Literal

import pydantic

from deepphenomena.book import standing, tables
from deepphenomena.book.cards import Card
from deepphenomena.book.claims import CheckVerdict, Claim, Expectation, PaperNumber, Verdict
from deepphenomena.book.paper import Coverage, Paper
from deepphenomena.book.provenance import DatasetUse, Provenance
from deepphenomena.book.records import Attempt, Outcome, Record, Reference
from deepphenomena.book.standing import Agreement, Chapters
from deepphenomena.runtime.statistics import Estimate

SCHEMA_VERSION = 2  # 1 had one verdict per preset and counted checks as claims


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Run(_Part):
    """A run of a chapter: its parameters and provenance, and whether its verdicts are void."""

    preset: str
    attempt: int
    overrides: dict
    parameters: dict
    datasets: list[DatasetUse]
    provenance: Provenance
    seeds_reused: str | None
    void: str | None
    earlier_attempts: list[Attempt]


class Measurement(_Part):
    """The measurement of a claim or a check in one run."""

    preset: str
    attempt: int
    estimate: Estimate
    expectation: Expectation
    reference: Reference | None
    verdict: Verdict | CheckVerdict
    reason: str


class ClaimEntry(_Part):
    """A claim of a paper and its verdict.

    `address` is the address of the claim in the book, relative to its root. It is stable and can be cited.
    """

    id: str
    address: str
    how_tested: str
    claim: str
    where: str
    unverified: bool
    quantity: str
    unit: str | None
    reported: str | None
    paper: PaperNumber | None
    basis: Literal["number", "direction"]
    verdict: Verdict
    reason: str
    measured_by: str | None
    difference: float | None
    quick: Agreement | None
    measurements: list[Measurement]


class CheckEntry(_Part):
    """A check of our setup. It does not count."""

    id: str
    address: str
    check: str
    quantity: str
    measurements: list[Measurement]


class ChapterEntry(_Part):
    """A chapter: its paper, runs, claims and checks, and the coverage of the paper."""

    slug: str
    title: str
    part: str
    page: str
    counts: bool
    paper: Paper
    coverage: Coverage
    coverage_share: float
    runs: list[Run]
    claims: list[ClaimEntry]
    checks: list[CheckEntry]


class Scorecard(_Part):
    """Every claim of every chapter. `score` counts the claims of the chapters that count, by verdict of record."""

    schema_version: Literal[2] = SCHEMA_VERSION
    score: dict[Verdict, int]
    chapters: list[ChapterEntry]


def page(card: Card) -> str:
    """Return the address of a chapter in the book."""
    return f"chapters/{card.part}/{card.slug}.html"


def text(chapters: Chapters) -> str:
    """Return the scorecard as JSON text."""
    return json.dumps(content(chapters).model_dump(mode="json"), ensure_ascii=False, indent=1, allow_nan=False)


def schema() -> str:
    """Return the JSON schema of the scorecard."""
    return json.dumps(Scorecard.model_json_schema(), indent=1)


def content(chapters: Chapters) -> Scorecard:
    """Return the scorecard as a model."""
    entries = [_chapter(card, by_preset) for card, by_preset in chapters]
    return Scorecard(score=standing.tally(chapters), chapters=entries)


def _chapter(card: Card, by_preset: Mapping[str, Record]) -> ChapterEntry:
    tested, total = card.coverage.share
    return ChapterEntry(
        slug=card.slug,
        title=card.title,
        part=card.part,
        page=page(card),
        counts=standing.counts_in_headline(card, by_preset),
        paper=card.paper,
        coverage=card.coverage,
        coverage_share=tested / total,
        runs=[_run(record) for record in by_preset.values()],
        claims=[_claim(card, claim, by_preset) for claim in card.claims],
        checks=[
            CheckEntry(
                id=check.id,
                address=f"{page(card)}#check-{check.id}",
                check=check.check,
                quantity=check.quantity,
                measurements=_measurements(check.id, by_preset),
            )
            for check in card.checks
        ],
    )


def _run(record: Record) -> Run:
    same = {name: getattr(record, name) for name in Run.model_fields if name != "earlier_attempts"}
    return Run(**same, earlier_attempts=record.attempts)


def _claim(card: Card, claim: Claim, by_preset: Mapping[str, Record]) -> ClaimEntry:
    stands = standing.of_claim(card, claim.id, by_preset)
    said = ("id", "claim", "where", "unverified", "quantity", "unit", "reported", "paper", "basis")
    return ClaimEntry(
        **{name: getattr(claim, name) for name in said},
        address=f"{page(card)}#claim-{claim.id}",
        how_tested=f"{page(card)}#measures-{claim.id}",
        verdict=stands.verdict,
        reason=stands.reason,
        measured_by=stands.record.preset if stands.record else None,
        difference=tables.difference(claim, stands.outcome.estimate) if stands.outcome else None,
        quick=standing.agreement(card, claim.id, by_preset),
        measurements=_measurements(claim.id, by_preset),
    )


def _measurements(measured_id: str, by_preset: Mapping[str, Record]) -> list[Measurement]:
    found = [(record, record.outcome(measured_id)) for record in by_preset.values()]
    return [_measurement(record, outcome) for record, outcome in found if outcome is not None]


def _measurement(record: Record, outcome: Outcome) -> Measurement:
    said = ("estimate", "expectation", "reference", "verdict", "reason")
    return Measurement(preset=record.preset, attempt=record.attempt, **{name: getattr(outcome, name) for name in said})
