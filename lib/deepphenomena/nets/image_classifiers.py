"""Classifiers of small images in the standard parameterisation: MLP, five-layer CNN, ResNet-18 and vision transformer.

Batch normalisation uses the batch at hand, in training and in testing alike, so that a network is a pure function of
its parameters; test it on batches of a few hundred images. A running average would lag behind early in training.
"""

import functools
import itertools
import math
import re
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from deepphenomena.nets.convolution import Conv
from deepphenomena.runtime import sampling
from deepphenomena.runtime.errors import InputError, unknown

_PATCH = 4  # the largest side of a vision transformer's patches, in pixels


def _uniform(gain: float) -> jax.nn.initializers.Initializer:
    """Weights of variance gain / fan in, uniform."""

    def init(key, shape, dtype=jnp.float32):
        bound = math.sqrt(3 * gain / math.prod(shape[:-1]))
        return sampling.uniform(key, shape, dtype, -bound, bound)

    return init


_he, _lecun = _uniform(2.0), _uniform(1.0)


class BatchNorm(nnx.Module):
    """y = scale · (x - mean) / √(variance + ε) + bias for each channel, moments over this batch (and its pixels).

    Source: Ioffe and Szegedy 2015, Algorithm 1, without the running averages.
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(x, axes)
        variance = jnp.mean((x - mean) ** 2, axes)
        return (x - mean) * (self.scale[...] * jax.lax.rsqrt(variance + 1e-5)) + self.bias[...]


def mlp(shape: Sequence[int], *, width: int, outputs: int, batch_norm: bool, key: Key[Array, ""]) -> nnx.Sequential:
    """Three hidden ReLU layers of `width` units, as the paper's mlp[2048, 2048, 2048]."""
    rngs = nnx.Rngs(params=key)
    height, columns, channels = shape
    layers: list[Callable] = [lambda x: x.reshape(x.shape[0], -1)]
    for inputs, units in itertools.pairwise([height * columns * channels, width, width, width]):
        layers.append(nnx.Linear(inputs, units, kernel_init=_he, rngs=rngs))
        layers += [BatchNorm(units)] if batch_norm else []
        layers.append(jax.nn.relu)
    return nnx.Sequential(*layers, nnx.Linear(width, outputs, kernel_init=_lecun, rngs=rngs))


def cnn(shape: Sequence[int], *, width: int, outputs: int, batch_norm: bool, key: Key[Array, ""]) -> nnx.Sequential:
    """Myrtle-5: 3×3 convolutions to c, 2c, 4c, 8c channels (c is `width`), halving between them, and a readout.

    Source: Page 2018, "How to train your ResNet"; the mCNN of Nakkiran et al. 2020.
    """
    rngs = nnx.Rngs(params=key)
    layers: list[Callable] = []
    widths = [shape[-1], width, 2 * width, 4 * width, 8 * width]
    for i, (given, made) in enumerate(itertools.pairwise(widths)):
        layers.append(Conv(given, made, (3, 3), use_bias=not batch_norm, kernel_init=_he, rngs=rngs))
        layers += [BatchNorm(made)] if batch_norm else []
        layers += [jax.nn.relu] if i == 0 else [jax.nn.relu, halved] if i < 3 else [jax.nn.relu]
    return nnx.Sequential(
        *layers, lambda x: jnp.max(x, (1, 2)), nnx.Linear(8 * width, outputs, kernel_init=_lecun, rngs=rngs)
    )


def halved(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """The maximum over each 2×2 window; an odd last row or column is left out."""
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2].reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.max(x, (2, 4))  # on a CPU much faster in the gradient than a reduce_window


