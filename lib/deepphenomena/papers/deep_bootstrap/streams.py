"""Which samples a training shows: the numbers of the test set, the training set and the stream, and their digests."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Key, UInt32

from deepphenomena.generators import Generator, Samples, digests
from deepphenomena.runtime.arrays import Array

_BLOCK = 500  # samples drawn together


class Stream(NamedTuple):
    """Which numbers of a generator's sequence are whose: the test's, the Ideal World's, the Real World's."""

    test: range
    ideal: range
    real: range


def stream(*, samples: int, steps: int, batch_size: int, test_samples: int) -> Stream:
    """Disjoint ranges of sample numbers; those of the test and of the Ideal World do not depend on n."""
    end = test_samples + steps * batch_size
    return Stream(range(test_samples), range(test_samples, end), range(end, end + samples))


def ideal_batch(
    generator: Generator,
    first: int | Int[Array, ""],
    step: int | Int[Array, ""],
    batch_size: int,
    *,
    key: Key[jax.Array, ""],
) -> Samples:
    """What the Ideal World is given at a step, before augmentation: the next `batch_size` numbers."""
    return generator(first + step * batch_size + jnp.arange(batch_size), key=key)


def shown(
    generator: Generator, *, samples: int, steps: int, batch_size: int, test_samples: int, key: Key[jax.Array, ""]
) -> dict[str, UInt32[np.ndarray, "images 2"]]:
    """A digest of every image that a training of these sizes and key shows: of "real", "ideal" and "test".

    The Ideal World's stream is drawn again, by the very function that the training draws it with.
    """
    numbers = stream(samples=samples, steps=steps, batch_size=batch_size, test_samples=test_samples)
    draw_key, _ = jax.random.split(key)
    ideal = _ideal_digests(generator, numbers.ideal.start, draw_key, steps=steps, batch_size=batch_size)
    sets = {name: drawn(generator, getattr(numbers, name), draw_key).images for name in ("real", "test")}
    return {name: np.asarray(digests(images)) for name, images in sets.items()} | {"ideal": np.asarray(ideal)}


@functools.partial(jax.jit, static_argnames=("steps", "batch_size"))
def _ideal_digests(generator: Generator, first, key, *, steps, batch_size):
    def of(step):
        return digests(ideal_batch(generator, first, step, batch_size, key=key).images)

    return jax.lax.map(of, jnp.arange(steps)).reshape(-1, 2)


def drawn(generator: Generator, numbers: range, key) -> Samples:
    """These samples, in blocks of one size, so that sets of any size share one compiled program."""
    starts = range(numbers.start, numbers.stop, _BLOCK)
    blocks = [_block(generator, start, key) for start in starts]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[: len(numbers)], *blocks)


@jax.jit
def _block(generator: Generator, start, key) -> Samples:
    return generator(start + jnp.arange(_BLOCK), key=key)
