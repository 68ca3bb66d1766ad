"""Learning to learn from few examples: tasks, adaptation of any part of a network, and gradients through it.

MAML adapts every parameter to a task, ANIL the head alone, and a test with frozen layers whatever is left: one
function, `adapt`, with another mask. Tasks are drawn inside the compiled program, so that `training.train` needs no
data but a table of images by class:

    training.train(meta_loss(loss, mask=mask, rate=0.1, steps=5), parameters, by_class(images, labels), key=key, ...,
                   batch_fn=task_batches(sample_task, count=16))

Source: Finn, Abbeel and Levine (2017), "Model-agnostic meta-learning", algorithm 1 and 2; Raghu et al. (2019), "Rapid
learning or feature reuse?", section 4 (ANIL) and 5 (NIL).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, PyTree

from deepphenomena.kernels import mean_in_chunks
from deepphenomena.nets.functional import member
from deepphenomena.runtime import sampling
from deepphenomena.runtime.errors import InputError

Loss = Callable[[PyTree, Any], Float[Array, ""]]


class Examples(NamedTuple):
    """Inputs and their labels: class numbers of this task, or values to regress on."""

    x: Float[Array, "n ..."]
    y: Int[Array, " n"] | Float[Array, "n ..."]


class Task(NamedTuple):
    """What a task is learned from and what it is judged by. Many tasks carry a leading axis on every array."""

    support: Examples
    query: Examples


def by_class(images: Float[Array, "n ..."], labels: Int[Array, " n"]) -> Float[Array, "classes examples ..."]:
    """Images as a table with one row for each class, in the order of labels; what `sample_task` draws from.

    Raises:
        InputError: where labels are not 0, 1, ... with equally many images each.
    """
    counts = np.bincount(labels)
    if len(images) != len(labels) or counts.min(initial=len(labels)) != counts.max(initial=0):
        raise InputError(
            f"{len(images)} images with {len(labels)} labels, {counts.min(initial=0)} to {counts.max(initial=0)} of a "
            "class: a table needs as many of each class from 0 on; drop the others"
        )
    order = np.argsort(labels, kind="stable")
    return jnp.asarray(images[order].reshape(len(counts), -1, *np.shape(images)[1:]))


def sample_task(
    images: Float[Array, "classes examples height width channels"],
    *,
    ways: int,
    shots: int,
    queries: int,
    key: Key[Array, ""],
    quarter_turns: bool = False,
) -> Task:
    """A task of `ways` classes with `shots` support and `queries` query images each, none of them twice.

    Classes get their numbers at random. The examples of all classes follow each other in turn.

    Args:
        images: by class, from `by_class`.
        ways, shots, queries: sizes.
        key: fixes the task.
        quarter_turns: turn every class by 0, 90, 180 or 270 degrees, so that there are four times as many (Santoro et
            al. 2016, "Meta-learning with memory-augmented neural networks").

    Raises:
        InputError: for sizes below one, or more than the table has.
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


def sample_sinusoid(*, shots: int, queries: int, key: Key[Array, ""]) -> Task:
    """A regression task y = A sin(x + φ): A uniform in [0.1, 5], φ in [0, π], x in [-5, 5]; arrays (n, 1).

    Source: Finn et al. (2017), section 5.1, as in its code.
    """
    keys = jax.random.split(key, 3)
    amplitude = jax.random.uniform(keys[0], minval=0.1, maxval=5.0)
    phase = jax.random.uniform(keys[1], maxval=jnp.pi)
    x = jax.random.uniform(keys[2], (shots + queries, 1), minval=-5.0, maxval=5.0)
    y = amplitude * jnp.sin(x + phase)
    return Task(Examples(x[:shots], y[:shots]), Examples(x[shots:], y[shots:]))


def task_batches(sample: Callable[..., Task], *, count: int) -> Callable[..., Task]:
    """The `batch_fn` of `training.train`: at every step `count` new tasks, `sample(data, key=...)` each.

    Without data, `sample(key=...)`.
    """

    def batch_fn(key: Key[Array, ""], step: Int[Array, ""], data: PyTree) -> Task:
        of_data = sample if data is None else functools.partial(sample, data)
        return jax.vmap(lambda key: of_data(key=key))(jax.random.split(key, count))

    return batch_fn


def layer_mask(parameters: PyTree, adapted: Callable[[str], bool]) -> PyTree:
    """A mask for `adapt`: True for every leaf whose path, such as "conv1/convolution/kernel", is `adapted`."""
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return jax.tree_util.tree_map_with_path(lambda path, _: bool(adapted(name(path))), parameters)


