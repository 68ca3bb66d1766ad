"""Plain convolutional networks: Myrtle-5, and the CBR family of transfer learning."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Key

from deepphenomena.nets.convolution import Conv
from deepphenomena.nets.initializers import he_uniform, lecun_uniform
from deepphenomena.nets.layers import BatchNorm, ConvolutionBlock, max_pool_2x2


def cnn(
    shape: Sequence[int], *, width: int, outputs: int, batch_norm: bool = True, key: Key[jax.Array, ""]
) -> nnx.Sequential:
    """Return Myrtle-5: 3×3 convolutions to c, 2c, 4c, 8c channels (c is `width`), pooling between them, and a readout.

    Source: Page 2018, "How to train your ResNet"; the mCNN of Nakkiran et al. 2020.
    """
    rngs = nnx.Rngs(params=key)
    layers: list[Callable] = []
    widths = [shape[-1], width, 2 * width, 4 * width, 8 * width]
    for i, (given, made) in enumerate(itertools.pairwise(widths)):
        layers.append(Conv(given, made, (3, 3), use_bias=not batch_norm, kernel_init=he_uniform(), rngs=rngs))
        layers += [BatchNorm(made)] if batch_norm else []
        layers += [jax.nn.relu] if i == 0 else [jax.nn.relu, max_pool_2x2] if i < 3 else [jax.nn.relu]
    readout = nnx.Linear(8 * width, outputs, kernel_init=lecun_uniform(), rngs=rngs)
    return nnx.Sequential(*layers, lambda x: jnp.max(x, (1, 2)), readout)


def cbr_block(i: int, given: int, width: int, *, kernel: int, rngs: nnx.Rngs) -> tuple[ConvolutionBlock, int]:
    """Return block i of a CBR network (convolution, batch normalization, ReLU, pooling) and its number of channels.

    Source: Raghu et al. 2019, "Transfusion: understanding transfer learning for medical imaging", appendix.
    """
    return ConvolutionBlock(given, width, kernel=kernel, pool=True, rngs=rngs), width
