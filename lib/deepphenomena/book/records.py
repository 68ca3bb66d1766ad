"""Records: the result of one run of a chapter, stored in the executed notebook and in `data/results/`."""

import math
import os
from pathlib import Path
from typing import Annotated, Any

import pydantic

from deepphenomena.book.claims import CheckVerdict, Expectation, Sample, Verdict, judge
from deepphenomena.book.parameters import Value
from deepphenomena.book.provenance import DatasetUse, Provenance
from deepphenomena.runtime import documents, text
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.statistics import Estimate, Scale

SERIES_NAME = r"[A-Za-z][A-Za-z0-9_]{0,59}"  # it names a file of the book
MIME = "application/vnd.deepphenomena.record+json"
VERSION = 2  # of the record format


class _Recorded(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Reference(_Recorded):
    """The score of a null model on the quantity of a claim, for example of an untrained network."""

    name: str
    sample: Sample
    estimate: Estimate


class Outcome(_Recorded):
    """The measurement of a claim or check: sample, interval, expectation, verdict and its reason."""

    id: str
    sample: Sample = Sample()
    scale: Scale
    exact: bool
    estimate: Estimate
    expectation: Expectation
    reference: Reference | None = None
    verdict: Verdict | CheckVerdict
    reason: str


class Stood(_Recorded):
    """The result of an earlier attempt for one claim or check."""

    estimate: Estimate
    verdict: Verdict | CheckVerdict


class Attempt(_Recorded):
    """An earlier recorded run of a preset: its parameters and results, without values and tables."""

    attempt: int
    parameters: dict[str, Value]
    overrides: dict[str, Value] = {}
    provenance: Provenance
    seeds_reused: str | None = None
    outcomes: dict[str, Stood]

    @property
    def seeds(self) -> range:
        """The seeds of the attempt."""
        return seeds_of(self.parameters)


class Record(_Recorded):
    """The result of one run. `overrides` are the parameters that differ from the preset; `series` the data of figures.

    Attributes:
        outcomes: one for each claim, in the order of the card.
        checks: one for each check.
        void: why the verdicts of the run do not count; None if they count.
        attempt: the number of recorded runs of this preset, including this one.
        attempts: the earlier runs, oldest first. For the quick run, which is recorded again with every change of the
            code, only the last.
        seeds_reused: the reason for using seeds of an earlier attempt; None for new seeds.
    """

    version: int = VERSION
    slug: str
    preset: str
    overrides: dict[str, Value]
    parameters: dict[str, Value]
    outcomes: list[Outcome]
    checks: list[Outcome] = []
    void: str | None = None
    series: dict[Annotated[str, pydantic.StringConstraints(pattern=f"^{SERIES_NAME}$")], dict[str, list[Any]]]
    datasets: list[DatasetUse]
    provenance: Provenance
    attempt: int = 1
    attempts: list[Attempt] = []
    seeds_reused: str | None = None

    @pydantic.field_validator("version")
    @classmethod
    def _of_this_form(cls, version: int) -> int:
        if version != VERSION:
            raise ValueError(f"it has form {version} and this library reads form {VERSION}")
        return version

    @pydantic.model_validator(mode="after")
    def _whole(self):
        ids = [outcome.id for outcome in (*self.outcomes, *self.checks)]
        for twice in {one for one in ids if ids.count(one) > 1}:
            raise ValueError(f"outcome '{twice}' appears twice")
        for name in ("seeds", "first_seed"):
            if type(self.parameters.get(name)) is not int:
                raise ValueError(f"parameter '{name}' is missing or no whole number")
        return self

    @property
    def seeds(self) -> range:
        """The seeds of the run."""
        return seeds_of(self.parameters)

    def outcome(self, measured_id: str) -> Outcome | None:
        """Return the outcome of a claim or check, or None if the record is older than the claim."""
        return next((outcome for outcome in (*self.outcomes, *self.checks) if outcome.id == measured_id), None)

    def same_run(self, other: "Record") -> bool:
        """Return whether both are records of the same run."""
        return (self.slug, self.preset, self.provenance) == (other.slug, other.preset, other.provenance)

    def as_attempt(self) -> Attempt:
        """Return the part of this record that the next record of the preset keeps."""
        return Attempt(
            attempt=self.attempt,
            parameters=self.parameters,
            overrides=self.overrides,
            provenance=self.provenance,
            seeds_reused=self.seeds_reused,
            outcomes={
                outcome.id: Stood(estimate=outcome.estimate, verdict=outcome.verdict)
                for outcome in (*self.outcomes, *self.checks)
            },
        )

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def seeds_of(parameters: dict[str, Value]) -> range:
    """Return the seeds given by these parameters."""
    return range(parameters["first_seed"], parameters["first_seed"] + parameters["seeds"])


def read(executed_notebook: str | os.PathLike) -> Record:
    """Return the record in an executed notebook; if it has several, the last.

    Raise InputError if the file is not a notebook, has no record, or has an invalid record.
    """
    file = Path(executed_notebook)
    notebook = text.from_json(text.read(file, f"notebook {file}"), f"notebook {file}")
    try:
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        found = [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"notebook {file}: not a notebook of format 4; give an executed .ipynb file") from None
    if not found:
        raise InputError(f"notebook {file}: holds no record; run it to its last cell, run.verdict()")
    return parse(found[-1], str(file))


def parse(content: Any, source: str) -> Record:
    """Return the record in decoded JSON. Raise InputError with the source and the fault if it is invalid.

    The intervals and verdicts are computed again from the values: a record that contradicts itself is refused.
    """
    try:
        record = Record.model_validate(content)
        for outcome in (*record.outcomes, *record.checks):
            _check_outcome(outcome, voided=record.void is not None)
    except pydantic.ValidationError as error:
        raise InputError(f"record in {source}: {documents.explain(error, Record)}; run the chapter again") from None
    except (ValueError, TypeError, OverflowError) as problem:
        raise InputError(f"record in {source}: {problem}; run the chapter again") from None
    return record


def _check_outcome(outcome: Outcome, *, voided: bool) -> None:
    """Raise ValueError if the interval or the verdict of an outcome does not follow from its values."""
    computed = outcome.sample.estimate(outcome)
    for name in ("mean", "low", "high"):
        stored, right = getattr(outcome.estimate, name), getattr(computed, name)
        if (stored is None) != (right is None) or (
            stored is not None and not math.isclose(stored, right, rel_tol=1e-6, abs_tol=1e-9)
        ):
            raise ValueError(f"the {name} of outcome '{outcome.id}' is {stored}, but its values give {right}")
    undecided = (Verdict.NOT_MEASURED, CheckVerdict.NOT_MEASURED)
    if outcome.verdict in undecided or (voided and isinstance(outcome.verdict, Verdict)):
        right_form = voided or not outcome.sample.values
        if not right_form or outcome.verdict not in undecided:
            raise ValueError(f"outcome '{outcome.id}' has values but the verdict '{outcome.verdict}'")
        return
    null = outcome.reference and outcome.reference.sample
    holds = judge(outcome, outcome.sample, outcome.expectation, null=null).holds
    claimed = {CheckVerdict.PASSED: True, CheckVerdict.FAILED: False}.get(outcome.verdict)
    claimed = outcome.verdict.holds if isinstance(outcome.verdict, Verdict) else claimed
    if claimed != holds:
        raise ValueError(f"outcome '{outcome.id}' has the verdict '{outcome.verdict}', which its values contradict")
