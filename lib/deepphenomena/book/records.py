"""Records: what one run of a chapter leaves, carried inside the executed notebook and lifted into `data/results/`."""

import json
import os
from pathlib import Path
from typing import Any

import pydantic

from deepphenomena.book.claims import CheckVerdict, Expectation, Sample, Verdict
from deepphenomena.book.parameters import Value
from deepphenomena.book.provenance import DatasetUse, Provenance
from deepphenomena.runtime import documents
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.statistics import Estimate, Scale

MIME = "application/vnd.deepphenomena.record+json"
VERSION = 2  # of the record's own form


class _Recorded(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Reference(_Recorded):
    """What a null model scores on a claim's quantity, for example an untrained network."""

    name: str
    sample: Sample
    estimate: Estimate


class Outcome(_Recorded):
    """One claim's or check's measurement: the sample, its interval, the expectation, the verdict and its reason."""

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
    """What an earlier attempt said of one claim or check."""

    estimate: Estimate
    verdict: Verdict | CheckVerdict


class Attempt(_Recorded):
    """An earlier recorded run of a preset: what it took and said, without its values and tables."""

    attempt: int
    parameters: dict[str, Value]
    overrides: dict[str, Value] = {}
    provenance: Provenance
    seeds_reused: str | None = None
    outcomes: dict[str, Stood]

    @property
    def seeds(self) -> range:
        """The seeds that it took."""
        return seeds_of(self.parameters)


class Record(_Recorded):
    """What one run leaves. `overrides` are the parameters that differ from the preset; `series` the figures' data.

    Attributes:
        outcomes: one for each claim of the card, in the card's order.
        checks: one for each check.
        void: why the run's verdicts count for nothing; None where they do.
        attempt: how many recorded runs of this preset there are, this one included.
        attempts: the earlier ones, the first one first. Of the quick run, which is recorded again with every change of
            the code, only the last.
        seeds_reused: why the run was allowed to take seeds of an earlier attempt; None where it took fresh ones.
    """

    version: int = VERSION
    slug: str
    preset: str
    overrides: dict[str, Value]
    parameters: dict[str, Value]
    outcomes: list[Outcome]
    checks: list[Outcome] = []
    void: str | None = None
    series: dict[str, dict[str, list[Any]]]
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

    @property
    def seeds(self) -> range:
        """The seeds of the run."""
        return seeds_of(self.parameters)

    def outcome(self, measured_id: str) -> Outcome | None:
        """The outcome of a claim or check, or None where this record has none (it is older than the claim)."""
        return next((outcome for outcome in (*self.outcomes, *self.checks) if outcome.id == measured_id), None)

    def same_run(self, other: "Record") -> bool:
        """Whether both are records of one and the same run."""
        return (self.slug, self.preset, self.provenance) == (other.slug, other.preset, other.provenance)

    def as_attempt(self) -> Attempt:
        """What the next record of this preset keeps of this one."""
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
    """The seeds that these parameters stand for."""
    return range(parameters["first_seed"], parameters["first_seed"] + parameters["seeds"])


def read(executed_notebook: str | os.PathLike) -> Record:
    """The record that an executed notebook carries (the last, where it has several).

    InputError where the file is no notebook, holds no record, or holds one that is not well formed.
    """
    file = Path(executed_notebook)
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    except OSError as error:
        raise InputError(f"notebook {file}: cannot be read ({error.strerror}); give an executed .ipynb file") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"notebook {file}: not a notebook of format 4; give an executed .ipynb file") from None
    found = [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
    if not found:
        raise InputError(f"notebook {file}: holds no record; run it to its last cell, run.verdict()")
    return parse(found[-1], str(file))


def parse(content: Any, source: str) -> Record:
    """The record in decoded JSON; InputError names the source and the fault."""
    try:
        return Record.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError(f"record in {source}: {documents.explain(error, Record)}; run the chapter again") from None
