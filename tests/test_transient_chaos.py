"""Signals, boundaries and fits of the chapter on transient chaos, against differentiation and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np

from deepphenomena import mean_field
from deepphenomena.mean_field import layers
from deepphenomena.papers import transient_chaos as small


def network(units=7, depth=3, scale=2.0):
    return small.random_network(np.random.default_rng(1), units=units, layers=depth, weight_scale=scale, bias_scale=0.3)


def test_following_signals_is_one_layer_after_another():
    inputs = jax.random.normal(jax.random.key(1), (3, 40))
    found = small.follow(jax.random.key(0), inputs, 1.7, 0.4, layers=2)
    draws = jax.random.normal(jax.random.split(jax.random.key(0), 2)[0], (41 * 40,)).reshape(41, 40)
    after = jnp.tanh(inputs) @ draws[:-1] * 1.7 / 40**0.5 + 0.4 * draws[-1]
    np.testing.assert_allclose(found[0], inputs @ inputs.T / 40, rtol=1e-5)
    np.testing.assert_allclose(found[1], after @ after.T / 40, rtol=1e-4)


def test_repeated_maps_end_in_the_fixed_point():
    with jax.enable_x64(True):
        fixed = mean_field.fixed_point("tanh", 6.25, 0.09)
        lengths = layers.variances("tanh", 6.25, 0.09, 0.5, 80)
        np.testing.assert_allclose(lengths[:2], [0.5, mean_field.variance_map("tanh", 6.25, 0.09, 0.5)], rtol=1e-12)
        np.testing.assert_allclose(lengths[-1], fixed.variance, rtol=1e-8)
        pairs = layers.correlations("tanh", 6.25, 0.09, jnp.array([-0.4, 0.9]), 80, variance=fixed.variance)
        np.testing.assert_allclose(pairs[-1], fixed.correlation, rtol=1e-5)


def curvatures_by_hessian(net, layer, point):
    """Principal curvatures of the level set of the output, in the space of a layer, by double differentiation."""

    def output(h):
        for weights, bias in zip(net.weights[layer:], net.biases[layer:], strict=True):
            h = jnp.tanh(h) @ weights + bias
        return jnp.tanh(h) @ net.readout

    gradient, hessian = np.asarray(jax.grad(output)(point)), np.asarray(jax.hessian(output)(point))
    normal = gradient / np.linalg.norm(gradient)
    onto = np.eye(len(point)) - np.outer(normal, normal)
    bends, directions = np.linalg.eigh(onto @ hessian @ onto / np.linalg.norm(gradient))
    along = np.abs(directions.T @ normal) > 0.5
    return bends[~along]


def test_curvatures_of_a_boundary_agree_with_double_differentiation():
    net = network()
    with jax.enable_x64(True):
        point = np.linspace(-1, 1, 7)
        found = small.boundary_curvatures(net, point, extremes=2)
        for layer, h in enumerate(net.preactivations(point)):
            bends = curvatures_by_hessian(net, layer, h)
            np.testing.assert_allclose(found[layer], [bends[-2:].mean(), bends[:2].mean()], rtol=1e-8)


def test_a_single_layer_near_its_origin_curves_as_its_third_order_says():
    net = small.Deep(np.zeros((0, 3, 3)), np.zeros((0, 3)), np.ones(3))
    # Near the origin tanh(h) ≈ h − h³/3, so the level set through (a, a, a) curves by 2a / √3 in every direction.
    a = 1e-3
    np.testing.assert_allclose(small.boundary_curvatures(net, np.full(3, a), extremes=2)[0], -2 * a / 3**0.5, rtol=1e-4)


def test_points_on_the_boundary_have_the_level_of_their_arc():
    net, rng = network(units=30), np.random.default_rng(5)
    spots = small.on_the_boundary(rng, net, points=4, variance=2.0)
    again = np.random.default_rng(5)
    for spot in spots:
        u, _ = small.circle(again, np.array([0, np.pi / 2]), units=30, variance=2.0)
        outputs = [np.tanh(net.preactivations(h)[-1]) @ net.readout for h in (u, -u, spot)]
        np.testing.assert_allclose(outputs[2], (outputs[0] + outputs[1]) / 2, atol=1e-9)
        np.testing.assert_allclose((spot**2).mean(), 2.0, rtol=1e-9)


def test_least_squares_leaves_the_share_that_numpy_leaves():
    rng = np.random.default_rng(0)
    features, targets = rng.standard_normal((60, 5)), rng.standard_normal((60, 2))
    with_one = np.hstack([features, np.ones((60, 1))])
    residual = targets - with_one @ np.linalg.lstsq(with_one, targets)[0]
    expected = (residual**2).sum(0) / ((targets - targets.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(small.left_over(features, targets, cutoff=1e-10), expected, rtol=1e-10)


def test_white_noise_features_leave_one_minus_their_share_of_the_points():
    rng = np.random.default_rng(0)
    left = small.left_over(rng.standard_normal((400, 100)), rng.standard_normal((400, 50)), cutoff=1e-10)
    assert abs(left.mean() - 0.75) < 0.02


def test_the_half_width_of_a_cosine():
    angles = np.r_[0, np.geomspace(0.01, np.pi, 200)]
    np.testing.assert_allclose(small.half_width(angles, np.cos(angles)), np.pi / 2, rtol=1e-2)
