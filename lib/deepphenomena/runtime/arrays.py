"""The arrays that the library takes and gives, for annotations."""

import jax
import numpy as np

Array = jax.Array | np.ndarray
"""A JAX or NumPy array: a function that takes one takes the other. What JAX computes is float32 unless stated."""
