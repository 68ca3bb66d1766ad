"""Networks pretrained on photographs: the weights that ship with the book, and a network made for its first filters.

The weights lie in `sources/`, in half precision, with their provenance in `sources/sources.json`.
`data/make_sources.py` makes them again.
"""

import functools
import hashlib
import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Key, PyTree

from deepphenomena.nets.cnn import cbr_block
from deepphenomena.nets.staged import Staged, staged
from deepphenomena.papers.transfusion import starts
from deepphenomena.runtime.errors import InputError

FOLDER = Path(__file__).with_name("sources")
FILTERS = "64-filters"  # the name of the network that `many_filters` builds
SHA256 = {
    "cbr-tiny/8": "7d5ef59f973cf4758472a78081fab46a31f92165b67ced5cf33b3b1c0857cc95",
    "cbr-tiny/4": "6914804d9798213fc35c9ec01df6889f667d8ba50431aaaf8966d6432ad39cbd",
    "resnet-18/8": "aa6c920ca8ed6dbac5aad14b49343f91cb803e4ef7f81a5b464331a59fc395b1",
    FILTERS: "36dc61953329f4e7615f57c3bdb8cc86e8c092ab911ffdf1bf867ddb367018db",
}


def many_filters(channels: int, outputs: int, *, key: Key[jax.Array, ""]) -> Staged:
    """Return a small CBR network with 64 first filters of 7 x 7 pixels, enough to say something about filters.

    The paper's CBR networks have 32 or 64 first filters; the blocks above have 8, 16 and 32 channels here.
    """
    block = functools.partial(cbr_block, kernel=7)
    return staged(block, (64, 8, 16, 32), channels=channels, outputs=outputs, key=key)


def shipped(name: str, like: PyTree) -> PyTree:
    """Return the pretrained parameters of a network.

    Args:
        name: a key of `SHA256`.
        like: parameters of that network, for their structure and shapes.

    Raises:
        InputError: no weights of that name, a damaged file, or a tensor of another shape.

    Example:
        >>> from deepphenomena import nets
        >>> _, fresh = nets.functional(nets.network("cbr-tiny/8", (24, 24, 3), 10, key=jax.random.key(0)))
        >>> pretrained = shipped("cbr-tiny/8", fresh)
        >>> jax.tree.structure(pretrained) == jax.tree.structure(fresh)
        True
    """
    if name not in SHA256:
        known = ", ".join(sorted(SHA256))
        raise InputError(
            f"pretrained weights of '{name}': the book ships those of {known}; give pretraining_steps to train others"
        )
    file = FOLDER / f"{name.replace('/', '-')}.npz"
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise InputError(f"pretrained weights in {file}: the file is damaged; run `git checkout {file}`")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        held = {key: archive[key] for key in archive.files}
    return starts.named(like, {key: jnp.asarray(values, jnp.float32) for key, values in held.items()})


def packed(parameters: PyTree) -> bytes:
    """Return the content of a file for `shipped`: every tensor by name, in half precision."""
    buffer = io.BytesIO()
    leaves = dict(starts.names(parameters))
    np.savez(buffer, **{name: np.asarray(leaf, np.float16) for name, leaf in leaves.items()})
    return buffer.getvalue()
