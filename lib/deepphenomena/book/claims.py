"""Claims: a sentence of the paper, the quantity that tests it, what is expected of it, and the verdict."""

import enum
import math
from collections.abc import Sequence

import numpy as np
import pydantic
import scipy.special

MINIMUM_SEEDS = 3  # fewer give no interval worth the name
CONFIDENCE = 0.95


class Verdict(enum.StrEnum):
    """What a measurement says of a claim. Always computed, never written by hand."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not measured"


class Expectation(pydantic.BaseModel):
    """Where the measured quantity must lie for the claim to hold: a lower bound, an upper bound, or both.

    A sign with a margin is a bound (`at_least: 0.03`); a fitted exponent's range is `between`.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

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
        """(lower, upper), infinite on an open side."""
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


class Claim(pydantic.BaseModel):
    """One claim of the paper.

    `claim` is one sentence; `where` says where the paper makes it; `reported` is the paper's number, as text, or null
    where it gives none; `quantity` names what is measured, one value per seed; `expect` holds an expectation for the
    quick preset and for every other preset that needs its own. `timed`: a clock measures it, so that a busy machine may
    turn its verdict, and a stored notebook is not held to it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    id: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$")
    claim: str
    where: str
    reported: str | None = None
    quantity: str
    unit: str | None = None
    timed: bool = False
    expect: dict[str, Expectation]

    @pydantic.model_validator(mode="after")
    def _quick_is_there(self):
        if "quick" not in self.expect:
            raise ValueError(f"claim '{self.id}' has no expectation for the preset 'quick'; add one under expect")
        return self

    def expectation(self, preset: str) -> Expectation:
        """The expectation under a preset; the quick one where the preset has none of its own."""
        return self.expect.get(preset, self.expect["quick"])


class Estimate(pydantic.BaseModel):
    """A mean over seeds with its 95% interval (Student's t); the ends are None where there is none to give."""

    model_config = pydantic.ConfigDict(frozen=True)

    mean: float | None
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and two-sided 95% interval of one value per seed.

    A value that is not finite makes the mean None: the quantity did not exist in that run. Fewer than three values
    have no interval.
    """
    sample = np.asarray(values, np.float64)
    n = len(sample)
    if n == 0 or not np.isfinite(sample).all():
        return Estimate(mean=None, low=None, high=None, n=n)
    mean = float(sample.mean())
    if n < MINIMUM_SEEDS:
        return Estimate(mean=mean, low=None, high=None, n=n)
    half = float(scipy.special.stdtrit(n - 1, (1 + CONFIDENCE) / 2) * sample.std(ddof=1) / math.sqrt(n))
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)


def judge(values: Sequence[float], expectation: Expectation) -> Verdict:
    """Compare the interval over seeds with the expectation.

    Wholly inside: reproduced. Wholly outside: not reproduced. Across a bound, or fewer than three seeds: inconclusive.
    A value that is not finite fails: a quantity that did not exist reproduces nothing.
    """
    measured = estimate(values)
    if measured.n == 0:
        return Verdict.NOT_MEASURED
    if measured.mean is None:
        return Verdict.NOT_REPRODUCED
    if measured.low is None or measured.high is None:
        return Verdict.INCONCLUSIVE
    low, high = expectation.bounds
    if low <= measured.low and measured.high <= high:
        return Verdict.REPRODUCED
    if measured.high < low or high < measured.low:
        return Verdict.NOT_REPRODUCED
    return Verdict.INCONCLUSIVE
