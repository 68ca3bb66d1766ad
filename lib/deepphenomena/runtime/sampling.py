"""JAX's own random numbers, bit for bit, in programs that compile quickly.

XLA:CPU takes seconds to compile the counters of an array of three or more axes, and a tenth of a second for one axis.
So numbers are drawn along one axis and reshaped.
"""

import math
from collections.abc import Sequence

import jax
from jaxtyping import DTypeLike, Float, Key

from deepphenomena.runtime.arrays import Array


def normal(key: Key[jax.Array, ""], shape: Sequence[int], dtype: DTypeLike = float) -> Float[Array, "..."]:
    """Draw as `jax.random.normal` does."""
    return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def uniform(
    key: Key[jax.Array, ""], shape: Sequence[int], dtype: DTypeLike = float, minval: float = 0.0, maxval: float = 1.0
) -> Float[Array, "..."]:
    """Draw as `jax.random.uniform` does."""
    return jax.random.uniform(key, (math.prod(shape),), dtype, minval, maxval).reshape(shape)
