"""What a similarity is worth: its value without any relation, by permutation and between unrelated networks."""

import itertools
from collections.abc import Callable

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Float, Key

from deepphenomena.runtime import numbers, threads
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity.moments import check_activations

Measure = Callable[[Array, Array], Float[Array, ""]]


def permutation_baseline(
    measure: Measure,
    x: Float[Array, "samples p"],
    y: Float[Array, "samples q"],
    *,
    key: Key[jax.Array, ""],
    permutations: int = 20,
) -> Float[np.ndarray, " permutations"]:
    """Return the similarity of x with y whose samples are permuted at random, once for each permutation.

    It is the value that the numbers of samples and features give by themselves. Both layers keep their own statistics.

    Args:
        measure: returns the similarity of two layers, for example `linear_cka`.
        x, y: activations of the same samples.
        key: random key of the permutations.
        permutations: how many.

    Raises:
        InputError: as `cca`, or fewer than one permutation.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> values = similarity.permutation_baseline(similarity.linear_cka, x, x, key=jax.random.key(1))
        >>> values.shape, bool(values.max() < 0.2)
        ((20,), True)
    """
    permutations = numbers.whole("permutations", permutations, minimum=1)
    x, y = check_activations(x, y)
    orders = [jax.random.permutation(one, len(y)) for one in jax.random.split(key, permutations)]
    return np.array([float(value) for value in threads.each(lambda order: measure(x, y[order]), orders)])


def unrelated_networks(
    measure: Measure,
    activations: Callable[[Key[jax.Array, ""]], Float[Array, "samples features"]],
    keys: Key[jax.Array, " networks"],
) -> Float[np.ndarray, " pairs"]:
    """Return the similarity of networks that share only the data: one value for each pair of different keys.

    Untrained networks of one architecture are far from 0 on real images, because they see the same images.

    Args:
        measure: returns the similarity of two layers.
        activations: `activations(key)` returns a layer of the network drawn with this key, for the same samples.
        keys: two or more random keys.

    Raises:
        InputError: fewer than two keys.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> layer = lambda key: jax.nn.relu(x @ jax.random.normal(key, (3, 4)))
        >>> similarity.unrelated_networks(similarity.linear_cka, layer, jax.random.split(jax.random.key(1), 3)).shape
        (3,)
    """
    if len(keys) < 2:
        raise InputError(f"{len(keys)} key: give two or more, for networks to compare.")
    layers = threads.each(activations, [keys[k] for k in range(len(keys))])
    pairs = list(itertools.combinations(layers, 2))
    return np.array([float(jnp.asarray(value)) for value in threads.each(lambda pair: measure(*pair), pairs)])
