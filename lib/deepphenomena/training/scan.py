"""Many steps of gradient descent as one pure function that works with jit, vmap and grad.

    trained = jax.vmap(lambda key: scan(loss, init(key), data, optimizer=optax.sgd(0.1), steps=100))(keys)

`training.train` runs the same steps in segments, with checkpoints, a progress bar and members that stop separately.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float, Int, Key, PyTree

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

Loss = Callable[[PyTree, PyTree], Float[Array, ""]]
Evaluate = Callable[[PyTree, PyTree], Mapping[str, Float[Array, ""]]]
BatchFunction = Callable[[Key[jax.Array, ""], Int[Array, ""], PyTree], PyTree]


@dataclasses.dataclass(frozen=True)
class Epochs:
    """A `batch_fn` that draws without replacement. Each epoch has its own order; a short last batch is dropped.

    Attributes:
        batch_size: samples per step.
        of: the key of the part of `data` to shuffle; None for all of it. Its leaves have the same leading axis.
        then: `then(key, step, batch, data)`, applied to every batch, for example to augment it or to add samples.

    Example:
        >>> total = lambda parameters, batch: jnp.sum(batch) + 0 * parameters
        >>> epochs, key = training.Epochs(4), jax.random.key(0)
        >>> trained = training.train(total, jnp.zeros(()), jnp.arange(8.0), optimizer=optax.sgd(0.1), steps=2, key=key,
        ...                          batch_fn=epochs)
        >>> float(trained.losses.sum())  # both batches of the epoch together
        28.0
    """

    batch_size: int
    of: Hashable = None
    then: Callable[[Key[jax.Array, ""], Int[Array, ""], PyTree, PyTree], PyTree] | None = None

    def part(self, data: PyTree) -> PyTree:
        """Return the part of `data` that is shuffled."""
        return data if self.of is None else data[self.of]

    def samples(self, data: PyTree) -> int:
        """Return the number of samples of an epoch. Raise InputError if they differ or do not fill a batch."""
        lengths = {jnp.shape(leaf)[0] for leaf in jax.tree.leaves(self.part(data)) if jnp.ndim(leaf)}
        if len(lengths) > 1:
            counts = ", ".join(map(str, sorted(lengths)))
            raise InputError(f"the data have {counts} samples: give every array the same number, as labels of images")
        samples = min(lengths, default=0)
        numbers.whole("batch_size", self.batch_size)
        if not 1 <= self.batch_size <= samples:
            raise InputError(f"batch_size {self.batch_size} does not fit {samples} samples; give 1 to {samples}")
        return samples


class Recording(NamedTuple):
    """What to measure during a training, and how often.

    Attributes:
        evaluate: `evaluate(parameters, held_out)`, returns a dict of scalars.
        held_out: a pytree passed to `evaluate`.
        every: steps between two evaluations; None evaluates only at the start and at the end. It sets the length of
            the compiled program: trainings with different `steps` and the same `every` share one program.

    Example:
        >>> size = training.Recording(lambda parameters, _: {"size": jnp.abs(parameters)}, every=2)
        >>> bowl = lambda parameters, _: 0.5 * parameters**2
        >>> trained = training.train(bowl, jnp.float32(1), optimizer=optax.sgd(0.5), steps=4, recording=size)
        >>> trained.metrics["size"].tolist()
        [1.0, 0.25, 0.0625]
    """

    evaluate: Evaluate | None = None
    held_out: PyTree = None
    every: int | None = None


class Tunable(NamedTuple):
    """An optimizer whose hyperparameters are arguments of the compiled program. Returned by `tunable`."""

    make: Callable[..., optax.GradientTransformation]
    values: dict[str, Array]


def tunable(make: Callable[..., optax.GradientTransformation], **values: Any) -> Tunable:
    """Return an optimizer that is compiled once for all values of its hyperparameters.

    Args:
        make: returns the Optax transformation for given hyperparameters, for example `optax.sgd`.
        values: the hyperparameters: a number each, or an array with one number per member.

    Example:
        >>> tunable(optax.sgd, learning_rate=jnp.array([0.1, 1.0])).values["learning_rate"].shape
        (2,)
    """
    return Tunable(make, {name: jnp.asarray(value) for name, value in values.items()})


Optimizer = optax.GradientTransformation | Tunable


class State(NamedTuple):
    """The state of a training between steps."""

    parameters: PyTree
    optimizer_state: PyTree
    key_data: Array
    order: Int[Array, " samples"]
    step: Int[Array, ""]
    diverged: Bool[Array, ""]


class Scanned(NamedTuple):
    """The result of `scan`.

    Attributes:
        parameters: after the last step.
        losses: (steps,), the loss at every step, before its update.
        metrics: each evaluated quantity, (records,), at step 0 and after each `every` steps.

    Example:
        >>> bowl = lambda parameters, _: 0.5 * parameters**2
        >>> float(training.scan(bowl, jnp.float32(1), optimizer=optax.sgd(0.5), steps=3).parameters)
        0.125
    """

    parameters: PyTree
    losses: Float[Array, " steps"]
    metrics: dict[str, Float[Array, " records"]]


def scan(
    loss: Loss,
    parameters: PyTree,
    data: PyTree = None,
    *,
    optimizer: Optimizer,
    steps: int,
    key: Key[jax.Array, ""] | None = None,
    batch_fn: BatchFunction | Epochs | None = None,
    recording: Recording | None = None,
) -> Scanned:
    """Train one model. A pure function: jit it, vmap it over keys or hyperparameters, differentiate it.

    Args:
        loss: `loss(parameters, batch)`, returns a scalar.
        parameters: initial parameters.
        data: a pytree passed to `batch_fn`. Without `batch_fn`, it is the batch of every step.
        optimizer: an Optax transformation, or `tunable(make, ...)`.
        steps: number of updates.
        key: random key of the batches.
        batch_fn: `batch_fn(key, step, data)`, returns the batch of a step; or `Epochs`. `step` counts from 0, and each
            step has a new `key`.
        recording: what to evaluate; `every` must divide `steps`.

    Raises:
        InputError: for a `batch_fn` without a key, or an `every` that does not divide `steps`.

    Example:
        >>> bowl = lambda w, _: 0.5 * jnp.sum(w**2)
        >>> jax.jit(lambda w: scan(bowl, w, optimizer=optax.sgd(0.5), steps=3).losses)(jnp.ones(2)).tolist()
        [1.0, 0.25, 0.0625]
    """
    recording = recording or Recording()
    every = recording.every or steps
    if steps % every:
        raise InputError(f"every {every} does not divide the {steps} steps; give a divisor")
    if key is None:
        if batch_fn is not None:
            raise InputError("batch_fn draws at random; pass key=jax.random.key(seed)")
        key = jax.random.key(0)
    make, values = split(optimizer)
    state = begin(parameters, key, values, make=make, samples=shuffled(batch_fn, data))

    def evaluated(parameters):
        return {} if recording.evaluate is None else dict(recording.evaluate(parameters, recording.held_out))

    def segment(state, _):
        limit = jnp.int32(steps)
        state, losses = advance(
            state, data, values, limit, jnp.inf, loss=loss, make=make, batch_fn=batch_fn, length=every
        )
        return state, (losses, evaluated(state.parameters))

    first = evaluated(parameters)
    state, (losses, later) = jax.lax.scan(segment, state, length=steps // every)
    metrics = jax.tree.map(lambda start, rest: jnp.concatenate([start[None], rest]), first, later)
    return Scanned(state.parameters, losses.reshape(steps), metrics)


def split(optimizer: Optimizer) -> tuple[Any, dict[str, Array]]:
    """Split an optimizer into its static part and the arguments of the compiled program."""
    return (optimizer.make, optimizer.values) if isinstance(optimizer, Tunable) else (optimizer, {})


def shuffled(batch_fn: BatchFunction | Epochs | None, data: PyTree) -> int:
    """Return the length of the order of an epoch, or 1 without epochs."""
    return batch_fn.samples(data) if isinstance(batch_fn, Epochs) else 1


def begin(parameters, key, values, *, make, samples) -> State:
    """Return the state before the first step."""
    return State(
        parameters=parameters,
        optimizer_state=_transformation(make, values).init(parameters),
        key_data=jax.random.key_data(key),
        order=jnp.arange(samples, dtype=jnp.int32),
        step=jnp.int32(0),
        diverged=jnp.bool_(False),
    )


def advance(state: State, data, values, limit, stop_above, *, loss, make, batch_fn, length):
    """Return (state, losses (length,)) after `length` steps. Take no steps past `limit` or after divergence."""
    transformation = _transformation(make, values)

    def take_step(state: State):
        order, batch = _batch(state, data, batch_fn)
        value, gradient = jax.value_and_grad(loss)(state.parameters, batch)
        diverged = ~(value <= stop_above)  # true for NaN as well
        updates, optimizer_state = transformation.update(gradient, state.optimizer_state, state.parameters)
        moved = optax.apply_updates(state.parameters, updates)
        return State(moved, optimizer_state, state.key_data, order, state.step + 1, diverged), value

    def step(state: State, _):
        stopped = state.diverged | (state.step >= limit)
        dtype = jax.eval_shape(take_step, state)[1].dtype
        return jax.lax.cond(stopped, lambda state: (state, jnp.full((), jnp.nan, dtype)), take_step, state)

    return jax.lax.scan(step, state, length=length)


def _transformation(make, values) -> optax.GradientTransformation:
    return make(**values) if callable(make) else make


def _batch(state: State, data, batch_fn):
    """Return (order of the samples in this epoch, batch of this step)."""
    if batch_fn is None:
        return state.order, data
    if not isinstance(batch_fn, Epochs):
        return state.order, batch_fn(_step_key(state), state.step, data)
    samples = state.order.shape[0]
    per_epoch = samples // batch_fn.batch_size
    epoch, position = state.step // per_epoch, state.step % per_epoch
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key_data), epoch)
    shuffle = lambda _: jax.random.permutation(key, samples).astype(jnp.int32)  # noqa: E731
    order = jax.lax.cond(position == 0, shuffle, lambda order: order, state.order)
    index = jax.lax.dynamic_slice_in_dim(order, position * batch_fn.batch_size, batch_fn.batch_size)
    batch = jax.tree.map(lambda leaf: leaf[index], batch_fn.part(data))
    if batch_fn.then is not None:
        batch = batch_fn.then(_step_key(state), state.step, batch, data)
    return order, batch


def _step_key(state: State) -> Key[jax.Array, ""]:
    """Return a key for this step, independent of the keys that shuffle epochs."""
    _, stream = jax.random.split(jax.random.wrap_key_data(state.key_data))
    return jax.random.fold_in(stream, state.step)
