"""Training: one compiled loop for one model or many, with measurements along the way, divergence and resume."""

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from deepphenomena.runtime import progress, threads
from deepphenomena.runtime.errors import InputError
from deepphenomena.training import checkpoints
from deepphenomena.training.loop import Member, begin, measured, train_segment

Loss = Callable[[PyTree, PyTree], Float[Array, ""]]
Measure = Callable[[PyTree, PyTree], Mapping[str, Float[Array, ""]]]
Draw = Callable[..., PyTree]

# On a CPU, members below this many parameters are trained side by side by vmap; larger ones fill the cores alone, and
# batching their weights only turns matrix products and convolutions into slower forms.
_SMALL_MEMBER = 4096


class Trained(NamedTuple):
    """What training leaves. With many members every array has a leading axis of members.

    Attributes:
        parameters: after each member's last step (of a diverged member: when it was stopped).
        losses: the loss at every step before its update, (steps,); NaN for steps not taken.
        recorded: the step numbers at which the metrics were measured, (records,); the first is 0.
        metrics: each measured quantity, (records,); NaN where a member had already stopped.
        steps: how many steps were taken.
        diverged: whether the loss passed `stop_above` or was NaN.
    """

    parameters: PyTree
    losses: np.ndarray
    recorded: np.ndarray
    metrics: dict[str, np.ndarray]
    steps: np.ndarray
    diverged: np.ndarray

    def last(self, name: str) -> np.ndarray:
        """A metric at each member's last record; NaN for a member that diverged."""
        values = self.metrics[name]
        last = np.max(np.where(np.isnan(values), 0, np.arange(values.shape[-1])), axis=-1, keepdims=True)
        return np.where(self.diverged, np.nan, np.take_along_axis(values, last, axis=-1)[..., 0])


def train(
    loss: Loss,
    parameters: PyTree,
    data: PyTree,
    *,
    optimizer: optax.GradientTransformation | Callable[..., optax.GradientTransformation],
    steps: int,
    key: Key[Array, ""] | None = None,
    hyperparameters: Mapping[str, float] | None = None,
    **options: Any,
) -> Trained:
    """Train one model. Arguments and errors as in `train_members`, without the axis of members."""
    lead = functools.partial(jax.tree.map, lambda leaf: jnp.asarray(leaf)[None])
    trained = train_members(
        loss,
        lead(parameters),
        data,
        optimizer=optimizer,
        steps=steps,
        keys=None if key is None else key[None],
        hyperparameters=lead(dict(hyperparameters or {})),
        **options,
    )
    first = functools.partial(jax.tree.map, lambda leaf: leaf[0])
    return Trained(
        first(trained.parameters),
        trained.losses[0],
        trained.recorded,
        first(trained.metrics),
        trained.steps[0],
        trained.diverged[0],
    )


