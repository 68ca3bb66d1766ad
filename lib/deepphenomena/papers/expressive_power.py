"""Hard-tanh networks of the chapter on expressive power: their parameters, trajectories through them, and noise."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, Key, PyTree

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array

Parameters = dict[str, Array]


def hard_tanh(x: Array) -> Array:
    """Return x cut to [−1, 1]."""
    return jnp.clip(x, -1, 1)


def initial(
    key: Key[jax.Array, ""], weight_variance: float, *, inputs: int, width: int, hidden: int, outputs: int = 10
) -> Parameters:
    """Draw a network without biases: a first layer, `hidden` square layers, and a readout.

    Weights have the variance σ_w² over their fan-in.

    Example:
        >>> {name: of.shape for name, of in initial(jax.random.key(0), 2.0, inputs=5, width=4, hidden=2).items()}
        {'first': (5, 4), 'hidden': (2, 4, 4), 'readout': (4, 10)}
    """
    shapes = {"first": (inputs, width), "hidden": (hidden, width, width), "readout": (width, outputs)}
    keys = jax.random.split(key, len(shapes))
    return {
        name: (weight_variance / shape[-2]) ** 0.5 * sampling.normal(one, shape, jnp.float32)
        for one, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def images(
    parameters: Parameters, x: Float[Array, "points inputs"], normalize: Callable[[Array], Array] = lambda h: h
) -> list[Float[Array, "points width"]]:
    """Return the activations of every layer but the readout. `normalize` is applied to all pre-activations."""
    found = [hard_tanh(normalize(x @ parameters["first"]))]
    for weights in parameters["hidden"]:
        found.append(hard_tanh(normalize(found[-1] @ weights)))
    return found


def outputs(parameters: Parameters, x: Array, normalize: Callable[[Array], Array] = lambda h: h) -> Array:
    """Return the logits of images of any shape."""
    return images(parameters, x.reshape(len(x), -1), normalize)[-1] @ parameters["readout"]


def only(layer: Int[Array, ""] | int) -> optax.GradientTransformation:
    """Keep the gradient of one square layer alone, counted from 1.

    Example:
        >>> gradients = initial(jax.random.key(0), 1.0, inputs=3, width=2, hidden=2)
        >>> kept, _ = only(2).update(gradients, None)
        >>> [bool(jnp.any(of != 0)) for of in (kept["first"], kept["hidden"][0], kept["hidden"][1])]
        [False, False, True]
    """

    def update(gradients, state, _=None):
        kept = jnp.arange(1, len(gradients["hidden"]) + 1) == layer
        zero = jax.tree.map(jnp.zeros_like, gradients)
        return zero | {"hidden": jnp.where(kept[:, None, None], gradients["hidden"], 0)}, state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def circle_lengths(
    parameters: Parameters, one: Float[Array, " inputs"], other: Float[Array, " inputs"], points: int = 500
) -> Float[Array, " layers"]:
    """Return the length, in every layer, of the image of the circle `x₀ cos t + x₁ sin t`, from exact velocities.

    Example:
        >>> network = initial(jax.random.key(0), 1.0, inputs=3, width=4, hidden=2)
        >>> circle_lengths(network, jnp.ones(3), jnp.zeros(3)).shape
        (3,)
    """
    t = jnp.arange(points)[:, None] * (2 * np.pi / points)
    there, speed = jnp.cos(t) * one + jnp.sin(t) * other, jnp.cos(t) * other - jnp.sin(t) * one
    _, velocities = jax.jvp(lambda x: images(parameters, x), (there,), (speed,))
    return 2 * np.pi * jnp.stack([jnp.mean(jnp.linalg.norm(v, axis=1)) for v in velocities])


def rank_correlation(table: Float[np.ndarray, "seeds layers"]) -> Float[np.ndarray, " seeds"]:
    """Return Spearman's correlation of each row with the position in the row.

    Example:
        >>> rank_correlation(np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 9.0]])).tolist()
        [-1.0, 1.0]
    """
    ranks = np.argsort(np.argsort(table, axis=1), axis=1)
    return np.array([np.corrcoef(row, np.arange(table.shape[1]))[0, 1] for row in ranks])


def rank_step(count: int) -> float:
    """Return the smallest difference between two rank correlations of `count` numbers.

    Example:
        >>> rank_step(3)
        0.5
    """
    return 12 / (count * (count**2 - 1))


def noisy(parameters: Parameters, key: Key[jax.Array, ""], layer: int, size: float) -> Parameters:
    """Add Gaussian noise to square layer `layer`, from 1; 0 is the first layer. `size` is relative to its weights.

    Example:
        >>> network = initial(jax.random.key(0), 1.0, inputs=3, width=2, hidden=2)
        >>> bool((noisy(network, jax.random.key(1), 1, 0.1)["hidden"][1] == network["hidden"][1]).all())
        True
    """
    name, place = ("first", ...) if layer == 0 else ("hidden", layer - 1)
    weights = parameters[name][place]
    noise = size * jnp.sqrt(jnp.mean(weights**2)) * sampling.normal(key, weights.shape, weights.dtype)
    return parameters | {name: parameters[name].at[place].add(noise)}


def batch_normalized(h: Float[Array, "batch units"]) -> Float[Array, "batch units"]:
    """Return pre-activations with mean 0 and variance 1 of each unit over the batch."""
    return (h - h.mean(0)) / jnp.sqrt(h.var(0) + 1e-5)


def trajectory_normalized(h: Float[Array, "batch units"]) -> Float[Array, "batch units"]:
    """Return pre-activations divided by the length per step of the polygon through the batch, over √(2 · units).

    Independent units of variance 1 keep their size. This is our reading of the paper's trajectory regularization.
    """
    step = jnp.mean(jnp.linalg.norm(h[1:] - h[:-1], axis=1)) / (2 * h.shape[1]) ** 0.5
    return h / (step + 1e-5)


def drawn(pool: dict[str, Array], count: int, seed: int) -> dict[str, Array]:
    """Draw images of a pool without replacement.

    Example:
        >>> drawn({"y": jnp.arange(5)}, 5, 0)["y"].sort().tolist()
        [0, 1, 2, 3, 4]
    """
    index = np.random.default_rng(seed).permutation(len(pool["y"]))[:count]
    return {name: of[index] for name, of in pool.items()}


def norms(parameters: PyTree) -> Float[Array, " layers"]:
    """Return the norms of the weights of the first and of every square layer."""
    hidden = jnp.sqrt(jnp.sum(parameters["hidden"] ** 2, (1, 2)))
    return jnp.concatenate([jnp.linalg.norm(parameters["first"])[None], hidden])
