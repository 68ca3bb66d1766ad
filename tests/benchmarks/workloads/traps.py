"""What XLA:CPU does badly: a convolution's gradient in a scan, and a convolution under vmap over its weights."""

import jax
from jax import numpy as jnp

from deepphenomena.kernels import convolution, convolution_reference


def _scan(form):
    """The gradient of ten layers of 32 x 8 x 8 x 32 in a scan."""

    def setup():
        def loss(w, x):
            return jnp.sum(jax.lax.scan(lambda x, w: (jnp.tanh(form(x, w)), None), x, w)[0])

        w = jax.random.normal(jax.random.key(0), (10, 3, 3, 32, 32)) / 17
        x = jax.random.normal(jax.random.key(1), (32, 8, 8, 32))
        gradient = jax.jit(jax.grad(loss))
        return lambda: gradient(w, x).block_until_ready()

    return setup


def _members(form):
    """The gradient of one layer of 8 members, each with its own images and weights."""

    def setup():
        gradient = jax.jit(jax.vmap(jax.grad(lambda w, x: jnp.sum(jnp.tanh(form(x, w))), argnums=(0, 1))))
        w = jax.random.normal(jax.random.key(0), (8, 3, 3, 32, 32)) / 17
        x = jax.random.normal(jax.random.key(1), (8, 32, 16, 16, 32))
        return lambda: jax.block_until_ready(gradient(w, x))

    return setup


SCAN = {"ours": _scan(convolution), "naive JAX": _scan(convolution_reference)}
MEMBERS = {"ours": _members(convolution), "naive JAX": _members(convolution_reference)}
