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
from deepphenomena.training import checkpoints
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

# On a CPU, members with fewer parameters than this are trained together with vmap. Larger members use all cores on
# their own, and batching their weights makes matrix products and convolutions slower.
_SMALL_MEMBER = 4096
CHECKPOINT_SECONDS = 60.0  # between two checkpoints


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
    length = int(recording.every or limits.max())  # steps past a member's limit are skipped
    keys = jax.random.split(jax.random.key(0), members) if keys is None else keys

    batched = _side_by_side(parameters, members)
    state, first = _begin_members(parameters, keys, values, recording, make, samples, batched)
    if LOSS in first:
        raise InputError(f"evaluate returns '{LOSS}', the name of the training loss; give it another name")
    rounds = math.ceil(limits.max() / length)
    losses = np.full((members, rounds * length), np.nan, np.float32)
    metrics = {name: np.full((members, rounds + 1), np.nan, np.float32) for name in first}
    for name, of_members in first.items():
        metrics[name][:, 0] = of_members

    of_one = (state, values, limits) if batched else (state[0], _take(values, 0), limits[0])
    traced = described((of_one[0], data, recording.held_out, *of_one[1:], stop_above))

    def identity():
        program = functools.partial(_one_segment, batched=batched, evaluate=recording.evaluate, loss=loss, make=make,
                                    batch_fn=batch_fn, length=length)  # fmt: skip
        arrays = (limits, length, stop_above, values, data, parameters, recording.held_out, jax.random.key_data(keys))
        return (
            arrays,
            np.frombuffer(bytes.fromhex(program_digest(program, *traced)), np.uint8),
            np.frombuffer(jax.__version__.encode(), np.uint8),
        )

    store = checkpoints.Store(checkpoint, CHECKPOINT_SECONDS, identity)
    done, state, losses, metrics = store.restore((0, state, losses, metrics))
    with progress.bar(int(limits.sum()), description) as shown:
        shown.update(int(np.minimum(limits, done * length).sum()))
        for current in range(int(done), rounds):
            active = _active(state, limits)
            if not active.any():
                break
            new_losses, now, state = _advance_members(
                state, active, data, values, limits, stop_above, recording,
                loss=loss, make=make, batch_fn=batch_fn, length=length,
            )  # fmt: skip
            losses[:, current * length : (current + 1) * length] = new_losses
            for name, of_members in now.items():
                metrics[name][:, current + 1] = of_members
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


def _side_by_side(parameters: PyTree, members: int) -> bool:
    """Return whether to batch members into one program: on accelerators, on several devices, or if they are tiny."""
    if members > 1 and (jax.default_backend() != "cpu" or jax.device_count() > 1):
        return True
    size = sum(np.prod(jnp.shape(leaf)[1:], dtype=int) for leaf in jax.tree.leaves(parameters))
    return bool(members > 1 and size < _SMALL_MEMBER)


def _spread(state: State, members: int) -> State:
    """Spread the members of a batched state evenly over devices: the most that divide the number of members."""
    count = max(n for n in range(1, jax.device_count() + 1) if members % n == 0)
    mesh = jax.sharding.Mesh(jax.devices()[:count], ("members",))
    return jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("members")))


def _stack(trees: list[PyTree]) -> PyTree:
    """Stack trees on a leading axis of members, with NumPy, which does not compile a program for each shape."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *trees)


def _take(tree: PyTree, k: int | np.integer) -> PyTree:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[k], tree)


def _begin_members(parameters, keys, values, recording, make, samples, batched):
    """Return (state, first metrics) of the members: one stacked state if they are batched, else a list of states."""

    def begun(parameters, key, values):
        state = begin_training(parameters, key, values, make=make, samples=samples, batched=batched)
        state = (
            _spread(state, len(keys)) if batched else state
        )  # the final sharding, so that later segments do not recompile
        return state, evaluated(state.parameters, recording.held_out, evaluate=recording.evaluate, batched=batched)

    if batched:
        return begun(parameters, keys, values)
    arguments = [(_take(parameters, k), keys[k], _take(values, k)) for k in range(len(keys))]
    members = threads.each(lambda of_member: begun(*of_member), arguments)
    return [state for state, _ in members], _stack([first for _, first in members])


def _active(state: State | list[State], limits: Int[np.ndarray, " members"]) -> np.ndarray:
    """Return which members have steps left."""
    members = [state] if isinstance(state, State) else state
    step, diverged = (
        np.concatenate([np.atleast_1d(getattr(member, name)) for member in members]) for name in ("step", "diverged")
    )
    return (step < limits) & ~diverged


def _advance_members(state, active, data, values, limits, stop_above, recording, **program):
    """Return (losses (members, length), metrics (members,), state) after one segment of every active member."""

    def segment(state, values, limits, *, batched):
        state, losses = train_segment(state, data, values, limits, stop_above, batched=batched, **program)
        metrics = evaluated(state.parameters, recording.held_out, evaluate=recording.evaluate, batched=batched)
        return state, losses, metrics

    if isinstance(state, State):
        state, losses, now = segment(state, values, jnp.asarray(limits), batched=True)
        stopped = ~active | np.asarray(state.diverged)
        return losses, {name: np.where(stopped, np.nan, of_members) for name, of_members in now.items()}, state
    losses = np.full((len(state), program["length"]), np.nan, np.float32)
    metrics: dict[str, np.ndarray] = {}
    state, chosen = list(state), np.flatnonzero(active)
    arguments = [(state[k], _take(values, k), limits[k]) for k in chosen]
    trained = threads.each(lambda of_member: segment(*of_member, batched=False), arguments)
    for k, (after, of_member, now) in zip(chosen, trained, strict=True):
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
