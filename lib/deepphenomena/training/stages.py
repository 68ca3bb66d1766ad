"""A training that stops at chosen steps to be looked at. Only the current parameters are held."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Key, PyTree

from deepphenomena.runtime import progress
from deepphenomena.runtime.errors import InputError, shown
from deepphenomena.training import driver, placement
from deepphenomena.training.labels import Grid
from deepphenomena.training.scan import BatchFunction, Epochs, Loss, Optimizer, Recording, State, shuffled, split


class Stage(NamedTuple):
    """Parameters at one step of a training; with members, every leaf has a leading axis of members.

    Example:
        >>> Stage(0, jnp.ones(2)).step
        0
    """

    step: int
    parameters: PyTree


def stages(
    loss: Loss,
    parameters: PyTree,
    data: PyTree = None,
    members: Grid | None = None,
    *,
    optimizer: Optimizer,
    at: Sequence[int],
    key: Key[jax.Array, ""] | None = None,
    batch_fn: BatchFunction | Epochs | None = None,
    description: str | None = "training",
) -> Iterator[Stage]:
    """Train one model or one for each member, and yield the parameters at chosen steps.

        for step, parameters in stages(loss, initial, data, members, optimizer=sgd, at=[0, 100, 400]):
            seen[step] = activations.collect(watched, parameters, images, members=True)

    The steps are those of `training.train` with the same arguments, up to the rounding of another program. The program
    is compiled for the largest common divisor of the distances between the chosen steps: choose round numbers.

    Args:
        loss, parameters, data, members, optimizer, key, batch_fn, description: as in `training.train`.
        at: steps, ascending, 0 for the initial parameters. The training ends at the last one.

    Raises:
        InputError: as `training.train`; no steps, or steps that do not ascend from 0 or more.

    Example:
        >>> bowl = lambda w, _: 0.5 * w**2
        >>> found = stages(bowl, jnp.float32(1), optimizer=optax.sgd(0.5), at=[0, 2], description=None)
        >>> [(stage.step, float(stage.parameters)) for stage in found]
        [(0, 1.0), (2, 0.25)]
    """
    at = [int(step) for step in at]
    if not at or at[0] < 0 or any(one >= other for one, other in itertools.pairwise(at)):
        raise InputError(f"steps {shown(at)}: give ascending whole numbers from 0, for example [0, 100, 400].")
    if members is None:
        parameters, optimizer = driver._one(parameters, optimizer)
        keys, count = (None if key is None else key[None]), 1
    else:
        if key is not None:
            raise InputError("members take their keys from the axis 'seed'; leave key out")
        keys, count = (members.keys() if "seed" in members.axes else None), len(members)
    make, values = split(optimizer)
    values = {name: np.broadcast_to(value, count) if value.ndim == 0 else value for name, value in values.items()}
    driver._check(parameters, count, max(at[-1], 1), keys, values, batch_fn)
    return _walk(loss, parameters, data, values, make, at, keys, batch_fn, description, alone=members is None)


def _walk(loss, parameters, data, values, make, at, keys, batch_fn, description, *, alone) -> Iterator[Stage]:
    count = jax.tree.leaves(parameters)[0].shape[0]
    keys = jax.random.split(jax.random.key(0), count) if keys is None else keys
    batched = placement.side_by_side(parameters, count)
    samples = shuffled(batch_fn, data)
    state, _ = driver._begin_members(parameters, keys, values, Recording(), make, samples, batched)
    distances = [b - a for a, b in itertools.pairwise([0, *at]) if b > a]
    length = math.gcd(*distances) if distances else 1
    length = next(n for n in range(min(length, driver.LONGEST_SEGMENT), 0, -1) if length % n == 0)
    program = {"loss": loss, "make": make, "batch_fn": batch_fn, "length": length}
    everyone, taken = np.ones(count, bool), 0
    with progress.bar(count * at[-1], description) as bar:
        for step in at:
            while taken < step:
                taken += length
                limits = np.full(count, taken, np.int32)
                *_, state = driver._advance_members(
                    state, everyone, data, values, limits, np.inf, Recording(), **program
                )
                bar.update(count * length)
            held = (state if isinstance(state, State) else placement.stack(state)).parameters
            # A copy, because the next steps reuse the memory of the state.
            yield Stage(step, jax.tree.map(lambda leaf: (leaf[0] if alone else leaf).copy(), held))
