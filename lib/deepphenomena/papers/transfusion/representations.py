"""What the blocks of a network see, and how alike two networks see it."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import pandas as pd
from flax import nnx
from jaxtyping import Float, PyTree

from deepphenomena import similarity
from deepphenomena.nets.staged import Staged
from deepphenomena.runtime.arrays import Array


def observer(
    model: Staged, *, channels: int
) -> Callable[[PyTree, Float[Array, "n height width 3"]], Float[Array, "blocks observations channels"]]:
    """A compiled `observe(parameters, images)`: what every block gives, a variable for each channel.

    Each pixel of each image is an observation. Blocks with more pixels than the smallest are sampled at random down to
    its number, by one draw for all networks.

    Args:
        model: one of the architecture; its own parameters play no part.
        channels: variables are filled up to this number with silent ones, which SVCCA leaves out: one program then
            compares all blocks.
    """
    definition, _ = nnx.split(model)

    @jax.jit
    def observe(parameters, images):
        layers = nnx.merge(definition, parameters).layers(images)[:-1]
        flat = [layer.reshape(-1, layer.shape[-1]) for layer in layers]
        fewest = min(map(len, flat))
        rows = [jax.random.permutation(jax.random.key(0), len(layer))[:fewest] for layer in flat]
        kept = [layer[chosen] for layer, chosen in zip(flat, rows, strict=True)]
        return jnp.stack([jnp.pad(layer, ((0, 0), (0, channels - layer.shape[1]))) for layer in kept])

    return observe


def similarities(
    one: Float[Array, "blocks observations channels"], other: Float[Array, "blocks observations channels"]
) -> pd.Series:
    """SVCCA of two networks block by block, indexed by "block" from 1."""
    found = [float(similarity.svcca(x, y).similarity) for x, y in zip(one, other, strict=True)]
    return pd.Series(found, pd.RangeIndex(1, len(found) + 1, name="block"))


def comparer(
    models: Mapping[str, Staged],
) -> Callable[[str, PyTree, PyTree, Float[Array, "n height width 3"]], pd.Series]:
    """Return `alike(name, one, other, images)`: SVCCA of every block of two networks of one of the architectures.

    Args:
        models: one network of each architecture by name; their own parameters play no part.
    """
    channels = max(model.head.in_features for model in models.values())
    observe = {name: observer(model, channels=channels) for name, model in models.items()}

    def alike(name, one, other, images):
        return similarities(observe[name](one, images), observe[name](other, images))

    return alike
