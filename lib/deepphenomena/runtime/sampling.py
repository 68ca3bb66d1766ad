"""JAX's own random numbers, bit for bit, in programs that compile soon.

XLA:CPU takes seconds to compile the counters of an array of three axes and more, and a tenth of a second for those of
one; so numbers are drawn along one axis and folded.
"""

import math
from collections.abc import Sequence

import jax
from jaxtyping import Array, DTypeLike, Float, Key


def normal(key: Key[Array, ""], shape: Sequence[int], dtype: DTypeLike = float) -> Float[Array, "..."]:
    """As `jax.random.normal`."""
    return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def uniform(
    key: Key[Array, ""], shape: Sequence[int], dtype: DTypeLike = float, minval: float = 0.0, maxval: float = 1.0
) -> Float[Array, "..."]:
    """As `jax.random.uniform`."""
    return jax.random.uniform(key, (math.prod(shape),), dtype, minval, maxval).reshape(shape)
