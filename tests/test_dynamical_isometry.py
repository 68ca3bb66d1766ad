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


ARCHITECTURE = dynamical_isometry.architecture(lambda: build("delta_orthogonal", 0))
STARTS = ("delta_orthogonal", "gaussian_convolution")


def digits(n):
    return {
        "x": jax.random.normal(jax.random.key(0), (n, 4, 4, 1)),
        "y": jax.random.randint(jax.random.key(1), (n,), 0, 10),
    }


def trained_quietly(name, *arguments, **options):
    assert name == "test, seed 3"
    return training.train(*arguments, description=None, **options)


def train(rates, bias_scale=1.0, steps=3, **options):
    return dynamical_isometry.train_starts(
        trained_quietly, "test", ARCHITECTURE, build, 3, (digits(12), digits(12)), rates=rates, bias_scale=bias_scale,
        batch_size=4, steps=steps, measured=12, **options,
    )  # fmt: skip


def test_every_member_is_the_model_that_its_start_builds():
    trained = train(dict.fromkeys(STARTS, 0.0))
    images = digits(6)["x"]
    for k, start in enumerate(STARTS):
        np.testing.assert_allclose(
            ARCHITECTURE.network(nets.member(trained.parameters, k), images), build(start, 3)(images), atol=1e-6
        )


def test_each_start_has_its_own_rate_and_biases_have_theirs():
    trained = train({"delta_orthogonal": 0.0, "gaussian_convolution": 0.1}).parameters
    still, moved = (nets.member(trained, k) for k in (0, 1))
    first = nets.functional(build("delta_orthogonal", 3))[1]
    np.testing.assert_array_equal(still["biases"][...], first["biases"][...])
    held = nets.member(train({"gaussian_convolution": 0.1}, bias_scale=0.0).parameters, 0)
    start = nets.functional(build("gaussian_convolution", 3))[1]
    assert (moved["biases"][...] != start["biases"][...]).any()
    np.testing.assert_array_equal(held["biases"][...], start["biases"][...])
    assert (held["readout_bias"][...] != start["readout_bias"][...]).any()


def test_the_rate_is_constant_and_then_falls_to_zero():
    """Halfway to zero at three quarters of the steps."""
    constant, falling = (train({"delta_orthogonal": 1e-3}, steps=12, constant=share).losses[0] for share in (1.0, 0.5))
    np.testing.assert_array_equal(constant[:7], falling[:7])
    assert (constant[9:] != falling[9:]).any()


def test_accuracy_does_not_depend_on_the_parts():
    for n in (1, 12, 51, 100):
        data, parameters = digits(n), nets.functional(build("delta_orthogonal", 0))[1]
        expected = np.mean(np.argmax(ARCHITECTURE.network(parameters, data["x"]), 1) == np.asarray(data["y"]))
        found = ARCHITECTURE.accuracies(parameters, {"test": data})
        assert float(found["test"]) == pytest.approx(expected)


def test_drawn_images_differ_between_seeds_and_keep_their_labels():
    pool = {"x": jnp.arange(100)[:, None], "y": jnp.arange(100)}
    one, other = (dynamical_isometry.drawn(pool, 50, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one["x"][:, 0], one["y"])
    assert len(set(one["y"].tolist())) == 50
    assert set(one["y"].tolist()) != set(other["y"].tolist())


def test_the_depth_that_is_reached_is_the_first_crossing():
    reached = dynamical_isometry.reached_depth
    assert reached([2, 4, 8, 16], [0.9, 0.2, 0.9, 0.1], 0.3).value < 4
    assert reached([2, 4], [0.2, 0.1], 0.3) == (2.0, True)
    assert reached([2, 4], [0.9, 0.9], 0.3) == (4.0, True)


def test_a_loss_that_is_never_reached_is_censored():
    losses = np.linspace(2.0, 1.0, 40)
    assert dynamical_isometry.steps_to(losses, 0.5) == (40.0, True)
    assert dynamical_isometry.at_loss(losses, {0: 0.1, 40: 0.5}, 0.5) == (0.5, True)
    assert not dynamical_isometry.steps_to(losses, 1.5).censored


def test_the_depth_scale_of_the_critical_column_of_the_map():
    """The audit's value at σ_w² = 1.76, σ_b² = 0.05: nearly critical, not critical."""
    with jax.enable_x64(True):
        scale = float(mean_field.depth_scale("tanh", 1.76, 0.05).correlation)
    assert scale == pytest.approx(4912, rel=1e-3)


def test_the_radial_singular_value_is_predicted():
    with jax.enable_x64(True):
        weight, bias = map(float, mean_field.critical_line("tanh", 1 / 64))
        reach = float(mean_field.depth_scale("tanh", weight, bias).variance)
    (values,) = dynamical_isometry.jacobian_spectra(
        initializers.delta_orthogonal, (weight, bias, 1 / 64), 0, [64], size=1, width=64
    )
    np.testing.assert_allclose(values[-1], np.exp(-64 / reach), rtol=0.2)
    assert values[-1] < 0.5 * values[-2]


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
