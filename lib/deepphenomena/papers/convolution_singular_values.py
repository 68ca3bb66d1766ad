"""The small convolutional networks of the chapter and their images."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Key, PyTree

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.initializers import he_normal, lecun_normal
from deepphenomena.nets.layers import BatchNorm
from deepphenomena.runtime.arrays import Array


class Sets(NamedTuple):
    """Images x and labels y of one seed.

    Attributes:
        train, validation: drawn by the seed, without a common image.
        test: the same for all seeds.
    """

    train: dict[str, Array]
    validation: dict[str, Array]
    test: dict[str, Array]


def drawn(pool: dict[str, Array], test: dict[str, Array], *, train: int, validation: int, seed: int) -> Sets:
    """Draw training and validation images of a seed from a pool, without replacement.

    Example:
        >>> pool = {"x": jnp.arange(5.0), "y": jnp.arange(5)}
        >>> sets = drawn(pool, pool, train=3, validation=2, seed=0)
        >>> sorted([*sets.train["y"].tolist(), *sets.validation["y"].tolist()])
        [0, 1, 2, 3, 4]
    """
    order = np.random.default_rng(seed).permutation(len(pool["y"]))
    chosen = order[:train], order[train : train + validation]
    return Sets(*({name: a[index] for name, a in pool.items()} for index in chosen), test)


def network(*, channels: int, convolutions: int, batch_norm: bool) -> Callable[[Key[jax.Array, ""]], nnx.Sequential]:
    """Return `build(key)`: 3×3 convolutions of stride 1 with ReLU, a mean over pixels, and a linear readout."""

    def build(key):
        rngs = nnx.Rngs(params=key)
        layers: list[Callable] = []
        for given in [3] + [channels] * (convolutions - 1):
            layers.append(Conv(given, channels, (3, 3), use_bias=not batch_norm, kernel_init=he_normal(), rngs=rngs))
            layers += [BatchNorm(channels)] * batch_norm + [jax.nn.relu]
        readout = nnx.Linear(channels, 10, kernel_init=lecun_normal(), rngs=rngs)
        return nnx.Sequential(*layers, lambda x: jnp.mean(x, (1, 2)), readout)

    return build


def kernels(parameters: PyTree) -> list[Float[Array, "3 3 channels features"]]:
    """Return the kernels of the convolutions, from the first layer to the last."""
    return [leaf for leaf in jax.tree.leaves(parameters) if leaf.ndim == 4]


def dense_spectrum(apply: Callable[[Array], Array], shape: tuple[int, int, int]) -> Float[np.ndarray, " values"]:
    """Return all singular values of a linear map of images, from its dense matrix, largest first.

    Example:
        >>> dense_spectrum(lambda x: 2 * x, (2, 1, 1)).tolist()
        [2.0, 2.0]
    """
    basis = jnp.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.linalg.svd(np.asarray(apply(basis)).reshape(len(basis), -1), compute_uv=False)