def train_members(
    loss: Loss,
    parameters: PyTree,
    data: PyTree,
    *,
    optimizer: optax.GradientTransformation | Callable[..., optax.GradientTransformation],
    steps: int | Int[np.ndarray, " members"],
    keys: Key[Array, " members"] | None = None,
    hyperparameters: Mapping[str, Float[Array, " members"]] | None = None,
    batch_size: int | None = None,
    draw: Draw | None = None,
    source: PyTree = None,
    record_every: int | None = None,
    measure: Measure | None = None,
    held_out: PyTree = None,
    stop_above: float = math.inf,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 60.0,
    description: str | None = "training",
) -> Trained:
    """Train many models of one architecture on the same data: seeds and hyperparameters as a leading axis.

    The program is compiled once for all members and all values of the hyperparameters. Functions passed in are
    compiled once each as long as the same function object is passed again.

    Args:
        loss: `loss(parameters, batch)`, a scalar.
        parameters: initial parameters; every leaf has a leading axis of members.
        data: a pytree of arrays; a batch is the same pytree with leading axis `batch_size`, or all of it.
        optimizer: an Optax transformation, or a function that makes one from the hyperparameters, such as `optax.sgd`
            with `hyperparameters={"learning_rate": rates}`.
        steps: number of updates, one number or one for each member.
        keys: a random key for each member, needed where batches are drawn.
        hyperparameters: named arrays with one value per member, handed to `optimizer` by name.
        batch_size: samples per step, drawn without replacement within an epoch; None takes all samples at every step.
        draw: `draw(batch, source, step=step, key=key)`, what the step's loss is given instead of its batch: augmented
            images, fresh samples of a stream. `step` counts from 0 and `key` is new at every step.
        source: a pytree handed to `draw`.
        record_every: steps between two measurements; None measures only at the start and the end. It is also the length
            of the compiled program: trainings of different `steps` that share it share their program.
        measure: `measure(parameters, held_out)`, a dict of scalars.
        held_out: a pytree handed to `measure`.
        stop_above: a member whose loss passes this, or is NaN, has diverged and takes no more steps.
        checkpoint: a folder; a killed run called again with the same arguments goes on from it to the bit-identical
            end. Saved after a record, at most every `checkpoint_seconds`, and at the end unless that came soon.
        description: the progress bar's name; None for no bar.

    Raises:
        InputError: a batch size that the data cannot give, keys missing, steps below 1, members that disagree in
            number, or a checkpoint folder that holds another training.
    """
    hyperparameters = {name: jnp.asarray(values) for name, values in (hyperparameters or {}).items()}
    members, samples = _check(parameters, data, steps, keys, hyperparameters, batch_size, draw)
    limits = np.broadcast_to(np.asarray(steps, np.int32), members)
    length = int(record_every or limits.max())  # steps past a member's limit are skipped
    keys = jax.random.split(jax.random.key(0), members) if keys is None else keys

    batched = _side_by_side(parameters, members)
    state, first = _begin_members(
        parameters, keys, hyperparameters, held_out, optimizer, measure, samples if batch_size else 1, batched
    )
    rounds = math.ceil(limits.max() / length)
    losses = np.full((members, rounds * length), np.nan, np.float32)
    metrics = {name: np.full((members, rounds + 1), np.nan, np.float32) for name in first}
    for name, values in first.items():
        metrics[name][:, 0] = values

    identity = (limits, length, batch_size, hyperparameters, data, parameters, jax.random.key_data(keys), source)
    store = checkpoints.Store(checkpoint, checkpoint_seconds, identity)
    done, state, losses, metrics = store.restore((0, state, losses, metrics))
    with progress.bar(int(limits.sum()), description) as shown:
        shown.update(int(np.minimum(limits, done * length).sum()))
        for current in range(int(done), rounds):
            active = _active(state, limits)
            if not active.any():
                break
            new_losses, now, state = _advance(
                state, active, data, source, held_out, hyperparameters, limits, stop_above,
                loss=loss, optimizer=optimizer, measure=measure, batch_size=batch_size, draw=draw, length=length,
            )  # fmt: skip
            losses[:, current * length : (current + 1) * length] = new_losses
            for name, values in now.items():
                metrics[name][:, current + 1] = values
            shown.update(int(np.clip(limits[active] - current * length, 0, length).sum()))
            store.save((current + 1, state, losses, metrics), last=current + 1 == rounds)
    final = state if batched else _stack(state)
    return Trained(
        final.parameters,
        losses[:, : limits.max()],
        np.minimum(np.arange(rounds + 1) * length, limits.max()),
        metrics,
        np.asarray(final.step),
        np.asarray(final.diverged),
    )


def _side_by_side(parameters: PyTree, members: int) -> bool:
    """Whether members are batched into one program: on accelerators, on many devices, and where they are tiny."""
    if members > 1 and (jax.default_backend() != "cpu" or jax.device_count() > 1):
        return True
    size = sum(np.prod(jnp.shape(leaf)[1:], dtype=int) for leaf in jax.tree.leaves(parameters))
    return bool(members > 1 and size < _SMALL_MEMBER)


def _spread(state: Member, members: int) -> Member:
    """The members of a batched state spread evenly over as many devices as divide their number."""
    count = max(n for n in range(1, jax.device_count() + 1) if members % n == 0)
    mesh = jax.sharding.Mesh(jax.devices()[:count], ("members",))
    return jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("members")))


