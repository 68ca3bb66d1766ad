"""The compiled part of training: many steps of one model, or of many side by side, and the measurement between them."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key, PyTree


class Member(NamedTuple):
    """What one step hands to the next."""

    parameters: PyTree
    optimizer_state: PyTree
    key_data: Array
    order: Int[Array, " samples"]
    step: Int[Array, ""]
    diverged: Array


def _transformation(optimizer, hyperparameters) -> optax.GradientTransformation:
    return optimizer(**hyperparameters) if callable(optimizer) else optimizer


@functools.partial(jax.jit, static_argnames=("optimizer", "samples", "batched"))
def begin(parameters, keys, hyperparameters, *, batched, **program):
    """A member before its first step; `batched`: many, with a leading axis."""
    begin = functools.partial(_begin_one, **program)
    return (jax.vmap(begin) if batched else begin)(parameters, keys, hyperparameters)


def _begin_one(parameters, key, hyperparameters, *, optimizer, samples):
    return Member(
        parameters=parameters,
        optimizer_state=_transformation(optimizer, hyperparameters).init(parameters),
        key_data=jax.random.key_data(key),
        order=jnp.arange(samples, dtype=jnp.int32),
        step=jnp.int32(0),
        diverged=jnp.bool_(False),
    )


@functools.partial(jax.jit, static_argnames=("measure", "batched"))
def measured(parameters, held_out, *, measure, batched):
    """What is measured of a member; `batched`: of many. A program apart: compiled once for the start, for every
    segment and for other losses too."""
    if measure is None:
        return {}
    return dict((jax.vmap(measure, (0, None)) if batched else measure)(parameters, held_out))


@functools.partial(
    jax.jit,
    donate_argnums=0,
    static_argnames=("loss", "optimizer", "batch_size", "draw", "length", "batched"),
)
def train_segment(state, data, source, hyperparameters, limits, stop_above, *, batched, **program):
    """`length` steps of a member; `batched`: of many, with a leading axis."""
    segment = functools.partial(_train_one, **program)
    segment = jax.vmap(segment, (0, None, None, 0, 0, None)) if batched else segment
    return segment(state, data, source, hyperparameters, limits, stop_above)


def _train_one(
    member: Member, data, source, hyperparameters, limit, stop_above, *, loss, optimizer, batch_size, draw, length
):  # fmt: skip
    transformation = _transformation(optimizer, hyperparameters)

    def take_step(member: Member):
        order, batch = _batch(member, data, batch_size)
        if draw is not None:
            batch = draw(batch, source, step=member.step, key=_step_key(member))
        value, gradient = jax.value_and_grad(loss)(member.parameters, batch)
        diverged = ~(value <= stop_above)  # true for NaN as well
        updates, optimizer_state = transformation.update(gradient, member.optimizer_state, member.parameters)
        moved = optax.apply_updates(member.parameters, updates)
        return Member(moved, optimizer_state, member.key_data, order, member.step + 1, diverged), value

    def step(member: Member, _):
        stopped = member.diverged | (member.step >= limit)
        return jax.lax.cond(stopped, lambda m: (m, jnp.full((), jnp.nan, _result_type(m))), take_step, member)

    def _result_type(member):
        return jax.eval_shape(take_step, member)[1].dtype

    return jax.lax.scan(step, member, length=length)


def _batch(member: Member, data, batch_size):
    """(the epoch's order of samples, this step's batch): epochs are shuffled anew, a last short batch is left out."""
    if batch_size is None:
        return member.order, data
    samples = member.order.shape[0]
    per_epoch = samples // batch_size
    epoch, position = member.step // per_epoch, member.step % per_epoch
    key = jax.random.fold_in(jax.random.wrap_key_data(member.key_data), epoch)
    shuffle = lambda _: jax.random.permutation(key, samples).astype(jnp.int32)  # noqa: E731
    order = jax.lax.cond(position == 0, shuffle, lambda order: order, member.order)
    index = jax.lax.dynamic_slice_in_dim(order, position * batch_size, batch_size)
    return order, jax.tree.map(lambda leaf: leaf[index], data)


def _step_key(member: Member) -> Key[Array, ""]:
    """A key for this step alone, apart from those that shuffle epochs."""
    _, stream = jax.random.split(jax.random.wrap_key_data(member.key_data))
    return jax.random.fold_in(stream, member.step)
