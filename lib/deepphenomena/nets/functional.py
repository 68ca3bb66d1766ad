"""Networks as pure functions of their parameters: one network or an ensemble."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Int, Key, PyTree

from deepphenomena.runtime.arrays import Array

Network = Callable[[PyTree, Array], Array]


def functional(model: nnx.Module, *, method: str = "__call__") -> tuple[Network, PyTree]:
    """Return (network, parameters) of a model. `network(parameters, x)` is pure; all state is in the parameters.

    `method` is the method of the model that `network` calls, for example "layers" of a `Conv4`.

    Example:
        >>> model = nets.fully_connected([4, 8, 2], activation="relu", key=jax.random.key(0))
        >>> network, parameters = nets.functional(model)
        >>> network(parameters, jnp.ones((3, 4))).shape
        (3, 2)
    """
    definition, parameters = nnx.split(model)
    return lambda parameters, x: getattr(nnx.merge(definition, parameters), method)(x), parameters


def ensemble(
    build: Callable[..., nnx.Module], keys: Sequence[Key[jax.Array, ""]] | Key[jax.Array, " members"]
) -> tuple[Network, PyTree]:
    """Build one model per key with `build(key=key)`; return (network, parameters with a leading axis of members).

    Example:
        >>> build = lambda key: nets.fully_connected([4, 8, 2], activation="relu", key=key)
        >>> network, parameters = nets.ensemble(build, jax.random.split(jax.random.key(0), 5))
        >>> {leaf.shape[0] for leaf in jax.tree.leaves(parameters)}
        {5}
    """
    built = [functional(build(key=key)) for key in keys]
    return built[0][0], _stacked([parameters for _, parameters in built])


@jax.jit  # whole trees: otherwise each shape of a leaf is a separate program
def _stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def member(parameters: PyTree, k: int | Int[Array, "*chosen"]) -> PyTree:
    """Return member k of parameters with a leading axis of members, or several members for an array of indices.

    Example:
        >>> nets.member({"w": jnp.arange(6.0).reshape(3, 2)}, 1)["w"].tolist()
        [2.0, 3.0]
    """
    return jax.tree.map(lambda leaf: leaf[k], parameters)
