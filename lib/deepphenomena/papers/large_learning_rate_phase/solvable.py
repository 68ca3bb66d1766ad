"""The two-layer linear network with one sample, trained as a network."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime.arrays import Array


@functools.partial(jax.jit, static_argnames="steps")
def network_trajectory(
    scaled_rate: float, u: Float[Array, " width"], v: Float[Array, " width"], *, steps: int
) -> tuple[Float[Array, " steps"], Float[Array, " steps"]]:
    """(f, λ) along gradient descent on the loss f²/2 of the network f = v·u / √width, by automatic differentiation.

    The learning rate is scaled_rate / λ₀, and λ is the tangent kernel, the squared norm of the gradient of f.
    """
    output = jax.value_and_grad(lambda p: p[0] @ p[1] / jnp.sqrt(p[0].size))
    rate = scaled_rate * u.size / (u @ u + v @ v)

    def step(parameters, _):
        f, slope = output(parameters)
        curvature = sum(jnp.sum(part**2) for part in slope)
        return jax.tree.map(lambda p, g: p - rate * f * g, parameters, slope), (f, curvature)

    return jax.lax.scan(step, (u, v), length=steps)[1]
