"""Where the members of a training lie: stacked in one program, or each by itself."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from deepphenomena.training.scan import State

# On a CPU, members with fewer parameters than this are trained together with vmap. Larger members use all cores on
# their own, and batching their weights makes matrix products and convolutions slower.
_SMALL_MEMBER = 4096


def side_by_side(parameters: PyTree, members: int) -> bool:
    """Return whether to batch members into one program: on accelerators, on several devices, or if they are tiny."""
    if members > 1 and (jax.default_backend() != "cpu" or jax.device_count() > 1):
        return True
    size = sum(np.prod(jnp.shape(leaf)[1:], dtype=int) for leaf in jax.tree.leaves(parameters))
    return bool(members > 1 and size < _SMALL_MEMBER)


def spread(state: State, members: int) -> State:
    """Spread the members of a batched state evenly over devices: the most that divide the number of members."""
    count = max(n for n in range(1, jax.device_count() + 1) if members % n == 0)
    mesh = jax.sharding.Mesh(jax.devices()[:count], ("members",))
    return jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("members")))


def stack(trees: list[PyTree]) -> PyTree:
    """Stack trees on a leading axis of members, with NumPy, which does not compile a program for each shape."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *trees)


def take(tree: PyTree, k: int | np.integer) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[k], tree)
