"""Train one model or many: compiled once, with a progress bar, divergence checks and checkpoints."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Key, PyTree

from deepphenomena.runtime import progress, threads
from deepphenomena.runtime.errors import InputError
from deepphenomena.training import checkpoints, placement
from deepphenomena.training.identity import described, program_digest
from deepphenomena.training.labels import Grid
from deepphenomena.training.scan import (
    BatchFunction,
    Epochs,
    Loss,
    Optimizer,
    Recording,
    State,
    advance,
    begin,
    shuffled,
    split,
)
from deepphenomena.training.trained import LOSS, Trained

CHECKPOINT_SECONDS = 60.0  # between two checkpoints
LONGEST_SEGMENT = 200  # steps of one call; between two calls a checkpoint can be written


def train(
    loss: Loss,
    parameters: PyTree,
    data: PyTree = None,
    members: Grid | None = None,
    *,
    optimizer: Optimizer,
    steps: int | Int[np.ndarray, " members"],
    key: Key[jax.Array, ""] | None = None,
    batch_fn: BatchFunction | Epochs | None = None,
    recording: Recording | None = None,
    stop_above: float = math.inf,
    checkpoint: Path | None = None,
    description: str | None = "training",
) -> Trained:
    """Train one model, or one member for each combination of seeds and hyperparameters.

        members = training.grid(seed=range(5), learning_rate=[0.1, 1.0])
        network, initial = nets.ensemble(build, members.keys())
        optimizer = training.tunable(optax.sgd, learning_rate=members["learning_rate"])
        trained = training.train(loss, initial, data, members, optimizer=optimizer, steps=100)

    The program is compiled once for all members and all values of the hyperparameters. Later calls with the same
    function objects reuse it.

    Args:
        loss: `loss(parameters, batch)`, returns a scalar.
        parameters: initial parameters; with members, every leaf has a leading axis of members.
        data: a pytree passed to `batch_fn`. Without `batch_fn`, it is the batch of every step.
        members: the labels of the members; None trains one model.
        optimizer: an Optax transformation, or `tunable(make, learning_rate=...)` with one value per member.
        steps: number of updates, one number or one for each member.
        key: random key of the batches of one model. Members use their seeds, `members.keys()`.
        batch_fn: `batch_fn(key, step, data)`, returns the batch of a step; or `Epochs(batch_size)`.
        recording: what to evaluate during training, and how often.
        stop_above: a member whose loss exceeds this value or is NaN has diverged and stops.
        checkpoint: a folder. Call again with the same arguments to resume a killed run; the result is bit-identical.
        description: the progress bar's name; None for no bar.

    Raises:
        InputError: a batch size that does not fit the data, a missing key, steps below 1, arrays without one value per
            member, or a checkpoint folder of another training.

    Example:
        >>> members = training.grid(seed=[0], learning_rate=[0.5, 1.0])
        >>> optimizer = training.tunable(optax.sgd, learning_rate=members["learning_rate"])
        >>> bowl = lambda parameters, _: 0.5 * parameters**2
        >>> training.train(bowl, jnp.ones(2), None, members, optimizer=optimizer, steps=2).losses.tolist()
        [[0.5, 0.125], [0.5, 0.0]]
    """
    if members is None:
        alone = _one(parameters, optimizer)
        keys = None if key is None else key[None]
    else:
        alone = None
        if key is not None:
            raise InputError("members take their keys from the axis 'seed'; leave key out")
        keys = members.keys() if "seed" in members.axes else None
    trained = _train_members(
        loss, *(alone or (parameters, optimizer)), data, len(members) if members is not None else 1,
        steps=steps, keys=keys, batch_fn=batch_fn, recording=recording or Recording(), stop_above=stop_above,
        checkpoint=checkpoint, description=description,
    )  # fmt: skip
    if members is not None:
        return trained._replace(members=members)
    first = functools.partial(jax.tree.map, lambda leaf: leaf[0])
    return Trained(
        first(trained.parameters),
        trained.losses[0],
        trained.recorded,
        first(trained.metrics),
        trained.steps[0],
        trained.diverged[0],
    )


def _one(parameters: PyTree, optimizer: Optimizer) -> tuple[PyTree, Optimizer]:
    """Return one model as an ensemble with one member."""
    lead = functools.partial(jax.tree.map, lambda leaf: jnp.asarray(leaf)[None])
    make, values = split(optimizer)
    return lead(parameters), type(optimizer)(make, lead(values)) if values else optimizer


def _train_members(
    loss, parameters, optimizer, data, members, *,
    steps, keys, batch_fn, recording, stop_above, checkpoint, description,
) -> Trained:  # fmt: skip
    make, values = split(optimizer)
    values = {name: jnp.broadcast_to(value, members) if value.ndim == 0 else value for name, value in values.items()}
    _check(parameters, members, steps, keys, values, batch_fn)
    samples = shuffled(batch_fn, data)
    limits = np.broadcast_to(np.asarray(steps, np.int32), members)
    interval = int(recording.every or limits.max())  # steps past a member's limit are skipped
    segments = math.ceil(interval / LONGEST_SEGMENT)  # of an interval
    length = math.ceil(interval / segments)
    keys = jax.random.split(jax.random.key(0), members) if keys is None else keys

    batched = placement.side_by_side(parameters, members)
    state, first = _begin_members(parameters, keys, values, recording, make, samples, batched)
    if LOSS in first:
        raise InputError(f"evaluate returns '{LOSS}', the name of the training loss; give it another name")
    rounds = math.ceil(limits.max() / interval)
    losses = np.full((members, rounds * interval), np.nan, np.float32)
    metrics = {name: np.full((members, rounds + 1), np.nan, np.float32) for name in first}
    for name, of_members in first.items():
        metrics[name][:, 0] = of_members

    of_one = (state, values, limits) if batched else (state[0], placement.take(values, 0), limits[0])
    traced = described((of_one[0], data, recording.held_out, *of_one[1:], stop_above))

    def identity():
        program = functools.partial(_one_segment, batched=batched, evaluate=recording.evaluate, loss=loss, make=make,
                                    batch_fn=batch_fn, length=length)  # fmt: skip
        numbers = (limits, interval, length, stop_above, values, jax.random.key_data(keys))
        return (
            (numbers, data, parameters, recording.held_out),
            np.frombuffer(bytes.fromhex(program_digest(program, traced)), np.uint8),
            np.frombuffer(jax.__version__.encode(), np.uint8),
        )

    store = checkpoints.Store(checkpoint, CHECKPOINT_SECONDS, identity)
    done, state, losses, metrics = store.restore((0, state, losses, metrics))
    with progress.bar(int(limits.sum()), description) as shown:
        for current in range(rounds * segments):
            begun, segment = divmod(current, segments)
            start, last = begun * interval, segment + 1 == segments
            here = slice(start + segment * length, start + (interval if last else (segment + 1) * length))
            chosen = _chosen(state, limits, start if last else here.stop)
            if current >= done and chosen.any():
                new_losses, now, state = _advance_members(
                    state, chosen, data, values, np.minimum(limits, here.stop), stop_above,
                    recording if last else Recording(), loss=loss, make=make, batch_fn=batch_fn, length=length,
                )  # fmt: skip
                losses[:, here] = new_losses[:, : here.stop - here.start]
                for name, of_members in now.items():
                    metrics[name][:, begun + 1] = of_members
                store.save((current + 1, state, losses, metrics), last=current + 1 == rounds * segments)
            shown.update(int(np.clip(limits - here.start, 0, here.stop - here.start).sum()))
    final = state if batched else placement.stack(state)
    return Trained(
        final.parameters,
        losses[:, : limits.max()],
        np.minimum(np.arange(rounds + 1) * interval, limits.max()),
        metrics,
        np.asarray(final.step),
        np.asarray(final.diverged),
    )


@functools.partial(jax.jit, static_argnames=("make", "samples", "batched"))
def begin_training(parameters, keys, values, *, batched, **program):
    """Return the state before the first step, of one member or, if `batched`, of all, with a leading axis."""
    one = functools.partial(begin, **program)
    return (jax.vmap(one) if batched else one)(parameters, keys, values)


@functools.partial(jax.jit, static_argnames=("evaluate", "batched"))
def evaluated(parameters, held_out, *, evaluate, batched):
    """Return the metrics of one member or of all. A separate program, shared by all segments and losses."""
    if evaluate is None:
        return {}
    return dict((jax.vmap(evaluate, (0, None)) if batched else evaluate)(parameters, held_out))


@functools.partial(jax.jit, donate_argnums=0, static_argnames=("loss", "make", "batch_fn", "length", "batched"))
def train_segment(state, data, values, limits, stop_above, *, batched, **program):
    """Take `length` steps of one member or, if `batched`, of all, with a leading axis."""
    segment = functools.partial(advance, **program)
    segment = jax.vmap(segment, (0, None, 0, 0, None)) if batched else segment
    return segment(state, data, values, limits, stop_above)


def _one_segment(state, data, held_out, values, limits, stop_above, *, batched, evaluate, **program):
    """Return all that a segment computes, from which the identity of a training is traced."""
    after = train_segment(state, data, values, limits, stop_above, batched=batched, **program)
    return after, evaluated(after[0].parameters, held_out, evaluate=evaluate, batched=batched)


def _begin_members(parameters, keys, values, recording, make, samples, batched):
    """Return (state, first metrics) of the members: one stacked state if they are batched, else a list of states."""

    def begun(parameters, key, values):
        state = begin_training(parameters, key, values, make=make, samples=samples, batched=batched)
        state = (
            placement.spread(state, len(keys)) if batched else state
        )  # the final sharding, so that later segments do not recompile
        return state, evaluated(state.parameters, recording.held_out, evaluate=recording.evaluate, batched=batched)

    if batched:
        return begun(parameters, keys, values)
    arguments = [(placement.take(parameters, k), keys[k], placement.take(values, k)) for k in range(len(keys))]
    members = threads.each(lambda of_member: begun(*of_member), arguments)
    return [state for state, _ in members], placement.stack([first for _, first in members])


def _chosen(state: State | list[State], limits: Int[np.ndarray, " members"], start: int) -> np.ndarray:
    """Return which members have steps left or, if they took their last ones after `start`, are still to be measured."""
    members = [state] if isinstance(state, State) else state
    step, diverged = (
        np.concatenate([np.atleast_1d(getattr(member, name)) for member in members]) for name in ("step", "diverged")
    )
    return ((step < limits) | (step > start)) & ~diverged


def _advance_members(state, chosen, data, values, limits, stop_above, recording, **program):
    """Return (losses (members, length), metrics (members,), state) after one segment of every chosen member."""

    def segment(state, values, limits, *, batched):
        state, losses = train_segment(state, data, values, limits, stop_above, batched=batched, **program)
        metrics = evaluated(state.parameters, recording.held_out, evaluate=recording.evaluate, batched=batched)
        return state, losses, metrics

    if isinstance(state, State):
        state, losses, now = segment(state, values, jnp.asarray(limits), batched=True)
        stopped = ~chosen | np.asarray(state.diverged)
        return losses, {name: np.where(stopped, np.nan, of_members) for name, of_members in now.items()}, state
    losses = np.full((len(state), program["length"]), np.nan, np.float32)
    metrics: dict[str, np.ndarray] = {}
    state, indices = list(state), np.flatnonzero(chosen)
    arguments = [(state[k], placement.take(values, k), limits[k]) for k in indices]
    trained = threads.each(lambda of_member: segment(*of_member, batched=False), arguments)
    for k, (after, of_member, now) in zip(indices, trained, strict=True):
        state[k], losses[k] = after, of_member
        for name, value in now.items():
            column = metrics.setdefault(name, np.full(len(state), np.nan, np.float32))
            column[k] = np.nan if after.diverged else value
    return losses, metrics, state


def _check(parameters, members, steps, keys, values, batch_fn) -> None:
    counts = {f"parameter leaf {i}": jnp.shape(leaf)[:1] for i, leaf in enumerate(jax.tree.leaves(parameters))}
    counts |= {f"hyperparameter '{name}'": of_members.shape[:1] for name, of_members in values.items()}
    counts |= {"steps": np.shape(steps)[:1]} if np.ndim(steps) else {}
    for thing, shape in counts.items():
        if shape != (members,):
            raise InputError(f"{thing} has leading axis {shape} for {members} members; give one value for each member")
    if np.min(steps) < 1:
        raise InputError(f"steps is {np.min(steps)}: a training takes 1 step or more")
    if batch_fn is not None and keys is None:
        raise InputError(
            "batch_fn draws at random: pass key=jax.random.key(seed), or make the members with grid(seed=...)"
        )
