"""Gabor functions: the formula, filters that are recognised as such, noise that is not, an independent fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from deepphenomena.papers.transfusion import gabor
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)


def test_the_formula():
    y, x = np.meshgrid(np.arange(7) - 3.0, np.arange(7) - 3.0, indexing="ij")
    value = gabor.gabor(x, y, angle=0.0, wavelength=4.0, phase=0.3, width=2.0, aspect=0.5)
    expected = np.exp(-(x**2 + 0.25 * y**2) / 8) * np.cos(np.pi * x / 2 + 0.3)
    np.testing.assert_allclose(value, expected, atol=1e-6)
    turned = gabor.gabor(x, y, angle=np.pi / 2, wavelength=4.0, phase=0.3, width=2.0, aspect=0.5)
    np.testing.assert_allclose(turned, expected.T, atol=1e-6)


def test_random_gabors_are_standardised_and_recognised():
    for side in (5, 7):
        drawn = gabor.filters((side, side), 40, key=KEY)
        np.testing.assert_allclose(drawn.mean((0, 1)), 0, atol=1e-5)
        np.testing.assert_allclose(drawn.std((0, 1)), 1, atol=1e-4)
        recognised = gabor.fit(drawn[:, :, None])
        assert float(jnp.min(recognised)) > 0.8
        assert float(jnp.mean(recognised)) > 0.95


def test_noise_is_recognised_as_such():
    noise = jax.random.normal(KEY, (7, 7, 3, 40))
    assert float(jnp.mean(gabor.fit(noise))) < 0.35
    assert float(jnp.mean(gabor.fit(noise[:, :, :1]))) < 0.55
    blend = gabor.filters((7, 7), 40, key=KEY)[:, :, None] + noise
    assert float(jnp.mean(gabor.fit(noise))) < float(jnp.mean(gabor.fit(blend))) < 0.9


def test_the_fit_does_not_mind_scale_offset_or_the_colour_of_the_wave():
    grey = gabor.filters((7, 7), 6, key=KEY)[:, :, None]
    colour = grey * jnp.array([1.0, -2.0, 0.1])[:, None] + 5
    np.testing.assert_allclose(gabor.fit(colour), gabor.fit(grey), atol=1e-4)
    np.testing.assert_array_equal(gabor.fit(jnp.ones((5, 5, 2, 3))), np.zeros(3))


def slow_fit(kernel):
    """R² by least squares from many starts, all parameters free within the same bounds."""
    y, x = np.meshgrid(*[np.arange(side) - (side - 1) / 2 for side in kernel.shape], indexing="ij")
    target = (kernel - kernel.mean()).ravel()

    def residual(p):
        angle, wavelength, share, aspect, row, column = p
        along = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
        across = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
        envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * (share * wavelength) ** 2))
        waves = [envelope * wave(2 * np.pi * along / wavelength) for wave in (np.cos, np.sin)]
        waves = np.stack([(wave - wave.mean()).ravel() for wave in waves], 1)
        return waves @ np.linalg.lstsq(waves, target, rcond=None)[0] - target

    low = [-4, 2.5, 0.3, 0.5, -1.75, -1.75]
    high = [7, 10.5, 0.6, 1.0, 1.75, 1.75]
    random, best = np.random.default_rng(0), np.inf
    for _ in range(40):
        start = [random.uniform(0, 3.14), random.uniform(3, 10), 0.45, 0.75, *random.uniform(-1.5, 1.5, 2)]
        best = min(best, 2 * scipy.optimize.least_squares(residual, start, bounds=(low, high), max_nfev=30).cost)
    return 1 - best / np.sum(target**2)


def test_the_grid_is_nearly_as_good_as_a_continuous_fit():
    noise = np.asarray(jax.random.normal(KEY, (7, 7, 2)))
    mixed = np.asarray(gabor.filters((7, 7), 2, key=KEY)) + 0.7 * noise
    for k in range(2):
        found, reference = float(gabor.fit(mixed[:, :, None, k : k + 1])[0]), slow_fit(mixed[..., k])
        assert reference - 0.05 < found < reference + 0.005


def test_bad_filters_are_refused(unchecked_types):
    with pytest.raises(InputError, match="side of 3"):
        gabor.filters((2, 5), 3, key=KEY)
    with pytest.raises(InputError, match="rows, columns, channels, filters"):
        gabor.fit(jnp.ones((5, 5)))
    with pytest.raises(InputError, match="side of 3"):
        gabor.fit(jnp.ones((1, 1, 3, 4)))
