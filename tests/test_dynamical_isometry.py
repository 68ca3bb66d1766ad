"""The machinery of the chapter on dynamical isometry."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena import mean_field, nets, training
from deepphenomena.nets import initializers, ultra_deep
from deepphenomena.papers import dynamical_isometry


def build(start, seed):
    return ultra_deep.UltraDeep(
        (4, 4, 1), grid=2, channels=3, depth=5, outputs=10, kernel_init=getattr(initializers, start)(),
        bias_variance=0.1, input_variance=1.0, key=jax.random.key(seed),
    )  # fmt: skip


def test_every_member_is_the_model_that_its_labels_build():
    members = training.grid(start=["delta_orthogonal", "gaussian_convolution"], seed=[3, 4])
    network, initial = dynamical_isometry.networks(members, build)
    images = jax.random.normal(jax.random.key(0), (6, 4, 4, 1))
    for k, row in enumerate(members.rows):
        np.testing.assert_allclose(network(nets.member(initial, k), images), build(*row)(images), rtol=1e-5, atol=1e-6)


def test_accuracy_does_not_depend_on_the_parts():
    x = jax.random.normal(jax.random.key(0), (12, 5))
    data = {"x": x, "y": jax.random.randint(jax.random.key(1), (12,), 0, 5)}
    matrix = jax.random.normal(jax.random.key(2), (5, 5))
    expected = np.mean(np.argmax(np.asarray(x @ matrix), 1) == np.asarray(data["y"]))
    for size in (1, 4, 50):
        accuracy = dynamical_isometry.accuracy_in_parts(lambda matrix, x: x @ matrix, data, size)
        assert float(accuracy(matrix)) == pytest.approx(expected)


@pytest.mark.parametrize("block", [None, 9, 1])
def test_the_program_is_the_gradient_for_any_block(block):
    program = dynamical_isometry.gradient_program(9, channels=2, grid=3, block=block)
    kernels, biases, x = program.inputs(jax.random.key(0))

    def loss(kernels, biases):
        h = x
        for kernel, bias in zip(kernels, biases, strict=True):
            h = jnp.tanh(ultra_deep.convolution(h, kernel, padding="CIRCULAR") + bias)
        return jnp.mean(h**2)

    for found, expected in zip(program.run(kernels, biases, x), jax.grad(loss, (0, 1))(kernels, biases), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)
    assert program.compile_seconds > 0


def test_costs_have_a_row_for_each_depth_and_a_value_for_each_round():
    made = dynamical_isometry.costs([4, 400], channels=2, grid=3, rounds=3, key=jax.random.key(0))
    assert list(made.table["depth"]) == [4, 400]
    assert (made.table[["step", "compile", "blocked", "all"]] > 0).all().all()
    assert made.table["blocked"][1] < made.table["all"][1] / 4
    assert made.step_seconds.shape == (3, 2)
    assert made.compile_ratio.shape == (3,)
    np.testing.assert_array_equal(made.table["step"], made.step_seconds.min(0))


WIDE = {"width": 256, "draws": 2}
ORDERED = (1.3, 0.05)


def test_random_networks_keep_the_fixed_point_and_bring_inputs_together():
    q = float(mean_field.fixed_variance("tanh", *ORDERED))
    seen = dynamical_isometry.follow_pairs(0, 1, ORDERED, q=q, c=0.9, layers=6, pairs=16, positions=4, **WIDE)
    assert seen["q"].mean() == pytest.approx(q, rel=0.1)
    assert (np.diff(seen["c"], axis=1) > 0).all()
    np.testing.assert_allclose(seen["difference"][:, 0].mean(), 0.1 * q, rtol=0.1)
    np.testing.assert_allclose(seen["difference"][:, 1:].mean(-1), seen["q"] * (1 - seen["c"]), rtol=1e-3)


def test_gradients_shrink_by_chi_in_each_layer():
    q = float(mean_field.fixed_variance("tanh", *ORDERED))
    norms = dynamical_isometry.gradient_norms(0, 3, ORDERED, q=q, layers=8, samples=8, positions=4, **WIDE)
    factor = (norms[:, 0] / norms[:, -1]) ** (1 / 7)
    np.testing.assert_allclose(factor, float(mean_field.chi("tanh", *ORDERED)), rtol=0.05)


@pytest.mark.parametrize(("taps", "kept"), [(((0.0, 1.0, 0.0),), 1.0), (((1 / 3, 1 / 3, 1 / 3),), (1 + 2**0.5) / 3)])
def test_a_planted_mode_shrinks_by_its_eigenvalue(taps, kept):
    follow = functools.partial(dynamical_isometry.follow_pairs, **WIDE)
    bias_variance, q = map(float, mean_field.critical_point("tanh", 1.05))
    point = (1.05, bias_variance, q)
    seen = dynamical_isometry.planted_mode(follow, 0, 4, point, taps, 1, 3, positions=8, pairs=32)
    relative = seen["planted"] / seen["uniform"]
    np.testing.assert_allclose((relative[3] / relative[0]) ** (1 / 3), kept, rtol=0.05)


def test_spectra_of_linear_isometries_are_powers_of_the_gain():
    found = dynamical_isometry.jacobian_spectra(
        initializers.delta_orthogonal, (1.21, 0.0, 1.0), 0, [1, 4], size=3, width=2, activation=jax.nn.identity
    )
    for depth, values in zip([1, 4], found, strict=True):
        np.testing.assert_allclose(values, np.full(18, 1.1**depth), rtol=1e-5)
