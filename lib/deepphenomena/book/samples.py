"""The sample of a claim: one checked number per seed, in the order of the seeds."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from deepphenomena.book.claims import Check, Claim, Sample, stacked
from deepphenomena.runtime.errors import InputError


def sample(
    slug: str, measured: Claim | Check, seeds: range, values: ArrayLike, resolution: ArrayLike, censored: Any
) -> Sample:
    """Return a checked sample. Each argument is an array in the order of the seeds or a Series indexed by seed.

    Raises:
        InputError: not one number per seed, or not one number if the card says `exact`; a resolution below 0; a mask
            of another shape or type.
    """
    numbers = by_seed(slug, measured, seeds, values)
    if measured.exact and numbers.ndim == 0:
        numbers = numbers[None]
    wanted = 1 if measured.exact else len(seeds)
    if numbers.shape != (wanted,):
        need = (
            "one number, because the card says that it is exact" if measured.exact else f"{wanted} values, one per seed"
        )
        raise InputError(
            f"'{measured.id}' of {slug} was given values of shape {numbers.shape}: it takes {need}; "
            "reduce the values to this shape"
        )
    steps = by_seed(slug, measured, seeds, resolution)
    if steps.shape not in ((), (wanted,)) or not (np.isfinite(steps) & (steps >= 0)).all():
        raise InputError(
            f"the resolution of '{measured.id}' is {resolution!r}: give one number of 0 or more, or one per value"
        )
    mask = None if censored is None else _in_order(slug, measured, seeds, censored)
    if mask is not None and (mask.shape != (wanted,) or mask.dtype != bool):
        raise InputError(
            f"censored of '{measured.id}' has shape {mask.shape} and type {mask.dtype}: "
            f"give {wanted} booleans, True for each value that was cut off"
        )
    return Sample(values=stacked(numbers), resolution=steps.tolist(), censored=None if mask is None else mask.tolist())


def by_seed(slug: str, measured: Claim | Check, seeds: range, values: Any) -> Float[np.ndarray, "*shape"]:
    """Return numbers in the order of the seeds. Raise InputError for a Series that is not indexed by each seed once."""
    return np.asarray(_in_order(slug, measured, seeds, values), np.float64)


def _in_order(slug: str, measured: Claim | Check, seeds: range, values: Any) -> np.ndarray:
    if measured.exact or not hasattr(values, "reindex"):
        return np.asarray(values)
    index = list(values.index)
    if sorted(index) != list(seeds):
        raise InputError(
            f"'{measured.id}' of {slug} was given a Series indexed by {index}: "
            f"index it by seed, each of {seeds.start} to {seeds.stop - 1} once"
        )
    return values.loc[list(seeds)].to_numpy()
