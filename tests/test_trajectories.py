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


def test_labellings_between_steps_are_those_of_a_much_denser_sweep():
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((2, 12, 9))

    def outputs(steps):
        t = np.arange(steps)[:, None, None] * 2 * np.pi / steps * np.arange(1, 13)[:, None]
        return (np.cos(t) * waves[0] + np.sin(t) * waves[1]).sum(1)

    dense = trajectories.labellings(outputs(400_000))
    assert trajectories.labellings(outputs(800)) < dense
    assert trajectories.passed_labellings(outputs(800)) == dense


ACTIVATIONS = {(0.0,): lambda h: np.maximum(h, 0), (-1.0, 1.0): lambda h: np.clip(h, -1, 1)}


@pytest.mark.parametrize("edges", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_breaks_along_a_polygon_agree_with_dense_sampling(seed, edges):
    rng = np.random.default_rng(seed)
    widths = [5, 12, 9, 7]
    weights = [rng.standard_normal((n, m)) / m**0.5 * 2**0.5 for m, n in itertools.pairwise(widths)]
    biases = [0.2 * rng.standard_normal(n) for n in widths[1:]]
    corners = 3 * rng.standard_normal((3, 5))
    t = np.linspace(0, 2, 400_001)
    x = np.stack([np.interp(t, range(3), of) for of in corners.T], axis=1)
    found, patterns = trajectories.breaks(weights, biases, corners, edges=edges), []
    for kernel, bias, breaks in zip(weights, biases, found, strict=True):
        h = x @ kernel.T + bias
        patterns.append(sum((h > edge).astype(int) for edge in edges))
        assert len(breaks) == int(jnp.sum(trajectories.transitions(jnp.asarray(h), edges)))
        changes = np.nonzero((patterns[-1][1:] != patterns[-1][:-1]).any(1))[0]
        np.testing.assert_allclose(np.unique(np.searchsorted(t, breaks) - 1), changes)
        x = ACTIVATIONS[edges](h)
    pattern = np.hstack(patterns)
    assert (pattern[1:] != pattern[:-1]).any(1).sum() == sum(map(len, found))


def test_transitions_of_a_random_curve_follow_crofton():
    """Expected sign changes of a random read-out are the length on the sphere over π."""
    t = jnp.linspace(0, 1, 4001)[:, None]
    curve = jnp.concatenate([jnp.cos(9 * t), jnp.sin(9 * t), jnp.cos(4 * t), jnp.sin(4 * t)], 1)
    curve = curve / jnp.linalg.norm(curve, axis=1, keepdims=True)
    readouts = jax.random.normal(jax.random.key(0), (4, 4000))
    found = trajectories.transitions(curve @ readouts).mean()
    np.testing.assert_allclose(found, trajectories.length(curve) / np.pi, rtol=0.05)
