"""Claims of the paper, checks of our setup, and the verdicts of measurements.

A claim is a sentence of the paper. A check validates our own setup and never counts as a reproduction. Both name one
quantity and its expectation. Verdicts are always computed, never written by hand.
"""

import enum
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pydantic

from deepphenomena.runtime.statistics import MINIMUM_SEEDS, Estimate, Scale, estimate, possible


class Verdict(enum.StrEnum):
    """The verdict of measurements on a claim."""

    REPRODUCED_SIZE = "reproduced (size)"
    REPRODUCED_DIRECTION = "reproduced (direction)"
    NOT_REPRODUCED = "not reproduced"
    MIXED = "mixed"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not measured"

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds; None if it is not decided."""
        if self in (Verdict.REPRODUCED_SIZE, Verdict.REPRODUCED_DIRECTION):
            return True
        return False if self is Verdict.NOT_REPRODUCED else None


class CheckVerdict(enum.StrEnum):
    """The verdict of measurements on a check."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Expectation(_Declared):
    """The bounds of a measured quantity: a lower bound, an upper bound, or both.

    A sign with a margin is a bound (`at_least: 0.03`); "as good as" is two-sided (`between: [-0.02, 0.02]`).
    """

    at_least: float | None = None
    at_most: float | None = None
    between: tuple[float, float] | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_them(self):
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of at_least, at_most, between (found {', '.join(given) or 'none'})")
        low, high = self.bounds
        if math.isnan(low) or math.isnan(high) or low >= high:
            raise ValueError(f"between must be [lower, higher] (found [{low:g}, {high:g}])")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """(lower, upper); an open side is infinite."""
        if self.between is not None:
            return self.between
        return (
            -math.inf if self.at_least is None else self.at_least,
            math.inf if self.at_most is None else self.at_most,
        )

    def __str__(self) -> str:
        if self.between is not None:
            return f"{self.between[0]:g} to {self.between[1]:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


class PaperNumber(_Declared):
    """The paper's number for a quantity, in its unit, with its uncertainty and its source in the paper."""

    value: float
    low: float | None = None
    high: float | None = None
    source: str

    @pydantic.model_validator(mode="after")
    def _in_order(self):
        low, high = (self.value if end is None else end for end in (self.low, self.high))
        if not low <= self.value <= high:
            raise ValueError(f"low, value and high must be in order (found {low:g}, {self.value:g}, {high:g})")
        return self


class Measured(_Declared):
    """The common fields of claims and checks.

    Attributes:
        quantity: the measured quantity, one value per seed.
        timed: the quantity is a time. Its verdict can change on a busy machine, so tests do not compare it.
        exact: the quantity does not depend on a seed: one value, no interval.
        scale: the scale of the mean and the interval.
        expect: an expectation for the quick preset and for every preset that differs from it.
    """

    id: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$")
    quantity: str
    unit: str | None = None
    timed: bool = False
    exact: bool = False
    scale: Scale = Scale.LINEAR
    expect: dict[str, Expectation]

    @pydantic.model_validator(mode="after")
    def _quick_is_there(self):
        if "quick" not in self.expect:
            raise ValueError(f"'{self.id}' has no expectation for the preset 'quick'; add one under expect")
        return self

    def expectation(self, preset: str) -> Expectation:
        """Return the expectation for a preset; the one for quick if the preset has none."""
        return self.expect.get(preset, self.expect["quick"])


class Claim(Measured):
    """One claim of the paper.

    Attributes:
        claim: one sentence that makes sense on its own.
        where: the section, figure or table of the paper with the claim.
        reported: the paper's number as text, or None.
        paper: the paper's number in the unit of `quantity`, or None.
        basis: `number` if the bound is the paper's number with its uncertainty; `direction` if the paper gives a sign
            or an order, and the bound is 0 or a stated margin.
        unverified: the place or the number could not be checked in a source.
    """

    claim: str
    where: str
    reported: str | None = None
    paper: PaperNumber | None = None
    basis: Literal["number", "direction"]
    unverified: bool = False

    def verdict(self, holds: bool | None) -> Verdict:
        """Return the verdict of this claim for a judgement."""
        if holds is None:
            return Verdict.INCONCLUSIVE
        if not holds:
            return Verdict.NOT_REPRODUCED
        return Verdict.REPRODUCED_SIZE if self.basis == "number" else Verdict.REPRODUCED_DIRECTION


