"""Inputs of kernel matrices: checked, and where they are few, computed in float64.

A kernel loses half of its digits near equal inputs, where an angle is the root of a small difference, and every layer
adds to the error: in float32 a matrix of near inputs can have a negative eigenvalue. What is known when the function is
called and takes little time is therefore computed in float64 and rounded once, on a CPU. Inside `jit`, and for large
matrices, the computation has the dtype of the inputs.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from deepphenomena.runtime import numbers
from deepphenomena.runtime.errors import InputError

_FEW = 2**22  # passes of one pair of inputs through a layer, some tenths of a second in float64


def checked_inputs(x1: Any, x2: Any) -> tuple[jax.Array, jax.Array | None]:
    """Return both sides as arrays of one floating-point type. Raise InputError for what is no number or not there."""
    one, other = (None if x is None else numbers.floats("inputs of a kernel matrix", x) for x in (x1, x2))
    for side in (one, other):
        if side is not None and 0 in side.shape:
            raise InputError(f"inputs {side.shape} of a kernel matrix: give at least one sample and one feature")
    if other is None:
        return one, None
    dtype = jnp.promote_types(one.dtype, other.dtype)
    return one.astype(dtype), other.astype(dtype)


def in_float64(matrices: Callable, x1: jax.Array, x2: jax.Array | None, *variances: Any, passes: int) -> tuple:
    """Return matrices(x1, x2, *variances), computed in float64 and rounded if that is possible and soon done."""
    number = passes * len(x1) * len(x1 if x2 is None else x2)
    everything = (x1, x2, *variances)
    if x1.dtype == jnp.float64 or number > _FEW or not numbers.known(*everything) or jax.default_backend() != "cpu":
        return matrices(*everything)
    with jax.enable_x64(True):
        wide = [None if value is None else jnp.asarray(np.asarray(value, np.float64)) for value in everything]
        computed = [np.asarray(matrix) for matrix in matrices(*wide)]
    return tuple(jnp.asarray(matrix, x1.dtype) for matrix in computed)
