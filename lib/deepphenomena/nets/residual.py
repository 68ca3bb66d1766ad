"""Residual networks of any width and depth, with ReLU after the addition, of dense layers or of convolutions.

    model = residual("dense", shape=(8, 8, 3), width=256, blocks=12)(jax.random.key(0))
    outputs, layers = model.layers(x)  # the output of every block, by its name

A block is relu(shortcut(x) + norm(second(relu(norm(first(x)))))). Without skip connections it is two plain layers.

Source: He et al. 2016, "Deep residual learning for image recognition", Figure 2.
"""

import math
from collections.abc import Callable, Sequence

import jax
from flax import nnx
from jax import numpy as jnp
from jaxtyping import Float, Key, PyTree

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.initializers import he_normal, lecun_normal
from deepphenomena.nets.layers import BatchNorm
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown

Layers = dict[str, Array]


def residual(
    architecture: str, *, shape: Sequence[int], width: int, blocks: int, outputs: int = 10, skip: bool = True
) -> Callable[[Key[jax.Array, ""]], "ResidualMLP | ResidualCNN"]:
    """Return `build(key)` of a residual network, "dense" or "convolutional".

    Args:
        architecture: of `ResidualMLP` or `ResidualCNN`.
        shape: (height, width, channels) of an image.
        width: units of a layer, or channels of the first stage.
        blocks: residual blocks of two layers each.
        outputs: of the head.
        skip: whether blocks have skip connections.

    Raises:
        InputError: an unknown architecture; blocks of a convolutional network that three stages cannot share.

    Example:
        >>> build = residual("dense", shape=(2, 2, 3), width=8, blocks=3)
        >>> outputs, layers = build(jax.random.key(0)).layers(jnp.ones((4, 2, 2, 3)))
        >>> outputs.shape, list(layers), layers["block 3"].shape
        ((4, 10), ['block 1', 'block 2', 'block 3'], (4, 8))
    """
    options = {"width": width, "blocks": blocks, "outputs": outputs, "skip": skip}
    if architecture == "dense":
        return lambda key: ResidualMLP(inputs=math.prod(shape), **options, key=key)
    if architecture != "convolutional":
        raise unknown("architecture", architecture, ["dense", "convolutional"])
    if blocks % 3:
        raise InputError(f"{blocks} blocks of a convolutional network: give a multiple of its 3 stages.")
    return lambda key: ResidualCNN(channels=shape[-1], **options, key=key)


class ResidualMLP(nnx.Module):
    """Dense layers of one width, on flattened images. The weights of all blocks are stacked, which compiles quickly."""

    def __init__(
        self, *, inputs: int, width: int, blocks: int, outputs: int = 10, skip: bool = True, key: Key[jax.Array, ""]
    ):
        rngs = nnx.Rngs(params=key)
        self.stem = nnx.Linear(inputs, width, use_bias=False, kernel_init=he_normal(), rngs=rngs)
        self.stem_norm = BatchNorm(width)
        draw = jax.vmap(lambda key: he_normal()(key, (width, width)))
        self.kernels = nnx.Param(draw(jax.random.split(rngs.params(), 2 * blocks)).reshape(blocks, 2, width, width))
        self.scales, self.biases = nnx.Param(jnp.ones((blocks, 2, width))), nnx.Param(jnp.zeros((blocks, 2, width)))
        self.head = nnx.Linear(width, outputs, kernel_init=lecun_normal(), rngs=rngs)
        self.skip = skip

    def layers(self, x: Float[Array, "batch height width channels"]) -> tuple[Float[Array, "batch outputs"], Layers]:
        """Return the outputs, and the output of every block."""

        def block(x, parameters):
            change = x
            for k, (kernel, scale, bias) in enumerate(zip(*parameters, strict=True)):
                change = _normalized(jax.nn.relu(change) if k else change, kernel, scale, bias)
            x = jax.nn.relu(x + change if self.skip else change)
            return x, x

        x = jax.nn.relu(self.stem_norm(self.stem(x.reshape(len(x), -1))))
        x, given = jax.lax.scan(block, x, (self.kernels[...], self.scales[...], self.biases[...]))
        return self.head(x), {f"block {i + 1}": layer for i, layer in enumerate(given)}

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        """Return the outputs."""
        return self.layers(x)[0]


