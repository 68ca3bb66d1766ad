"""Networks of equal square layers in hard tanh, as plain dictionaries: their parameters, images of curves, one layer.

Raghu et al. 2017, "On the expressive power of deep neural networks", study these networks. There are no biases.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, Key

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array

Parameters = dict[str, Array]


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
    found = [jax.nn.hard_tanh(normalize(x @ parameters["first"]))]
    for weights in parameters["hidden"]:
        found.append(jax.nn.hard_tanh(normalize(found[-1] @ weights)))
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
