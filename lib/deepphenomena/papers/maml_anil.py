"""Learning to learn from few examples: adaptation of any part of a network, and gradients through it.

MAML adapts every parameter to a task, ANIL only the head, and a test with frozen layers the other layers: one
function, `adapt`, with another mask. Tasks are drawn as `tasks.few_shot` says:

    training.train(meta_loss(loss, mask=mask, rate=0.1, steps=5), parameters, by_class(images, labels), key=key, ...,
                   batch_fn=task_batches(sample_task, count=16))

Source: Finn, Abbeel and Levine (2017), "Model-agnostic meta-learning", algorithm 1 and 2; Raghu et al. (2019), "Rapid
learning or feature reuse?", section 4 (ANIL) and 5 (NIL).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Float, Int, Key, PyTree

from deepphenomena.kernels import mean_in_chunks
from deepphenomena.nets.functional import member
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.tasks.few_shot import Examples, Task

Loss = Callable[[PyTree, Any], Float[Array, ""]]


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
    steps = numbers.whole("steps of an adaptation", steps)
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
        # In the type of the parameters, not in that of the rate.
        return [(leaf - rate * g).astype(leaf.dtype) for leaf, g in zip(moved, marked, strict=True)], None

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


def image_batches(
    *, count: int, quarter_turns: bool = False
) -> Callable[[Key[jax.Array, ""], Any, Float[Array, "classes examples ..."]], Examples]:
    """The `batch_fn` of ordinary classification: at every step `count` images, with replacement, of all classes.

    Args:
        count: images of a step.
        quarter_turns: turn each image by 0, 90, 180 or 270 degrees at random and count the turned classes as others:
            label 4c + k for class c after k quarter turns.

    Example:
        >>> table = jnp.zeros((7, 2, 4, 4, 1))  # images by class, from `few_shot.by_class`
        >>> image_batches(count=3)(jax.random.key(0), 0, table).x.shape
        (3, 4, 4, 1)
    """
    turns = 4 if quarter_turns else 1

    def batch_fn(key, step, images):
        keys, bounds = jax.random.split(key, 3), (*images.shape[:2], turns)
        label, row, turn = (jax.random.randint(k, (count,), 0, bound) for k, bound in zip(keys, bounds, strict=True))
        drawn = images[label, row]
        turned = jnp.stack([jnp.rot90(drawn, k, axes=(1, 2)) for k in range(turns)])
        return Examples(turned[turn, jnp.arange(count)], label * turns + turn)

    return batch_fn


def sheets(task: Task, *, ways: int, most: int = 5) -> dict[str, np.ndarray]:
    """Sheets of pictures of a task, ink on white, for `figures.images`.

    Each sheet has one image of each of the first `most` classes, below each other: "support 1", ..., "query 1", ...

    Example:
        >>> task = few_shot.Task(*[few_shot.Examples(jnp.zeros((6, 4, 4, 1)), jnp.tile(jnp.arange(3), 2))] * 2)
        >>> sorted(sheets(task, ways=3)), sheets(task, ways=3)["query 2"].shape
        (['query 1', 'query 2', 'support 1', 'support 2'], (12, 4))
    """
    made = {}
    for name, (x, _) in zip(("support", "query"), task, strict=True):
        pictures = 1 - np.asarray(x)[..., 0].reshape(-1, ways, *x.shape[1:3])[:most, :most]
        made |= {f"{name} {k + 1}": np.concatenate(of_classes) for k, of_classes in enumerate(pictures)}
    return made


def layer_table(changed: Mapping[tuple[str, int], Sequence[Any]], layers: Sequence[str]) -> pd.DataFrame:
    """Similarities of layers as a tidy table: trained, seed, layer, measure and similarity.

    Args:
        changed: {(stage of training, seed): (CCA of each layer, CKA of each layer, ...)}.
        layers: their names.

    Example:
        >>> layer_table({("untrained", 0): ([0.9, 0.5], [1.0, 0.2])}, ["conv1", "head"])["similarity"].tolist()
        [0.9, 0.5, 1.0, 0.2]
    """
    rows = [
        (stage, seed, layer, measure, float(value))
        for (stage, seed), similarities in changed.items()
        for measure, of_layers in zip(("CCA", "CKA"), similarities, strict=False)
        for layer, value in zip(layers, of_layers, strict=True)
    ]
    return pd.DataFrame(rows, columns=["trained", "seed", "layer", "measure", "similarity"])
