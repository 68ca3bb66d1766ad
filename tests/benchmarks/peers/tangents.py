"""neural-tangents' forms of the kernel matrices, with the JAX of its own environment."""

import jax  # after it: whichever JAX this Python has
from neural_tangents import stax

from peers.sizes import VARIANCES

SCALE = {"W_std": VARIANCES["weight_variance"] ** 0.5, "b_std": VARIANCES["bias_variance"] ** 0.5}
CONV, RELU = stax.Conv(1, (3, 3), padding="CIRCULAR", **SCALE), stax.Relu()


def _stack(shape, readout=None):
    layer = stax.Dense(1, **SCALE) if readout is None else CONV
    return _form(shape, *[layer, RELU] * 3, *([] if readout is None else [readout()]))


def _form(shape, *layers):
    kernel = stax.serial(*layers, stax.Dense(1, **SCALE))[2]
    compiled = jax.jit(lambda x1, x2: tuple(kernel(x1, x2, ("nngp", "ntk"))))
    inputs = [jax.random.normal(jax.random.PRNGKey(seed), shape) for seed in range(2)]
    return lambda: jax.block_until_ready(compiled(*inputs))


def dense():
    return _stack((1000, 784))


def flatten():
    return _stack((100, 16, 16, 3), stax.Flatten)


def pool():
    return _stack((16, 16, 16, 3), stax.GlobalAvgPool)


def residual():
    branch = stax.serial(RELU, CONV, RELU, CONV)
    block = stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum())
    return _form((100, 16, 16, 3), CONV, block, block, RELU, stax.Flatten())


def local():
    return _form((16, 16, 16, 3), CONV, RELU, stax.AvgPool((2, 2), (2, 2), "VALID"), CONV, RELU, stax.Flatten())
