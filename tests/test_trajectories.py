"""Lengths, transitions, patterns and labellings of curves, against definitions and dense sampling."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena.mean_field import trajectories


def test_the_length_of_a_dense_polygon_tends_to_that_of_the_circle():
    angles = np.linspace(0, 2 * np.pi, 2001)
    found = trajectories.length(jnp.asarray(3 * np.stack([np.cos(angles), np.sin(angles)], 1)))
    np.testing.assert_allclose(found, 6 * np.pi, rtol=1e-5)


def test_a_unit_that_crosses_two_edges_in_one_step_makes_two_transitions():
    assert trajectories.transitions(jnp.array([[-5.0], [5.0]]), edges=(-1, 1)).tolist() == [2]


def test_a_linear_map_labels_inputs_in_at_most_twice_as_many_ways_on_a_great_circle():
    rng = np.random.default_rng(0)
    inputs, (one, other) = rng.standard_normal((15, 20)), rng.standard_normal((2, 20))
    t = np.linspace(0, 2 * np.pi, 20_001)[:, None]
    assert trajectories.labellings((np.cos(t) * one + np.sin(t) * other) @ inputs.T) == 2 * 15


@pytest.mark.parametrize("seed", range(4))
def test_breaks_of_a_relu_network_agree_with_dense_sampling(seed):
    rng = np.random.default_rng(seed)
    widths = [5, 12, 9, 7]
    weights = [rng.standard_normal((n, m)) / m**0.5 * 2**0.5 for m, n in itertools.pairwise(widths)]
    biases = [0.2 * rng.standard_normal(n) for n in widths[1:]]
    start, end = 3 * rng.standard_normal((2, 5))
    t = np.linspace(0, 1, 200_001)[:, None]
    x, found = start + t * (end - start), trajectories.relu_breaks(weights, biases, start, end)
    patterns = []
    for kernel, bias, breaks in zip(weights, biases, found, strict=True):
        h = x @ kernel.T + bias
        patterns.append(h > 0)
        assert len(breaks) == int(jnp.sum(trajectories.transitions(jnp.asarray(h))))
        changes = np.nonzero((patterns[-1][1:] != patterns[-1][:-1]).any(1))[0]
        np.testing.assert_allclose(np.unique(np.searchsorted(t[:, 0], breaks) - 1), changes)
        x = np.maximum(h, 0)
    pattern = np.hstack(patterns)
    met = 1 + (pattern[1:] != pattern[:-1]).any(1).sum()
    assert met == 1 + sum(map(len, found))


def test_transitions_of_a_random_curve_follow_crofton():
    """Expected sign changes of a random read-out are the length on the sphere over π."""
    t = jnp.linspace(0, 1, 4001)[:, None]
    curve = jnp.concatenate([jnp.cos(9 * t), jnp.sin(9 * t), jnp.cos(4 * t), jnp.sin(4 * t)], 1)
    curve = curve / jnp.linalg.norm(curve, axis=1, keepdims=True)
    readouts = jax.random.normal(jax.random.key(0), (4, 4000))
    found = trajectories.transitions(curve @ readouts).mean()
    np.testing.assert_allclose(found, trajectories.length(curve) / np.pi, rtol=0.05)
