"""Networks as pure functions of their parameters, one or many."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Int, Key, PyTree

from deepphenomena.runtime.arrays import Array

Network = Callable[[PyTree, Array], Array]


def functional(model: nnx.Module, *, method: str = "__call__") -> tuple[Network, PyTree]:
    """A model as (network, parameters) with `network(parameters, x)` pure; every state of the model is a parameter.

    `method` names another method of the model for `network` to call, such as "layers" of a `Conv4`.
    """
    definition, parameters = nnx.split(model)
    return lambda parameters, x: getattr(nnx.merge(definition, parameters), method)(x), parameters


def ensemble(
    build: Callable[..., nnx.Module], keys: Sequence[Key[jax.Array, ""]] | Key[jax.Array, " members"]
) -> tuple[Network, PyTree]:
    """(network, parameters with a leading axis of members) of one model for each key, made by `build(key=key)`."""
    built = [functional(build(key=key)) for key in keys]
    return built[0][0], _stacked([parameters for _, parameters in built])


@jax.jit  # whole trees: leaf by leaf, every shape is a program of its own
def _stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def member(parameters: PyTree, k: int | Int[Array, "*chosen"]) -> PyTree:
    """Member k of parameters with a leading axis of members; an array of indices chooses several, with repetition."""
    return jax.tree.map(lambda leaf: leaf[k], parameters)