def _stack(trees: list[PyTree]) -> PyTree:
    """One tree with a leading axis of members; by NumPy, which has nothing to compile for every shape."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *trees)


def _take(tree: PyTree, k: int) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[k], tree)


def _begin_members(parameters, keys, hyperparameters, held_out, optimizer, measure, samples, batched):
    """(the members' state, their first measurements): one stacked state where they are batched, else a list."""

    def begun(parameters, key, hyperparameters):
        state = begin(parameters, key, hyperparameters, optimizer=optimizer, samples=samples, batched=batched)
        state = _spread(state, len(keys)) if batched else state  # as it will lie later: measured compiles but once
        return state, measured(state.parameters, held_out, measure=measure, batched=batched)

    if batched:
        return begun(parameters, keys, hyperparameters)
    arguments = [(_take(parameters, k), keys[k], _take(hyperparameters, k)) for k in range(len(keys))]
    members = threads.each(lambda of_member: begun(*of_member), arguments)
    return [state for state, _ in members], _stack([first for _, first in members])


def _active(state: Member | list[Member], limits: Int[np.ndarray, " members"]) -> np.ndarray:
    """Which members have steps left to take."""
    members = [state] if isinstance(state, Member) else state
    step, diverged = (
        np.concatenate([np.atleast_1d(getattr(m, name)) for m in members]) for name in ("step", "diverged")
    )
    return (step < limits) & ~diverged


def _advance(state, active, data, source, held_out, hyperparameters, limits, stop_above, *, measure, **program):
    """(losses (members, length), measurements (members,), state) after one segment of every active member."""

    def segment(state, hyperparameters, limits, *, batched):
        state, losses = train_segment(
            state, data, source, hyperparameters, limits, stop_above, batched=batched, **program
        )
        return state, losses, measured(state.parameters, held_out, measure=measure, batched=batched)

    if isinstance(state, Member):
        state, losses, now = segment(state, hyperparameters, jnp.asarray(limits), batched=True)
        stopped = ~active | np.asarray(state.diverged)
        return losses, {name: np.where(stopped, np.nan, values) for name, values in now.items()}, state
    losses = np.full((len(state), program["length"]), np.nan, np.float32)
    metrics: dict[str, np.ndarray] = {}
    state, chosen = list(state), np.flatnonzero(active)
    arguments = [(state[k], _take(hyperparameters, k), limits[k]) for k in chosen]
    trained = threads.each(lambda of_member: segment(*of_member, batched=False), arguments)
    for k, (after, of_member, now) in zip(chosen, trained, strict=True):
        state[k], losses[k] = after, of_member
        for name, value in now.items():
            column = metrics.setdefault(name, np.full(len(state), np.nan, np.float32))
            column[k] = np.nan if after.diverged else value
    return losses, metrics, state


def _check(parameters, data, steps, keys, hyperparameters, batch_size, draw) -> tuple[int, int]:
    """(members, samples), or InputError."""
    counts = {f"parameter leaf {i}": jnp.shape(leaf)[:1] for i, leaf in enumerate(jax.tree.leaves(parameters))}
    counts |= {f"hyperparameter '{name}'": values.shape[:1] for name, values in hyperparameters.items()}
    counts |= {"keys": keys.shape[:1]} if keys is not None else {}
    counts |= {"steps": np.shape(steps)[:1]} if np.ndim(steps) else {}
    (_, (members,)), *_ = counts.items()
    for thing, shape in counts.items():
        if shape != (members,):
            raise InputError(f"{thing} has leading axis {shape} for {members} members; give one value for each member")
    if np.min(steps) < 1:
        raise InputError(f"steps is {np.min(steps)}: a training takes 1 step or more")
    samples = min((len(leaf) for leaf in jax.tree.leaves(data) if jnp.ndim(leaf)), default=0)
    if batch_size is not None and not 1 <= batch_size <= samples:
        raise InputError(
            f"batch_size {batch_size} cannot be drawn from {samples} samples; give 1 to {samples}, or None"
        )
    if (batch_size is not None or draw is not None) and keys is None:
        raise InputError("batches are drawn at random, so every member needs a key; pass keys=jax.random.split(key, n)")
    return members, samples
