"""NNGP and NTK together, against neural-tangents: three hidden ReLU layers, fully connected, convolutional or pooled,
and two networks that only layers put together can describe, with residual blocks and with local pooling.

neural-tangents does not import with the JAX of this library; give the Python of an environment that has it:
`--interpreter neural-tangents=PATH`.
"""

import jax
from peers.sizes import VARIANCES

from deepphenomena import infinite_width


def _pair(*shape):
    return tuple(jax.random.normal(jax.random.key(i), shape) for i in range(2))


def _run(form, inputs):
    compiled = jax.jit(lambda x1, x2: tuple(form(x1, x2)))
    return lambda: jax.block_until_ready(compiled(*inputs))


def _dense():
    return _pair(1000, 784)


def _images():
    return _pair(100, 16, 16, 3)


def _few_images():
    return _pair(16, 16, 16, 3)


def _library(name, inputs, **options):
    def setup():
        return _run(lambda x1, x2: getattr(infinite_width, name)(x1, x2, depth=3, **VARIANCES, **options), inputs())

    return setup


def _network(layers, inputs):
    """The same through layers that are put together."""

    def setup():
        return _run(infinite_width.serial(*layers, infinite_width.dense(1, **VARIANCES)).kernel, inputs())

    return setup


CONV, RELU = infinite_width.conv(1, padding="CIRCULAR", **VARIANCES), infinite_width.activation("relu")
BLOCK = infinite_width.residual(infinite_width.identity(), infinite_width.serial(RELU, CONV, RELU, CONV))


def _forms(name, inputs, peer, readout=None):
    options = {} if readout is None else {"readout": readout}
    layer = infinite_width.dense(1, **VARIANCES) if readout is None else CONV
    middle = [] if readout is None else [getattr(infinite_width, readout)()]
    forms = {
        "ours": _library(name, inputs, **options),
        "ours, as a network": _network([*[layer, RELU] * 3, *middle], inputs),
        "neural-tangents": f"tangents.{peer}",
    }
    if readout != "flatten":  # there the plain recursion, on all pairs of pixels, needs tens of gigabytes
        forms["naive JAX"] = _library(f"{name}_reference", inputs, **options)
    return forms


DENSE = _forms("kernel_matrix", _dense, "dense")
FLATTEN = _forms("convolutional_kernel_matrix", _images, "flatten", readout="flatten")
POOL = _forms("convolutional_kernel_matrix", _few_images, "pool", readout="pool")
RESIDUAL = {
    "ours": _network([CONV, BLOCK, BLOCK, RELU, infinite_width.flatten()], _images),
    "neural-tangents": "tangents.residual",
}
LOCAL = {
    "ours": _network([CONV, RELU, infinite_width.pool(2), CONV, RELU, infinite_width.flatten()], _few_images),
    "neural-tangents": "tangents.local",
}