class Check(Measured):
    """One check of our setup: an identity, a definition, a cost, or an extension of ours. It never counts.

    Attributes:
        check: one sentence.
        why: what is not reliable if it fails.
    """

    check: str
    why: str | None = None

    def verdict(self, holds: bool | None) -> CheckVerdict:
        """Return the verdict of this check for a judgement."""
        return {True: CheckVerdict.PASSED, False: CheckVerdict.FAILED, None: CheckVerdict.UNDECIDED}[holds]


class Sample(_Declared):
    """The measurements of a claim or a check.

    Attributes:
        values: one per seed, or a single value if the quantity is exact; None for a value that is not finite.
        resolution: the maximum error of a value (grid, bisection, step counter), one number or one per seed.
        censored: True for values that were cut off; None if no value was.
    """

    values: list[float | None] = []
    resolution: float | list[float] = 0.0
    censored: list[bool] | None = None

    def estimate(self, measured: Measured) -> Estimate:
        """Return the mean and the interval on the scale of the quantity."""
        values = [math.nan if value is None else value for value in self.values]
        if measured.exact and len(values) == 1:
            step = float(np.max(self.resolution))
            known = math.isfinite(values[0])
            ends = (values[0] - step, values[0] + step) if known and step else (None, None)
            return Estimate(mean=values[0] if known else None, low=ends[0], high=ends[1], n=1)
        return estimate(values, scale=measured.scale, resolution=self.resolution)


class Judgement(NamedTuple):
    """Whether an expectation holds (None: undecided), and the reason in one line."""

    holds: bool | None
    reason: str


def judge(measured: Measured, sample: Sample, expectation: Expectation, *, null: Sample | None = None) -> Judgement:
    """Compare an interval with an expectation: inside, it holds; outside, it does not; across a bound, it is undecided.

    Some samples are undecided with any interval: values that were cut off, that are not finite or that are all equal,
    fewer than three seeds, and a quantity for which a null model (`null`) also meets the expectation.
    """
    values = sample.values
    if not values:
        return Judgement(None, "no value was handed over")
    step = float(np.max(sample.resolution, initial=0.0))
    found = sample.estimate(measured)
    if sample.censored and any(sample.censored):
        cut = sum(sample.censored)
        return Judgement(None, f"{cut} of {len(values)} values {'was' if cut == 1 else 'were'} cut off")
    if any(value is None for value in values):
        missing = sum(value is None for value in values)
        return Judgement(None, f"{missing} of {len(values)} values {'is' if missing == 1 else 'are'} not finite")
    if not measured.exact:
        if not possible(values, measured.scale, step):
            return Judgement(None, f"a value lies outside the {measured.scale} scale")
        if len(values) < MINIMUM_SEEDS:
            return Judgement(None, f"{len(values)} seeds give no interval; {MINIMUM_SEEDS} or more do")
        if found.low == found.high and step == 0:  # also where the spread is lost to rounding
            return Judgement(None, f"all {len(values)} values are the same number and none has a resolution")
    low, high = (found.mean if end is None else end for end in (found.low, found.high))
    lower, upper = expectation.bounds
    what = "value" if measured.exact and found.low is None else "interval"
    if high < lower or upper < low:
        return Judgement(False, f"the whole {what} lies outside the bound")
    if not (lower <= low and high <= upper):
        return Judgement(None, f"the {what} crosses the bound")
    if null is not None and judge(measured, null, expectation).holds:
        return Judgement(None, "the reference meets the bound as well, so the measure cannot tell")
    return Judgement(True, f"the whole {what} lies inside the bound")


def stacked(values: Sequence[float]) -> list[float | None]:
    """Return values in the form of a sample: None for values that are not finite."""
    return [float(value) if math.isfinite(value) else None for value in values]
