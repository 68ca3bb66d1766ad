"""Very deep networks of equal layers, with the memory of shallow ones."""

from collections.abc import Callable

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import PyTree

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


def deep_scan(
    layer: Callable[[PyTree, PyTree], PyTree],
    parameters: PyTree[Array],
    x: PyTree[Array],
    *,
    block: int | None = None,
) -> PyTree[Array]:
    """Apply a layer L times: `x = layer(parameters[l], x)` for l = 0..L−1.

    The layers run in blocks of B. Reverse-mode differentiation keeps only the input of each block and recomputes the
    block's activations when it needs them. L/B + B activations are alive instead of L: about 2√L with the default block
    (Chen et al. 2016, "Training deep nets with sublinear memory cost", Section 4). This costs one more forward pass.
    The program's size and compile time do not depend on L.

    Args:
        layer: a pure function of one layer's parameters and its input. Its output has the structure, shapes and dtypes
            of the input; an input of lower precision than the layer's output is promoted first.
        parameters: every leaf has a leading axis of L layers.
        x: the first layer's input.
        block: B, between 1 and L. The default is a divisor of L near √L, or √L rounded if there is none.

    Returns:
        The last layer's output.

    Raises:
        InputError: if the leaves of `parameters` do not share one leading axis, or block is out of range.

    Example:
        >>> float(kernels.deep_scan(lambda bias, x: x + bias, jnp.ones(100), jnp.zeros(())))
        100.0
    """
    lengths = {leaf.shape[0] if leaf.ndim else None for leaf in jax.tree.leaves(parameters)}
    if len(lengths) != 1 or None in lengths:
        raise InputError(
            f"parameters of a deep network whose leading axes are {sorted(map(str, lengths))}: every leaf needs one "
            "leading axis of the same number of layers; stack the layers' parameters."
        )
    layers = lengths.pop()
    size = _near_root(layers) if block is None else block
    if layers and not 1 <= size <= layers:
        raise InputError(f"block {block} of a network of {layers} layers: it must be between 1 and {layers}.")

    @jax.checkpoint
    def run_block(x, parameters):
        return lax.scan(lambda x, one: (layer(one, x), None), x, parameters)[0]

    if layers:  # as parameters in float64 make of an input in float32
        made = jax.eval_shape(
            lambda parameters, x: layer(jax.tree.map(lambda leaf: leaf[0], parameters), x), parameters, x
        )
        x = jax.tree.map(lambda leaf, of: jnp.asarray(leaf, jnp.promote_types(leaf.dtype, of.dtype)), x, made)
    blocks, rest = divmod(layers, size)
    whole = jax.tree.map(lambda leaf: leaf[: blocks * size].reshape(blocks, size, *leaf.shape[1:]), parameters)
    x = lax.scan(lambda x, some: (run_block(x, some), None), x, whole)[0]
    return run_block(x, jax.tree.map(lambda leaf: leaf[blocks * size :], parameters)) if rest else x


def _near_root(layers: int) -> int:
    """Return a divisor within a factor of 3/2 of the root, because a remainder costs a copy of the parameters."""
    root = max(1, round(layers**0.5))
    near = [size for size in range(1, layers + 1) if layers % size == 0 and 2 * root <= 3 * size <= 4.5 * root]
    return min(near, key=lambda size: abs(size - root), default=root)
