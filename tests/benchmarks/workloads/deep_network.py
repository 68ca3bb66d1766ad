"""One gradient step of a very deep tanh network of 3 x 3 convolutions, depth 1,000: 32 images of 8 x 8 x 32."""

import jax
from jax import numpy as jnp
from peers.sizes import BATCH, CHANNELS, DEPTH, SIZE

from deepphenomena.kernels import convolution, deep_scan


def weights():
    shape = (DEPTH, 3, 3, CHANNELS, CHANNELS)
    return jax.random.normal(jax.random.key(0), shape) / (9 * CHANNELS) ** 0.5


def _ours():
    def loss(w, x):
        return jnp.mean(deep_scan(lambda w, x: jnp.tanh(convolution(x, w)), w, x) ** 2)

    step = jax.jit(lambda w, x: w - 0.1 * jax.grad(loss)(w, x))
    w, x = weights(), jax.random.normal(jax.random.key(1), (BATCH, SIZE, SIZE, CHANNELS))
    return lambda: step(w, x).block_until_ready()


FORMS = {"ours": _ours, "PyTorch": "pytorch.deep_network"}
