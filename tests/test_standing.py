"""Verdicts of record: over all recorded runs, mixed exactly where they disagree; the quick run is only compared."""

import pytest
from example_card import CARD, record
from hypothesis import given
from hypothesis import strategies as st

from deepphenomena.book import standing
from deepphenomena.book.claims import Verdict
from deepphenomena.book.standing import Agreement

HOLDS, FAILS, OPEN = 0.5, -0.5, 0.0  # the gap in a run that reproduces the claim, contradicts it, decides nothing
gaps = st.sampled_from([HOLDS, FAILS, OPEN])


def with_attempts(made, earlier):
    """The record as the last of several attempts at its preset, whose gaps were these."""
    attempts = [
        record(made.preset, gap=gap).model_copy(update={"attempt": number}).as_attempt()
        for number, gap in enumerate(earlier, start=1)
    ]
    return made.model_copy(update={"attempt": len(attempts) + 1, "attempts": attempts})


@given(full=gaps, larger=gaps, earlier=st.lists(gaps, max_size=2))
def test_it_is_mixed_exactly_where_recorded_runs_disagree(full, larger, earlier):
    runs = {"full": with_attempts(record("full", gap=full), earlier), "larger": record("larger", gap=larger)}
    disagree = {HOLDS, FAILS} <= {full, larger, *earlier}
    stands = standing.of_claim(CARD, "gap", runs)
    assert (stands.verdict is Verdict.MIXED) == disagree
    if not disagree:
        assert stands.verdict == runs["larger"].outcome("gap").verdict, "that of the run nearest the paper"


def test_a_mixed_verdict_says_where_it_holds():
    runs = {"full": with_attempts(record("full", gap=HOLDS), [FAILS]), "larger": record("larger", gap=HOLDS)}
    assert (
        standing.of_claim(CARD, "gap", runs).reason
        == "it holds in larger, full (attempt 2) and does not in full (attempt 1)"
    )


@given(quick=gaps)
def test_quick_smoke_and_modified_runs_have_no_share(quick):
    runs = {"quick": record("quick", gap=quick)}
    assert standing.of_claim(CARD, "gap", runs).verdict is Verdict.NOT_MEASURED
    assert not standing.counts_in_headline(CARD, runs)
    modified = runs | {"full": record("full", width=8)}
    assert standing.of_claim(CARD, "gap", modified).verdict is Verdict.NOT_MEASURED
    recorded = {"full": record("full", gap=HOLDS)}
    assert standing.of_claim(CARD, "gap", runs | recorded) == standing.of_claim(CARD, "gap", recorded)


def test_a_voided_run_decides_nothing():
    void = {"larger": record("larger", failing=True)}
    assert standing.of_claim(CARD, "gap", void).verdict is Verdict.NOT_MEASURED
    assert "identity" in standing.of_claim(CARD, "gap", void).reason
    beside = void | {"full": record("full", gap=FAILS)}
    assert standing.of_claim(CARD, "gap", beside).verdict is Verdict.NOT_REPRODUCED


@pytest.mark.parametrize(
    ("quick", "full", "agreement"),
    [
        (HOLDS, HOLDS, Agreement.AGREES),
        (FAILS, FAILS, Agreement.AGREES),
        (HOLDS, FAILS, Agreement.DISAGREES),
        (OPEN, HOLDS, Agreement.TOO_SMALL),
        (HOLDS, OPEN, Agreement.NO_RECORD),
        (HOLDS, None, Agreement.NO_RECORD),
    ],
)
def test_quick_is_compared_with_the_record(quick, full, agreement):
    runs = {"quick": record("quick", gap=quick)} | ({} if full is None else {"full": record("full", gap=full)})
    assert standing.agreement(CARD, "gap", runs) is agreement


def test_the_headline_counts_claims_by_verdict_of_record():
    runs = {"quick": record("quick"), "full": record("full", gap=FAILS, size=4.0)}
    counts = standing.tally([(CARD, runs)])
    assert {verdict: count for verdict, count in counts.items() if count} == {
        Verdict.REPRODUCED_SIZE: 1,
        Verdict.NOT_REPRODUCED: 1,
        Verdict.NOT_MEASURED: 1,
    }
    assert standing.headline(counts) == "of 3 claims: 1 reproduced (size), 1 not reproduced, 1 not measured"


def test_a_draft_and_a_chapter_without_a_recorded_run_count_for_nothing():
    counted = [(CARD, {"full": record("full")})]
    draft = (CARD.model_copy(update={"draft": True}), {"full": record("full")})
    unrecorded = (CARD, {"quick": record("quick")})
    assert standing.tally([*counted, draft, unrecorded]) == standing.tally(counted)
    assert standing.chapter_headline(*draft) == "a draft, which does not count"
    assert "no recorded run beyond quick" in standing.chapter_headline(*unrecorded)
