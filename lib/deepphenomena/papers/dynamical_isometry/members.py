"""Networks of labelled members, their accuracy, and tables of several quantities."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import pandas as pd
from flax import nnx
from jaxtyping import PyTree

from deepphenomena import nets
from deepphenomena.nets.functional import Network
from deepphenomena.runtime.arrays import Array
from deepphenomena.training.labels import Grid


def networks(members: Grid, build: Callable[..., nnx.Module]) -> tuple[Network, PyTree]:
    """(network, initial parameters of every member), the models made by `build` from the labels of the members.

    Args:
        members: the grid; all of its models have one architecture.
        build: called by keyword with the labels of a member.

    Example:
        >>> from deepphenomena import training
        >>> build = lambda seed: nets.fully_connected([3, 2], activation="relu", key=jax.random.key(seed))
        >>> network, initial = networks(training.grid(seed=[0, 1, 2]), build)
        >>> network(nets.member(initial, 0), jnp.ones((5, 3))).shape
        (5, 2)
    """
    first = dict(zip(members.axes, members.rows[0], strict=True))
    network, _ = nets.functional(nnx.eval_shape(lambda: build(**first)))
    return network, members.stack(lambda **labels: nets.functional(build(**labels))[1])


def accuracy_in_parts(network: Network, data: Mapping[str, Array], size: int = 50) -> Callable[[PyTree], Array]:
    """`accuracy(parameters)` on `data["x"]` and `data["y"]`, in parts of a few images, which stay in the cache.

    Args:
        network: `network(parameters, images)`, the logits.
        data: images "x" and labels "y"; more than `size` images are a multiple of it.
        size: images in a part.

    Example:
        >>> data = {"x": jnp.eye(4), "y": jnp.array([0, 1, 2, 0])}
        >>> float(accuracy_in_parts(lambda scale, x: scale * x, data, size=2)(1.0))
        0.75
    """
    parts = data["x"].reshape(-1, min(size, len(data["x"])), *data["x"].shape[1:])

    @jax.jit
    def accuracy(parameters):
        logits = jax.lax.map(functools.partial(network, parameters), parts)
        return jnp.mean(jnp.argmax(logits, -1).ravel() == data["y"])

    return accuracy


def stacked(sources: Mapping[str, pd.DataFrame], *kept: str, **names: str) -> dict[str, pd.DataFrame]:
    """Each table with some of its columns below each other, as a figure of several quantities takes them.

    Args:
        sources: {title: table}.
        kept: columns that stay.
        names: what to call each of the columns that come below each other.

    Returns:
        Tables of the columns `kept`, "column" (the name) and "value".

    Example:
        >>> table = pd.DataFrame({"depth": [1, 2], "low": [3, 4], "high": [5, 6]})
        >>> stacked({"": table}, "depth", low="lowest", high="highest")[""].values.tolist()
        [[1, 'lowest', 3], [2, 'lowest', 4], [1, 'highest', 5], [2, 'highest', 6]]
    """
    return {
        title: table.rename(columns=names).melt(list(kept), list(names.values()), var_name="column", value_name="value")
        for title, table in sources.items()
    }