def adapt(
    loss: Loss,
    parameters: PyTree,
    examples: Examples,
    *,
    mask: PyTree,
    rate: float | Float[Array, ""],
    steps: int,
    first_order: bool = False,
) -> PyTree:
    """The inner loop: `steps` steps of gradient descent on a task's support, of the masked parameters alone.

    Args:
        loss: `loss(parameters, examples)`, of any Flax NNX model made pure, as by `nets.functional`.
        parameters: where adaptation starts.
        examples: the support.
        mask: the same tree as `parameters` with True where a leaf adapts. Gradients of the others are not computed. A
            leaf may also be a boolean array, which costs the gradient but lets one program serve many masks.
        rate: learning rate of the inner loop.
        steps: of gradient descent; 0 gives the parameters back.
        first_order: whether derivatives through the result take the inner gradients for constants (Finn et al. 2017,
            section 5.2, "first-order approximation").

    Raises:
        InputError: for a mask of another structure, or steps below 0.
    """
    leaves, form = jax.tree.flatten(parameters)
    marks, mask_form = jax.tree.flatten(mask)
    if form != mask_form:
        raise InputError(f"mask of {mask_form}: it must have the structure of the parameters, {form}; see layer_mask")
    if steps < 0:
        raise InputError(f"adaptation of {steps} steps: give 0 or more")
    moving = [i for i, mark in enumerate(marks) if mark is not False]

    def of_moving(moved, examples):
        whole = list(leaves)
        for i, leaf in zip(moving, moved, strict=True):
            whole[i] = leaf
        return loss(form.unflatten(whole), examples)

    def step(moved, _):
        gradients = jax.grad(of_moving)(moved, examples)
        if first_order:
            gradients = lax.stop_gradient(gradients)
        marked = [g if marks[i] is True else jnp.where(marks[i], g, 0) for i, g in zip(moving, gradients, strict=True)]
        return [leaf - rate * g for leaf, g in zip(moved, marked, strict=True)], None

    adapted = list(leaves)
    if moving:
        for i, leaf in zip(moving, lax.scan(step, [leaves[i] for i in moving], length=steps)[0], strict=True):
            adapted[i] = leaf
    return form.unflatten(adapted)


def meta_loss(
    loss: Loss,
    *,
    mask: PyTree,
    rate: float,
    steps: int,
    first_order: bool = False,
    together: int = 1,
) -> Callable[[PyTree, Task], Float[Array, ""]]:
    """The outer loss: `loss` on the query after adapting to the support, averaged over the tasks of a batch.

    Its gradient is accumulated task by task in the forward pass, so that memory holds the inner loops of `together`
    tasks and not of all.

    Args:
        loss, mask, rate, steps, first_order: as `adapt` takes them.
        together: tasks that are batched into one program; the others wait. It must divide their number.

    Raises:
        InputError: for tasks that cannot be so divided, and as `adapt`.
    """
    inner = {"mask": mask, "rate": rate, "steps": steps, "first_order": first_order}

    def of_task(parameters, task):
        return loss(adapt(loss, parameters, task.support, **inner), task.query)

    def of_group(parameters, group):
        if together == 1:  # batching rules of convolutions only add to the program
            return of_task(parameters, member(group, 0))
        return jnp.mean(jax.vmap(of_task, (None, 0))(parameters, group))

    in_groups = mean_in_chunks(of_group, samples=together, everywhere=True)

    def mean_loss(parameters, tasks):
        count = len(jax.tree.leaves(tasks)[0])
        if count % together:
            raise InputError(f"{count} tasks in groups of {together}: the groups must be equal; choose a divisor")
        return in_groups(parameters, tasks)

    return mean_loss


def cosine_classifier(
    support: Float[Array, "n features"], labels: Int[Array, " n"], query: Float[Array, "m features"], *, ways: int
) -> Float[Array, "m ways"]:
    """NIL, no inner loop: class scores Σⱼ softmaxⱼ(cos(hᵢ, hⱼ)) onehot(yⱼ) of queries from the features of a support.

    Source: Raghu et al. (2019), section 5.1; the rule is that of Vinyals et al. (2016), equations 1 and 2.
    """
    support, query = (h / jnp.maximum(jnp.linalg.norm(h, axis=-1, keepdims=True), 1e-12) for h in (support, query))
    return jax.nn.softmax(query @ support.T, axis=-1) @ jax.nn.one_hot(labels, ways)
