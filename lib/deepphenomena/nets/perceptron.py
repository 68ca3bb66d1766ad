"""Fully connected ReLU networks of any depth, with layers of one width."""

from collections.abc import Callable

import jax
from flax import nnx
from jaxtyping import Key

from deepphenomena.nets.initializers import he_normal, lecun_normal


def perceptron(
    *, inputs: int, width: int, hidden: int, outputs: int = 10
) -> Callable[[Key[jax.Array, ""]], nnx.Sequential]:
    """Return `build(key)`, which makes a network of `hidden` ReLU layers and a linear readout.

    Hidden layer i has the name "layers.2i" in `training.activations`; "layers.1" is its value before the first ReLU.

    Example:
        >>> model = perceptron(inputs=4, width=8, hidden=2, outputs=3)(jax.random.key(0))
        >>> model(jax.numpy.ones((5, 2, 2))).shape
        (5, 3)
    """

    def build(key):
        rngs = nnx.Rngs(params=key)
        layers: list[Callable] = [lambda x: x.reshape(x.shape[0], -1)]
        for given in [inputs] + [width] * (hidden - 1):
            layers += [nnx.Linear(given, width, kernel_init=he_normal(), rngs=rngs), jax.nn.relu]
        return nnx.Sequential(*layers, nnx.Linear(width, outputs, kernel_init=lecun_normal(), rngs=rngs))

    return build
