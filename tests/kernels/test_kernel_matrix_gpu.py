"""The Pallas kernel, its operations run one by one on this machine; and compiled for a GPU, though not run there."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from deepphenomena.infinite_width import fully_connected, kernel_matrix, kernel_matrix_reference
from deepphenomena.infinite_width._gpu import FEATURES, TILE, matrices_on_gpu


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setattr(fully_connected, "matrices_on_gpu", partial(matrices_on_gpu, interpret=True))


def inputs(seed, samples, features=5):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(samples, features)), jnp.float32)


def fused(x1, x2, *, depth, activation, weight_variance, bias_variance):
    """As `kernel_matrix` calls it for a GPU."""
    prior, phi = fully_connected.Prior(weight_variance, bias_variance), fully_connected.CLOSED_FORMS[activation]

    def known(x):
        return fully_connected._Inputs(x, *fully_connected.climb(phi, prior, depth, fully_connected._squares(x)))

    return fully_connected._fused(activation, known(x1), None if x2 is None else known(x2), prior)


@settings(max_examples=5, deadline=None)
@given(
    n1=st.sampled_from([1, TILE - 1, TILE, 2 * TILE + 5]),
    n2=st.sampled_from([None, 3, TILE + 1]),
    features=st.sampled_from([5, FEATURES, FEATURES + 7]),  # in one dimension all angles are 0 or π: ill-conditioned
    network=st.fixed_dictionaries(
        {
            "depth": st.integers(1, 6),
            "activation": st.sampled_from(["relu", "erf"]),
            "weight_variance": st.floats(0.5, 2.5),
            "bias_variance": st.sampled_from([0.0, 0.3]),
        }
    ),
)
def test_it_is_the_plain_recursion(n1, n2, features, network):
    x1, x2 = inputs(0, n1, features), None if n2 is None else inputs(1, n2, features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fully_connected, "matrices_on_gpu", partial(matrices_on_gpu, interpret=True))
        ours = fused(x1, x2, **network)
    with jax.enable_x64(True):
        wide = (None if x is None else jnp.asarray(np.asarray(x), jnp.float64) for x in (x1, x2))
        exact = kernel_matrix_reference(*wide, **network)
    for mine, theirs in zip(ours, exact, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=5e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("symmetric", [True, False])
def test_its_derivatives_are_those_of_the_tiles(interpreted, symmetric):
    x1, x2 = inputs(0, 7), None if symmetric else inputs(1, 4)
    network = {"depth": 3, "activation": "erf", "bias_variance": 0.1}

    def summed(form):
        return jax.grad(lambda x, variance: jnp.sum(form(x, x2, weight_variance=variance, **network)[1] ** 2), (0, 1))

    for mine, theirs in zip(summed(fused)(x1, 1.5), summed(kernel_matrix)(x1, 1.5), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-4 * np.abs(theirs).max())


def test_a_gpu_gets_the_kernel_and_a_cpu_does_not():
    sharding = pytest.importorskip("jax.sharding")
    if not hasattr(sharding, "AbstractDevice"):
        pytest.skip("this JAX cannot compile for a device that is not there")
    device = sharding.AbstractDevice("NVIDIA H100 80GB HBM3", 1, platform="gpu")
    x, compiled = inputs(0, 100), jax.jit(lambda x: kernel_matrix(x, depth=3))
    with sharding.use_abstract_mesh(sharding.AbstractMesh((1,), ("x",), abstract_device=device)):
        assert "triton" in compiled.trace(x).lower(lowering_platforms=("cuda",)).as_text()
    assert "triton" not in compiled.trace(x).lower(lowering_platforms=("cpu",)).as_text()
