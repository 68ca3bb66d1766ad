"""Fully connected classifiers of small images."""

import itertools
from collections.abc import Callable, Sequence

import jax
from flax import nnx
from jaxtyping import Key

from deepphenomena.nets.initializers import he_uniform, lecun_uniform
from deepphenomena.nets.layers import BatchNorm


def mlp(
    shape: Sequence[int], *, width: int, outputs: int, batch_norm: bool = True, key: Key[jax.Array, ""]
) -> nnx.Sequential:
    """Return an MLP with three hidden ReLU layers of `width` units, the mlp[2048, 2048, 2048] of Nakkiran et al."""
    rngs = nnx.Rngs(params=key)
    height, columns, channels = shape
    layers: list[Callable] = [lambda x: x.reshape(x.shape[0], -1)]
    for inputs, units in itertools.pairwise([height * columns * channels, width, width, width]):
        layers.append(nnx.Linear(inputs, units, kernel_init=he_uniform(), rngs=rngs))
        layers += [BatchNorm(units)] if batch_norm else []
        layers.append(jax.nn.relu)
    return nnx.Sequential(*layers, nnx.Linear(width, outputs, kernel_init=lecun_uniform(), rngs=rngs))