class ResidualBlock(nnx.Module):
    """Pre-activation block: x + conv(relu(norm(conv(relu(norm(x)))))), the shortcut projected where shapes change.

    Source: He et al. 2016, "Identity mappings in deep residual networks", Figure 1b.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, batch_norm: bool, rngs: nnx.Rngs):
        def convolution(given, size, stride):
            return Conv(given, outputs, (size, size), stride, use_bias=not batch_norm, kernel_init=_he, rngs=rngs)

        self.first, self.second = convolution(inputs, 3, stride), convolution(outputs, 3, 1)
        self.shortcut = convolution(inputs, 1, stride) if stride > 1 or inputs != outputs else None
        self.norms = nnx.List([BatchNorm(inputs), BatchNorm(outputs)] if batch_norm else [lambda x: x] * 2)

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch rows columns outputs"]:
        active = jax.nn.relu(self.norms[0](x))
        change = self.second(jax.nn.relu(self.norms[1](self.first(active))))
        return (x if self.shortcut is None else self.shortcut(active)) + change


def resnet(shape: Sequence[int], *, width: int, outputs: int, batch_norm: bool, key: Key[Array, ""]) -> nnx.Sequential:
    """Pre-activation ResNet-18: four stages of two blocks with c, 2c, 4c, 8c channels, where c is `width`."""
    rngs = nnx.Rngs(params=key)
    layers: list[Callable] = [Conv(shape[-1], width, (3, 3), use_bias=not batch_norm, kernel_init=_he, rngs=rngs)]
    given = width
    for stage in range(4):
        for block in range(2):
            made, stride = width * 2**stage, 2 if stage and not block else 1
            layers.append(ResidualBlock(given, made, stride=stride, batch_norm=batch_norm, rngs=rngs))
            given = made
    layers += [BatchNorm(given)] if batch_norm else []
    return nnx.Sequential(
        *layers, jax.nn.relu, lambda x: jnp.mean(x, (1, 2)), nnx.Linear(given, outputs, kernel_init=_lecun, rngs=rngs)
    )


class TransformerBlock(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) with four times the width. Source: Dosovitskiy et al. 2020."""

    def __init__(self, width: int, *, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.norms = nnx.List([nnx.LayerNorm(width, rngs=rngs) for _ in range(2)])
        linear = functools.partial(nnx.Linear, kernel_init=_lecun, rngs=rngs)
        self.queries_keys_values, self.mix = linear(width, 3 * width), linear(width, width)
        self.widen, self.narrow = linear(width, 4 * width), linear(4 * width, width)

    def __call__(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        parts = self.queries_keys_values(self.norms[0](x)).reshape(*x.shape[:2], 3, self.heads, -1)
        attended = jax.nn.dot_product_attention(parts[:, :, 0], parts[:, :, 1], parts[:, :, 2])
        x = x + self.mix(attended.reshape(x.shape))
        return x + self.narrow(jax.nn.gelu(self.widen(self.norms[1](x))))


class VisionTransformer(nnx.Module):
    """Square patches, learned positions, four pre-norm blocks and a readout of the mean token."""

    def __init__(self, shape: Sequence[int], *, width: int, outputs: int, rngs: nnx.Rngs):
        height, columns, channels = shape
        self.patch = max(side for side in range(1, _PATCH + 1) if height % side == 0 and columns % side == 0)
        tokens = height * columns // self.patch**2
        self.embed = nnx.Linear(self.patch**2 * channels, width, kernel_init=_lecun, rngs=rngs)
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (tokens, width)))
        heads = max(count for count in (1, 2, 4) if width % count == 0)
        self.blocks = nnx.List([TransformerBlock(width, heads=heads, rngs=rngs) for _ in range(4)])
        self.norm, self.readout = (
            nnx.LayerNorm(width, rngs=rngs),
            nnx.Linear(width, outputs, kernel_init=_lecun, rngs=rngs),
        )

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        batch, height, columns, channels = x.shape
        side = self.patch
        patches = x.reshape(batch, height // side, side, columns // side, side, channels).swapaxes(2, 3)
        x = self.embed(patches.reshape(batch, -1, side * side * channels)) + self.positions[...]
        for block in self.blocks:
            x = block(x)
        return self.readout(jnp.mean(self.norm(x), 1))


def vit(shape: Sequence[int], *, width: int, outputs: int, batch_norm: bool, key: Key[Array, ""]) -> VisionTransformer:
    """A small vision transformer of `width` channels. It has layer norm; InputError without `batch_norm`."""
    if not batch_norm:
        raise InputError("vit has no batch norm to leave out; write vit-WIDTH")
    return VisionTransformer(shape, width=width, outputs=outputs, rngs=nnx.Rngs(params=key))


FAMILIES = {"mlp": mlp, "cnn": cnn, "resnet": resnet, "vit": vit}


def image_classifier(name: str, shape: Sequence[int], *, outputs: int = 10, key: Key[Array, ""]) -> nnx.Module:
    """A classifier by name, "family-width" or "family-width-plain": "mlp-256", "cnn-16", "resnet-8-plain", "vit-32".

    Args:
        name: the family (mlp, cnn, resnet, vit), its width (units, or channels of the first stage), and "plain" for a
            network without batch norm.
        shape: (height, width, channels) of an image.
        outputs: classes.
        key: draws the initial parameters.

    Raises:
        InputError: a name of another form, or an unknown family.
    """
    parts = re.fullmatch(r"([a-z]+)-([1-9]\d*)(-plain)?", name)
    if parts is None:
        raise InputError(f"network '{name}': a name is family-width or family-width-plain, such as mlp-256 or cnn-16")
    family, width, plain = parts.groups()
    if family not in FAMILIES:
        raise unknown("network family", family, FAMILIES)
    return FAMILIES[family](shape, width=int(width), outputs=outputs, batch_norm=not plain, key=key)
