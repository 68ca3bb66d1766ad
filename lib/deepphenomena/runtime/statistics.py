"""Intervals over seeds: Student's t on a linear, log or logit scale, widened by the resolution of the values."""

import enum
import math
from collections.abc import Sequence

import numpy as np
import pydantic
import scipy.special
from numpy.typing import ArrayLike

__all__ = ["Estimate", "Scale", "estimate", "possible"]

MINIMUM_SEEDS = 3  # fewer give no interval worth the name
CONFIDENCE = 0.95


class Scale(enum.StrEnum):
    """The scale on which values scatter evenly. Means and intervals are computed on it.

    Use `linear` for differences, `log` for ratios and times (above 0), `logit` for shares (between 0 and 1).

    Example:
        >>> Scale.LOG.domain
        (0.0, inf)
    """

    LINEAR = "linear"
    LOG = "log"
    LOGIT = "logit"

    @property
    def domain(self) -> tuple[float, float]:
        """(lowest, highest): possible values lie strictly between them."""
        return {Scale.LINEAR: (-math.inf, math.inf), Scale.LOG: (0.0, math.inf), Scale.LOGIT: (0.0, 1.0)}[self]

    def forward(self, values: ArrayLike) -> np.ndarray:
        """Map values to the scale."""
        return {Scale.LINEAR: np.asarray, Scale.LOG: np.log, Scale.LOGIT: scipy.special.logit}[self](values)

    def backward(self, value: float) -> float:
        """Map a value on the scale back."""
        return float({Scale.LINEAR: float, Scale.LOG: np.exp, Scale.LOGIT: scipy.special.expit}[self](value))


class Estimate(pydantic.BaseModel):
    """A mean over seeds with its 95% interval. The ends are None if there is no interval.

    The mean is arithmetic on the linear scale, geometric on the log scale, and of the log odds on the logit scale. It
    is None if a value is not finite or impossible on the scale.

    Example:
        >>> estimate([1.0, 2.0]).low is None  # two seeds give no interval
        True
    """

    model_config = pydantic.ConfigDict(frozen=True)

    mean: float | None
    low: float | None
    high: float | None
    n: int


def estimate(
    values: Sequence[float] | ArrayLike, *, scale: Scale = Scale.LINEAR, resolution: float | Sequence[float] = 0.0
) -> Estimate:
    """Compute the mean and the two-sided 95% interval of one value per seed, by Student's t on the scale.

    Args:
        values: (n,), one value per seed. Fewer than three give no interval.
        scale: on `log` and `logit` the interval stays inside the possible values.
        resolution: how far a value may be from the truth because of a grid, a bisection or a step counter, in the unit
            of the values: one number or one per seed. The interval is widened by the largest. Shares of exactly 0 or 1
            need a resolution: they are replaced by values half a step inside.

    Returns:
        The estimate. It has no mean if a value is not finite or impossible on the scale.

    Example:
        >>> measured = estimate([1.0, 2.0, 3.0])
        >>> measured.mean, round(measured.low, 3), round(measured.high, 3)
        (2.0, -0.484, 4.484)
        >>> estimate([0.5, 1.0, 2.0], scale=Scale.LOG).mean
        1.0
    """
    sample, step = np.asarray(values, np.float64), float(np.max(resolution, initial=0.0))
    n = len(sample)
    if n == 0 or not possible(sample, scale, step):
        return Estimate(mean=None, low=None, high=None, n=n)
    if scale is Scale.LOGIT and step > 0:
        inside = min(step, 1.0) / 2
        sample = np.where(sample == 0, inside, np.where(sample == 1, 1 - inside, sample))
    placed = scale.forward(sample)
    # A sum in sorted order: the estimate does not depend on the order of the seeds, not even in its last digit.
    with np.errstate(over="ignore"):  # values too far apart for float64 have an interval without end
        centre, spread = float(np.sort(placed).mean()), float(np.sort(placed).std(ddof=1)) if n > 1 else 0.0
    mean = scale.backward(centre)
    if n < MINIMUM_SEEDS:
        return Estimate(mean=mean, low=None, high=None, n=n)
    half = float(scipy.special.stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(n)
    low, high = _widened(scale.backward(centre - half), scale.backward(centre + half), scale, step)
    return Estimate(mean=mean, low=min(low, mean), high=max(high, mean), n=n)  # rounding may have crossed them


def possible(values: ArrayLike, scale: Scale, resolution: float = 0.0) -> bool:
    """Check that all values are finite and in the scale's domain. Its ends are allowed only with a resolution.

    Example:
        >>> possible([0.2, 1.5], Scale.LOGIT)
        False
    """
    sample = np.asarray(values, np.float64)
    if not np.isfinite(sample).all():
        return False
    lowest, highest = scale.domain
    if scale is Scale.LOGIT and resolution > 0:
        return bool(((lowest <= sample) & (sample <= highest)).all())
    return bool(((lowest < sample) & (sample < highest)).all())


def _widened(low: float, high: float, scale: Scale, step: float) -> tuple[float, float]:
    """Move both ends outwards by `step`, less near the end of the domain, which is never reached."""
    if scale is Scale.LINEAR:
        return low - step, high + step
    # Rounding may put an end on the domain's border; the smallest positive number stands for what is just inside.
    tiny = float(np.finfo(np.float64).tiny)
    low = max(low, tiny)
    low = max(low * (low / (low + step)), tiny)
    if scale is Scale.LOG:
        return low, min(high + step, float(np.finfo(np.float64).max))
    rest = max(1 - high, float(np.finfo(np.float64).epsneg))
    return low, 1 - max(rest * (rest / (rest + step)), float(np.finfo(np.float64).epsneg))
