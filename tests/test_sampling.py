"""Random numbers whose programs compile soon are those of JAX."""

import jax
import numpy as np
import pytest

from deepphenomena.runtime import sampling


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (3, 3, 2, 4)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_numbers_are_those_of_jax(shape, dtype):
    key = jax.random.key(3)
    np.testing.assert_array_equal(sampling.normal(key, shape, dtype), jax.random.normal(key, shape, dtype))
    np.testing.assert_array_equal(
        sampling.uniform(key, shape, dtype, -2.0, 3.0), jax.random.uniform(key, shape, dtype, -2.0, 3.0)
    )
