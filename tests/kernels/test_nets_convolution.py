"""`nets.convolution.Conv` against `flax.nnx.Conv`."""

import jax
import numpy as np
import pytest
from flax import nnx
from jax import numpy as jnp

from deepphenomena.nets.convolution import Conv
from deepphenomena.runtime.errors import InputError


@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR"])
@pytest.mark.parametrize("strides", [None, 1, 2, (2, 1)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_same_parameters_and_results_as_flax(padding, strides, use_bias):
    ours, theirs = (
        layer(3, 5, (3, 2), strides, padding=padding, use_bias=use_bias, rngs=nnx.Rngs(7)) for layer in (Conv, nnx.Conv)
    )
    assert jax.tree.map(jnp.shape, nnx.state(ours)) == jax.tree.map(jnp.shape, nnx.state(theirs))
    jax.tree.map(np.testing.assert_array_equal, nnx.to_pure_dict(nnx.state(ours)), nnx.to_pure_dict(nnx.state(theirs)))
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
    np.testing.assert_allclose(ours(x[0]), theirs(x[0]), atol=1e-5)


def test_states_interchange_with_flax():
    ours, theirs = Conv(3, 4, (3, 3), rngs=nnx.Rngs(0)), nnx.Conv(3, 4, (3, 3), rngs=nnx.Rngs(1))
    x = jax.random.normal(jax.random.key(0), (1, 5, 5, 3))
    assert not np.allclose(ours(x), theirs(x))
    nnx.update(ours, nnx.state(theirs))
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


def test_dtypes_follow_flax():
    x = jnp.ones((1, 4, 4, 2), jnp.float32)
    for options in ({"dtype": jnp.bfloat16}, {"param_dtype": jnp.bfloat16}, {}):
        ours, theirs = (layer(2, 2, (3, 3), rngs=nnx.Rngs(0), **options) for layer in (Conv, nnx.Conv))
        assert ours(x).dtype == theirs(x).dtype
        assert ours.kernel[...].dtype == theirs.kernel[...].dtype


@pytest.mark.parametrize(
    ("kernel_size", "options"),
    [
        (3, {}),
        ((3,), {}),
        ((3, 3, 3), {}),
        ((3, 3), {"padding": "REFLECT"}),
        ((3, 3), {"padding": 1}),
        ((3, 3), {"strides": 0}),
    ],
)
def test_what_is_not_supported_is_refused(kernel_size, options, unchecked_types):
    with pytest.raises(InputError):
        Conv(2, 2, kernel_size, rngs=nnx.Rngs(0), **options)
