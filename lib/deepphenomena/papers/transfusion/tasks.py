"""Medical tasks and photographs as {"x": images from -1 to 1, "y": answers}: a column of 0 or 1 for each question."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from deepphenomena import datasets, generators
from deepphenomena.datasets import Dataset
from deepphenomena.generators.fundus import GRADES
from deepphenomena.runtime.arrays import Array

Task = Mapping[str, Float[Array, "_ ..."]]

_BLOCK = 100  # eyes drawn at once: one program serves every number of them


@jax.jit
def _drawn(eyes, index, key):
    return eyes(index, key=key)


@jax.jit
def _graded(eyes, index, grades, key):
    return eyes.graded(index, grades, key=key).images


def simulated(n: int, *, seed: int, pixels: int, enlargement: float) -> Task:
    """The first n simulated eyes of a seed. Question k asks whether the grade is k + 1 or worse.

    Args:
        n: how many eyes.
        seed: which sequence of eyes.
        pixels: side of an image.
        enlargement: how many times their natural size the signs of disease are drawn.

    Example:
        >>> eyes = simulated(3, seed=0, pixels=16, enlargement=2.5)
        >>> eyes["x"].shape, eyes["y"].shape
        ((3, 16, 16, 3), (3, 4))
    """
    eyes, key = generators.fundus(pixels, enlargement=enlargement), jax.random.key(seed)
    blocks = [_drawn(eyes, jnp.arange(start, start + _BLOCK), key) for start in range(0, n, _BLOCK)]
    images, grades = (jnp.concatenate(part)[:n] for part in zip(*blocks, strict=True))
    return {"x": 2 * images - 1, "y": (grades[:, None] >= jnp.arange(1, len(GRADES))).astype(jnp.float32)}


def examples(name: str, task: Task, *, seed: int, enlargement: float) -> Float[np.ndarray, "3 5 height width 3"]:
    """Three rows of five images, 0 to 1: of the simulation three eyes, each at every grade; else the task's first ones.

    Args:
        name: "fundus" for the simulation, or a dataset's.
        task: fifteen images or more.
        seed, enlargement: of the simulated eyes, as for `simulated`.
    """
    if name != "fundus":
        images = (np.asarray(task["x"][:15]) + 1) / 2
        return images.reshape(3, 5, *images.shape[1:])
    eyes, index = generators.fundus(96, enlargement=enlargement), jnp.arange(3)
    of_grade = [_graded(eyes, index, jnp.full(3, grade), jax.random.key(seed)) for grade in range(len(GRADES))]
    return np.stack(of_grade, 1)


def collected(*parts: Dataset, n: int, seed: int, pixels: int) -> Task:
    """n images of a real collection, drawn by the seed; grey becomes three equal channels.

    The questions are the classes, "is it this one?"; of two classes only the second.

    Args:
        parts: splits of one collection, grey images (size, height, width, 1); the images are drawn from all of them.
        n: number of images; all of them where the parts have fewer.
        seed: draws the images and their order.
        pixels: side to which images are brought.
    """
    images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
    rows = np.random.default_rng(seed).permutation(len(labels))[:n]
    answers = labels[rows, None] == np.arange(len(parts[0].class_names))
    answers = answers if answers.shape[1] > 2 else answers[:, 1:]
    return {"x": jnp.repeat(_scaled(images[rows], pixels), 3, -1), "y": jnp.asarray(answers, jnp.float32)}


def photographs(dataset: Dataset, *, pixels: int) -> Task:
    """A labelled set of colour images, with a question for each class.

    Args:
        dataset: images (n, height, width, 3).
        pixels: side to which images are brought.
    """
    answers = jax.nn.one_hot(dataset.labels, len(dataset.class_names))
    return {"x": _scaled(dataset.images, pixels), "y": answers}


def questions(name: str) -> list[str]:
    """The questions of a task in words, one for each column of its answers.

    Args:
        name: "fundus" for the simulation, or a dataset's.

    Example:
        >>> questions("fundus")
        ['mild or worse', 'moderate or worse', 'severe or worse', 'proliferative']
    """
    if name == "fundus":
        _, *milder, worst = GRADES
        return [f"{grade} or worse" for grade in milder] + [worst]
    classes = list(datasets.catalogue()[name].classes)
    return classes if len(classes) > 2 else classes[1:]


def padded(task: Task, *, rows: int | None = None, columns: int) -> Task:
    """The task in a shape that others share, so that one compiled program trains on all.

    Args:
        task: images and answers.
        rows: images are taken again and again up to this number; None leaves their number.
        columns: questions are filled up to this number by some that are never answered (NaN).

    Example:
        >>> task = {"x": jnp.zeros((2, 1, 1, 3)), "y": jnp.array([[0.0], [1.0]])}
        >>> padded(task, rows=3, columns=2)["y"].tolist()
        [[0.0, nan], [1.0, nan], [0.0, nan]]
    """
    n, asked = task["y"].shape
    index = jnp.arange(rows or n) % n
    labels = jnp.pad(task["y"], ((0, 0), (0, columns - asked)), constant_values=jnp.nan)
    return {"x": task["x"][index], "y": labels[index]}


def first(task: Task, n: int) -> Task:
    """The first n images of a task, with their answers."""
    return {part: values[:n] for part, values in task.items()}


def shared_images(one: Task, other: Task) -> int:
    """How many different images two tasks have in common, by their digests.

    Example:
        >>> images = jnp.arange(12.0).reshape(3, 2, 2, 1)
        >>> shared_images({"x": images[:2]}, {"x": images[1:]})
        1
    """
    found = [set(map(tuple, np.asarray(generators.digests(task["x"])).tolist())) for task in (one, other)]
    return len(found[0] & found[1])


def _scaled(images: np.ndarray, pixels: int) -> Array:
    return jnp.asarray(2 * generators.shrunk(images, pixels).clip(0, 1) - 1)
