"""neural-tangents' forms of the kernel matrices, with the JAX of its own environment."""

import jax  # after it: whichever JAX this Python has
from neural_tangents import stax

from peers.sizes import VARIANCES


def _form(shape, readout=None):
    scale = {"W_std": VARIANCES["weight_variance"] ** 0.5, "b_std": VARIANCES["bias_variance"] ** 0.5}
    layer = stax.Dense(1, **scale) if readout is None else stax.Conv(1, (3, 3), padding="CIRCULAR", **scale)
    middle = [] if readout is None else [readout()]
    kernel = stax.serial(*[layer, stax.Relu()] * 3, *middle, stax.Dense(1, **scale))[2]
    compiled = jax.jit(lambda x1, x2: tuple(kernel(x1, x2, ("nngp", "ntk"))))
    inputs = [jax.random.normal(jax.random.PRNGKey(seed), shape) for seed in range(2)]
    return lambda: jax.block_until_ready(compiled(*inputs))


def dense():
    return _form((1000, 784))


def flatten():
    return _form((100, 16, 16, 3), stax.Flatten)


def pool():
    return _form((16, 16, 16, 3), stax.GlobalAvgPool)
