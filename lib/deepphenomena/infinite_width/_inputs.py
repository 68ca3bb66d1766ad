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

from deepphenomena.infinite_width._tiles import Prior
from deepphenomena.runtime import numbers
from deepphenomena.runtime.errors import InputError

_FEW = 2**22  # passes of one pair of inputs through a layer, some tenths of a second in float64


def checked_inputs(x1: Any, x2: Any, prior: Prior) -> tuple[jax.Array, jax.Array | None]:
    """Return both sides as arrays of one floating-point type. Raise InputError for what is no number or not there."""
    numbers.check_variance("weight_variance", prior.weight)
    numbers.check_variance("bias_variance", prior.bias)
    one, other = (None if x is None else numbers.floats("inputs of a kernel matrix", x) for x in (x1, x2))
    for side in (one, other):
        if side is not None and 0 in side.shape:
            raise InputError(f"inputs {side.shape} of a kernel matrix: give at least one sample and one feature")
    if other is None:
        return one, None
    dtype = jnp.promote_types(one.dtype, other.dtype)
    return one.astype(dtype), other.astype(dtype)


def in_float64(matrices: Callable, x1: jax.Array, x2: jax.Array | None, prior: Prior, *, passes: int) -> tuple:
    """Return matrices(x1, x2, prior), computed in float64 and rounded if that is possible and soon done."""
    number = passes * len(x1) * len(x1 if x2 is None else x2)
    everything = (x1, x2, *prior)
    if x1.dtype == jnp.float64 or number > _FEW or not numbers.known(*everything) or jax.default_backend() != "cpu":
        return matrices(x1, x2, prior)
    with jax.enable_x64(True):
        wide = [None if value is None else jnp.asarray(np.asarray(value, np.float64)) for value in everything]
        computed = [np.asarray(matrix) for matrix in matrices(*wide[:2], Prior(*wide[2:]))]
    return tuple(jnp.asarray(matrix, x1.dtype) for matrix in computed)
