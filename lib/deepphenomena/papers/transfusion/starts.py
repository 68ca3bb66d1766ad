"""Where a fine-tuning starts: fresh weights, pretrained ones, parts of them, or only their scale.

Every start is a pure function of two pytrees of parameters: `fresh`, a network as it was drawn, and `pretrained`, one
that was trained on another task. Parameters lie under `blocks` 0, 1, ... and `head`, as in `nets.staged.Staged`; the
head is fresh in every start, for the classes of the two tasks have nothing in common.

Source: Raghu, Zhang, Kleinberg and Bengio 2019, "Transfusion: understanding transfer learning for medical imaging",
Sections 4 and 5.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Key, PyTree

from deepphenomena.papers.transfusion import gabor
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


def transfer(fresh: PyTree, pretrained: PyTree) -> PyTree:
    """All but the head pretrained. InputError where a tensor's shapes differ."""
    return transfuse(fresh, pretrained, blocks=len(_blocks(fresh)))


def transfuse(fresh: PyTree, pretrained: PyTree, *, blocks: int) -> PyTree:
    """Weight transfusion: the lowest `blocks` blocks pretrained, whatever lies above them fresh.

    The networks may differ above: where `fresh` is narrower there, this is the paper's slim hybrid.

    Raises:
        InputError: more blocks than either network has, or a tensor in them whose shapes differ.
    """
    held = min(len(_blocks(fresh)), len(_blocks(pretrained)))
    if not 0 <= blocks <= held:
        raise InputError(f"transfusion of {blocks} blocks: the networks have {held} in common; give 0 to {held}")
    old = dict(names(pretrained))

    def of(path, leaf):
        if not _among(path, blocks):
            return leaf
        given = old.get(_name(path))
        if given is None or jnp.shape(given) != jnp.shape(leaf):
            shape = "none" if given is None else jnp.shape(given)
            raise InputError(
                f"transfusion into {_name(path)} of shape {jnp.shape(leaf)}: the pretrained network has {shape} there; "
                "transplant fewer blocks"
            )
        return given

    return jax.tree_util.tree_map_with_path(of, fresh)


@jax.jit
def mean_variance(fresh: PyTree, pretrained: PyTree, *, key: Key[jax.Array, ""]) -> PyTree:
    """Mean Var init: each tensor but the head's drawn from a normal law with the pretrained tensor's mean and variance.

    It keeps how weights are scaled in each layer and destroys every feature. Scales and biases of batch normalisation
    are tensors like others.

    Raises:
        InputError: where a tensor's shapes differ.
    """
    transferred = transfer(fresh, pretrained)
    leaves = [leaf for path, leaf in _paths(transferred) if _block(path) is not None]
    # One draw for all tensors: a key for each takes seconds to compile.
    noise = iter(jnp.split(jax.random.normal(key, (sum(leaf.size for leaf in leaves),)), _ends(leaves)))

    def of(path, leaf):
        if _block(path) is None:
            return leaf
        return jnp.mean(leaf) + jnp.std(leaf) * next(noise).reshape(leaf.shape).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(of, transferred)


def synthetic_gabor(fresh: PyTree, *, key: Key[jax.Array, ""]) -> PyTree:
    """Random Gabor functions as the first convolution, each grey, at the standard deviation of the fresh one.

    Source: Section 5 of the paper; `gabor.filters` says which functions.

    Raises:
        InputError: where the first block holds no kernel of more than one pixel.
    """
    first = next((p for p, leaf in _paths(fresh) if _block(p) == 0 and leaf.ndim == 4 and leaf.shape[0] > 1), None)
    if first is None:
        raise InputError("synthetic Gabor filters: block 0 of this network has no kernel of more than one pixel")

    def of(path, leaf):
        if path != first:
            return leaf
        drawn = gabor.filters(leaf.shape[:2], leaf.shape[-1], key=key)[:, :, None]
        drawn = jnp.broadcast_to(drawn, leaf.shape)
        return (drawn * jnp.std(leaf) / jnp.std(drawn)).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(of, fresh)


def first_kernel(parameters: PyTree) -> Array:
    """The first convolution's kernel, (*members, rows, columns, channels, filters).

    InputError where block 0 has no kernel.
    """
    for path, leaf in _paths(parameters):
        if _block(path) == 0 and _name(path).endswith("kernel"):
            return leaf
    raise InputError("this network has no kernel in block 0")


def gabor_fit(parameters: PyTree) -> float:
    """Return the mean R² of the best Gabor function for each first filter, as in `gabor.fit`."""
    return float(jnp.mean(gabor.fit(first_kernel(parameters))))


def names(tree: PyTree) -> list[tuple[str, Array]]:
    """Return every tensor with its name, such as "blocks/0/convolution/kernel"."""
    return [(_name(path), leaf) for path, leaf in _paths(tree)]


def named(like: PyTree, values: Mapping[str, Array]) -> PyTree:
    """Return tensors by name in the structure of `like`. InputError for a missing one or another shape."""

    def of(path, leaf):
        given = values.get(_name(path))
        if given is None or jnp.shape(given) != jnp.shape(leaf):
            shape = "none" if given is None else jnp.shape(given)
            raise InputError(f"{_name(path)} of shape {jnp.shape(leaf)}: the given weights have {shape} there")
        return given

    return jax.tree_util.tree_map_with_path(of, like)


def _paths(tree: PyTree) -> list[tuple[tuple, Array]]:
    return jax.tree_util.tree_flatten_with_path(tree)[0]


def _ends(leaves: list[Array]) -> list[int]:
    """Where each of these tensors ends in the concatenation of all, but for the last one."""
    ends, total = [], 0
    for leaf in leaves[:-1]:
        total += leaf.size
        ends.append(total)
    return ends


def _step(entry: Any) -> Any:
    """What one entry of a pytree's path says: a dictionary's key, a list's number, an attribute's name."""
    return next((getattr(entry, name) for name in ("key", "idx", "name") if hasattr(entry, name)), entry)


def _name(path: tuple) -> str:
    """Like "blocks/0/convolution/kernel"; Flax's own last entry, `value`, says nothing."""
    return "/".join(str(_step(entry)) for entry in path).removesuffix("/value")


def _block(path: tuple) -> int | None:
    """The number of the block that a parameter belongs to; None for the head's."""
    return int(_step(path[1])) if _step(path[0]) == "blocks" else None


def _among(path: tuple, blocks: int) -> bool:
    block = _block(path)
    return block is not None and block < blocks


def _blocks(tree: PyTree) -> set[int]:
    """The numbers of the blocks; InputError where there are none, or something besides them and a head."""
    tops = {str(_step(path[0])) for path, _ in _paths(tree)}
    if tops != {"blocks", "head"}:
        raise InputError(
            f"parameters under {', '.join(sorted(tops))}: a start needs 'blocks' and 'head', as cbr-tiny/8 has"
        )
    return {block for path, _ in _paths(tree) if (block := _block(path)) is not None}
