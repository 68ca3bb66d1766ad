"""Few-shot tasks: n-way k-shot image classification, and regression on sinusoids.

Tasks are sampled inside the compiled program. The only data that `training.train` needs is a table of images by class,
`by_class(images, labels)`; its `batch_fn` is `task_batches(sample, count=16)`, where `sample` is `sample_task` with the
numbers of ways, shots and queries filled in.

Source: Vinyals et al. 2016, "Matching networks for one shot learning", Section 4.1, for the protocol.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Key, PyTree

from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


class Examples(NamedTuple):
    """Inputs and their labels: class numbers of the task, or regression targets.

    Example:
        >>> few_shot.Examples(jnp.zeros((5, 28, 28, 1)), jnp.arange(5)).y.shape
        (5,)
    """

    x: Float[Array, "n ..."]
    y: Int[Array, " n"] | Float[Array, "n ..."]


class Task(NamedTuple):
    """The support set to learn from and the query set to test on. Several tasks have a leading axis on every array.

    Example:
        >>> task = few_shot.sample_sinusoid(shots=5, queries=10, key=jax.random.key(0))
        >>> task.support.x.shape, task.query.y.shape
        ((5, 1), (10, 1))
    """

    support: Examples
    query: Examples


def by_class(images: Float[Array, "n ..."], labels: Int[Array, " n"]) -> Float[Array, "classes examples ..."]:
    """Return images as a table with one row per class, in the order of labels, for `sample_task`.

    Raises:
        InputError: unless the labels are 0, 1, ... with the same number of images each.

    Example:
        >>> few_shot.by_class(jnp.zeros((6, 4, 4, 1)), np.array([0, 1, 2, 0, 1, 2])).shape
        (3, 2, 4, 4, 1)
    """
    counts = np.bincount(labels)
    if len(images) != len(labels) or counts.min(initial=len(labels)) != counts.max(initial=0):
        raise InputError(
            f"{len(images)} images with {len(labels)} labels, {counts.min(initial=0)} to {counts.max(initial=0)} of a "
            "class: a table needs the same number of each class, from 0 on; drop the others"
        )
    order = np.argsort(labels, kind="stable")
    return jnp.asarray(images[order].reshape(len(counts), -1, *np.shape(images)[1:]))


def unlike(
    table: Float[Array, "classes examples ..."], others: Float[Array, "other examples_of_other ..."], *, most: float
) -> Float[Array, "kept examples ..."]:
    """Return the classes of `table` that do not look like a class of `others`.

    Two classes look alike if their mean images have a correlation above `most`. The means are over all examples of a
    class, for rendered letters over all faces.

    Raises:
        InputError: images of different sizes, or no class left.

    Example:
        >>> plus, minus = jnp.eye(3), 1 - jnp.eye(3)
        >>> few_shot.unlike(jnp.stack([plus, minus])[:, None], plus[None, None], most=0.9).shape  # minus stays
        (1, 1, 3, 3)
    """

    def shapes(images):
        means = np.asarray(images).reshape(*np.shape(images)[:2], -1).mean(1)
        means = means - means.mean(1, keepdims=True)
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)

    if np.shape(table)[2:] != np.shape(others)[2:]:
        raise InputError(f"images of {np.shape(table)[2:]} and {np.shape(others)[2:]}: give both the same size")
    kept = np.flatnonzero((shapes(table) @ shapes(others).T).max(1) <= most)
    if not len(kept):
        raise InputError(f"every class correlates with another by more than {most}; give a larger `most`")
    return table[kept]


def sample_task(
    images: Float[Array, "classes examples height width channels"],
    *,
    ways: int,
    shots: int,
    queries: int,
    key: Key[jax.Array, ""],
    quarter_turns: bool = False,
) -> Task:
    """Sample a task of `ways` classes with `shots` support and `queries` query images each, without repetition.

    Classes are numbered at random. The examples alternate between the classes.

    Args:
        images: by class, from `by_class`.
        ways, shots, queries: number of classes, and of support and query images per class.
        key: random key of the task.
        quarter_turns: rotate every class by 0, 90, 180 or 270 degrees, which gives four times as many classes (Santoro
            et al. 2016, "Meta-learning with memory-augmented neural networks").

    Raises:
        InputError: sizes below 1, or larger than the table.

    Example:
        >>> table = jnp.zeros((20, 8, 4, 4, 1))  # 20 classes of 8 images
        >>> task = few_shot.sample_task(table, ways=5, shots=1, queries=3, key=jax.random.key(0))
        >>> task.support.x.shape, task.query.y.shape
        ((5, 4, 4, 1), (15,))
    """
    classes, examples = images.shape[:2]
    if not (1 <= ways <= classes and shots >= 1 and queries >= 1 and shots + queries <= examples):
        raise InputError(
            f"a task of {ways} ways, {shots} shots and {queries} queries from {classes} classes of {examples} "
            "examples: all sizes are 1 or more, ways at most the classes, shots + queries at most the examples"
        )
    of_classes, of_examples, of_turns = jax.random.split(key, 3)
    chosen = lax.top_k(jax.random.uniform(of_classes, (classes,)), ways)[1]
    order = sampling.uniform(of_examples, (ways, examples))
    picked = lax.top_k(order, shots + queries)[1]
    drawn = images[chosen[:, None], picked]
    if quarter_turns:
        turned = jnp.stack([jnp.rot90(drawn, k, axes=(2, 3)) for k in range(4)])
        drawn = turned[jax.random.randint(of_turns, (ways,), 0, 4), jnp.arange(ways)]

    def examples_of(part, count):
        return Examples(part.swapaxes(0, 1).reshape(-1, *part.shape[2:]), jnp.tile(jnp.arange(ways), count))

    return Task(examples_of(drawn[:, :shots], shots), examples_of(drawn[:, shots:], queries))


def sample_sinusoid(*, shots: int, queries: int, key: Key[jax.Array, ""]) -> Task:
    """Sample a regression task y = A sin(x + φ): A uniform in [0.1, 5], φ in [0, π], x in [-5, 5]; arrays (n, 1).

    Source: Finn et al. (2017), section 5.1, as in its code.

    Example:
        >>> task = few_shot.sample_sinusoid(shots=5, queries=10, key=jax.random.key(0))
        >>> bool(jnp.all(jnp.abs(task.query.y) <= 5))
        True
    """
    keys = jax.random.split(key, 3)
    amplitude = jax.random.uniform(keys[0], minval=0.1, maxval=5.0)
    phase = jax.random.uniform(keys[1], maxval=jnp.pi)
    x = jax.random.uniform(keys[2], (shots + queries, 1), minval=-5.0, maxval=5.0)
    y = amplitude * jnp.sin(x + phase)
    return Task(Examples(x[:shots], y[:shots]), Examples(x[shots:], y[shots:]))


def task_batches(sample: Callable[..., Task], *, count: int) -> Callable[..., Task]:
    """Return a `batch_fn` for `training.train` that samples `count` new tasks per step by `sample(data, key=...)`.

    Without data, it calls `sample(key=...)`.

    Example:
        >>> batch_fn = few_shot.task_batches(functools.partial(few_shot.sample_sinusoid, shots=5, queries=10), count=4)
        >>> batch_fn(jax.random.key(0), 0, None).support.x.shape
        (4, 5, 1)
    """

    def batch_fn(key: Key[jax.Array, ""], step: int | Int[Array, ""], data: PyTree) -> Task:
        of_data = sample if data is None else functools.partial(sample, data)
        return jax.vmap(lambda key: of_data(key=key))(jax.random.split(key, count))

    return batch_fn


def one_by_one(tasks: Task) -> list[Task]:
    """Return the tasks of a batch, as NumPy arrays without the leading axis.

    Example:
        >>> batch = task_batches(functools.partial(sample_sinusoid, shots=2, queries=3), count=4)
        >>> [len(task.query.x) for task in one_by_one(batch(jax.random.key(0), 0, None))]
        [3, 3, 3, 3]
    """
    leaves, form = jax.tree.flatten(jax.tree.map(np.asarray, tasks))
    return [form.unflatten(of_task) for of_task in zip(*leaves, strict=True)]