class ResidualCNN(nnx.Module):
    """The network for CIFAR: three stages of `width`, 2 `width` and 4 `width` channels, and a mean over pixels.

    3 n blocks of width 16 are ResNet-(6 n + 2), with projected shortcuts between stages.

    Source: He et al. 2016, section 4.2.
    """

    def __init__(
        self, *, channels: int, width: int, blocks: int, outputs: int = 10, skip: bool = True, key: Key[jax.Array, ""]
    ):
        rngs = nnx.Rngs(params=key)
        self.stem, self.stem_norm = _convolution(channels, width, rngs=rngs), BatchNorm(width)
        made, given = [], width
        for place in range(blocks):
            stage, first = divmod(place, blocks // 3)[0], place % (blocks // 3) == 0
            made.append(Block(given, width * 2**stage, stride=2 if stage and first else 1, skip=skip, rngs=rngs))
            given = width * 2**stage
        self.blocks = nnx.List(made)
        self.head = nnx.Linear(given, outputs, kernel_init=lecun_normal(), rngs=rngs)

    def layers(self, x: Float[Array, "batch height width channels"]) -> tuple[Float[Array, "batch outputs"], Layers]:
        """Return the outputs, and the output of every block."""
        x, given = jax.nn.relu(self.stem_norm(self.stem(x))), {}
        for i, block in enumerate(self.blocks):
            x = given[f"block {i + 1}"] = block(x)
        return self.head(jnp.mean(x, (1, 2))), given

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        """Return the outputs."""
        return self.layers(x)[0]


class Block(nnx.Module):
    """A block of two 3×3 convolutions; the shortcut is projected if the shape changes."""

    def __init__(self, given: int, made: int, *, stride: int, skip: bool, rngs: nnx.Rngs):
        self.first = _convolution(given, made, stride=stride, rngs=rngs)
        self.second = _convolution(made, made, rngs=rngs)
        self.norms = nnx.List([BatchNorm(made), BatchNorm(made)])
        projected = skip and (stride > 1 or given != made)
        self.shortcut = _convolution(given, made, size=1, stride=stride, rngs=rngs) if projected else None
        self.shortcut_norm = BatchNorm(made) if projected else None
        self.skip = skip

    def __call__(self, x: Float[Array, "batch height width given"]) -> Float[Array, "batch rows columns made"]:
        change = self.norms[1](self.second(jax.nn.relu(self.norms[0](self.first(x)))))
        if not self.skip:
            return jax.nn.relu(change)
        return jax.nn.relu(change + (x if self.shortcut is None else self.shortcut_norm(self.shortcut(x))))


def without_block(parameters: PyTree, place: int) -> PyTree:
    """Return parameters of a network with skips in which one block, counted from 0, passes its shortcut on.

    The scale and the bias of the block's last normalization are 0, so that it adds nothing.

    Example:
        >>> build = residual("dense", shape=(1, 1, 3), width=4, blocks=2)
        >>> network, parameters = nets.functional(build(jax.random.key(0)))
        >>> x = jax.random.normal(jax.random.key(1), (5, 1, 1, 3))
        >>> bool(jnp.allclose(network(parameters, x), network(without_block(parameters, 1), x)))
        False
    """

    def changed(path, leaf):
        keys = [part.key for part in path if hasattr(part, "key")]
        if keys[0] in ("scales", "biases"):  # of all blocks of a ResidualMLP
            return leaf.at[place, 1].set(0)
        return jnp.zeros_like(leaf) if keys[:4] == ["blocks", place, "norms", 1] else leaf

    return jax.tree_util.tree_map_with_path(changed, parameters)


def _normalized(x, kernel, scale, bias):
    x = x @ kernel
    mean = x.mean(0)
    variance = ((x - mean) ** 2).mean(0)
    return (x - mean) * (scale * jax.lax.rsqrt(variance + 1e-5)) + bias


def _convolution(given: int, made: int, *, size: int = 3, stride: int = 1, rngs: nnx.Rngs) -> Conv:
    return Conv(given, made, (size, size), stride, use_bias=False, kernel_init=he_normal(), rngs=rngs)
