"""Real and Ideal World: one network trained twice in one program, on n samples and on fresh ones.

Source: Nakkiran, Neyshabur and Sedghi 2020, "The Deep Bootstrap Framework: Good Online Learners are Good Offline
Generalizers". Both worlds share the initial parameters, the optimizer, its schedule and the number of steps:

    Real World    a training set of n samples, drawn once and gone through in shuffled epochs
    Ideal World   a batch of samples never seen before at every step

    test soft-error(Real) = test soft-error(Ideal) + bootstrap error
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Float, Key, PyTree

from deepphenomena import training
from deepphenomena.generators import Generator, Samples
from deepphenomena.nets.functional import Network, member
from deepphenomena.papers.deep_bootstrap.streams import drawn, ideal_batch, stream
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.training import augmentation

STOPPING_ERROR = 0.01  # the Real World has fitted its training set
PADDING = 1 / 8  # of the augmentation's random crop, as a share of the image's side: the paper's 4 of 32 pixels
TEST_BATCH = 100  # images whose moments batch normalization takes together in a test


class Errors(NamedTuple):
    """Errors at every record. Soft-error is E[1 - p(x)_y], p the softmax output; hard error E[argmax p(x) ≠ y]."""

    soft: Float[np.ndarray, " records"]
    hard: Float[np.ndarray, " records"]


class Worlds(NamedTuple):
    """What the two trainings leave.

    Attributes:
        steps: the step numbers of the records; the first is 0.
        real: test errors of the network trained on n samples.
        ideal: test errors of the network trained on fresh samples, on the same test set.
        train: errors of the former on its own n samples, not augmented.
        parameters: {"real": ..., "ideal": ...} after the last step.
    """

    steps: np.ndarray
    real: Errors
    ideal: Errors
    train: Errors
    parameters: dict[str, PyTree]

    def frame(self) -> pd.DataFrame:
        """Soft-errors as a tidy table with the columns world, step and error.

        The worlds are "Real", "Ideal" and "Real, training set".
        """
        errors = {"Real": self.real, "Ideal": self.ideal, "Real, training set": self.train}
        frames = {world: pd.DataFrame({"step": self.steps, "error": of.soft}) for world, of in errors.items()}
        return pd.concat(frames, names=["world", None]).reset_index("world").reset_index(drop=True)

    @property
    def bootstrap_error(self) -> np.ndarray:
        """Test soft-error, Real minus Ideal, at every record."""
        return self.real.soft - self.ideal.soft

    @property
    def fitted(self) -> bool:
        """Whether the Real World reached its stopping time."""
        return bool(np.any(self.train.hard <= STOPPING_ERROR))

    @property
    def stopping_record(self) -> int:
        """The first record whose training error is 1% or less; the last one where none is."""
        return int(np.argmax(self.train.hard <= STOPPING_ERROR)) if self.fitted else len(self.steps) - 1

    @property
    def stopping_time(self) -> int:
        """The stopping record's step."""
        return int(self.steps[self.stopping_record])


def train_worlds(
    network: Network,
    parameters: PyTree,
    generator: Generator,
    *,
    samples: int,
    steps: int,
    learning_rate: float,
    key: Key[jax.Array, ""],
    batch_size: int = 128,
    test_samples: int = 2000,
    augmented: bool = False,
    record_every: int | None = None,
    train: Callable[..., training.Trained] = training.train,
) -> Worlds:
    """Train one network in both worlds by SGD with a cosine schedule that ends at zero, on the cross-entropy.

    Calls with the same `network` object and sizes share one compiled program; parameters, generator's values, learning
    rate, key and `augmented` are its arguments.

    Args:
        network: `network(parameters, images)`, logits (n, classes); it sees pixels scaled to -1..1.
        parameters: where both worlds start.
        generator: the distribution, of which training set, stream and test set are disjoint independent draws.
        samples: n, the size of the Real World's training set.
        steps: updates in either world.
        learning_rate: at the start of the schedule.
        key: draws every sample and shuffles the epochs.
        batch_size: samples per step in either world.
        test_samples: size of the test set.
        augmented: whether training images, in both worlds, are cropped and mirrored at random.
        record_every: steps between two records.
        train: `training.train`, or a chapter's `run.train` with its name filled in.

    Raises:
        InputError: a finite generator with too few samples, sets that are no multiples of `TEST_BATCH`, or sizes that
            `training.train` refuses.
    """
    numbers = stream(samples=samples, steps=steps, batch_size=batch_size, test_samples=test_samples)
    if generator.size is not None and numbers.real.stop > generator.size:
        raise InputError(
            f"two worlds of {samples} samples and {steps} steps of {batch_size} need {numbers.real.stop} samples, "
            f"those of the test included, and the generator has {generator.size}; take fewer steps"
        )
    for name, size in (("samples", samples), ("test_samples", test_samples)):
        if size < 1 or size % TEST_BATCH:
            raise InputError(f"{name} {size}: errors are taken over batches of {TEST_BATCH}; give a multiple of it")
    draw_key, order_key = jax.random.split(key)
    test, real = (drawn(generator, part, draw_key) for part in (numbers.test, numbers.real))
    program = _program(network, steps, batch_size)
    trained = train(
        program.loss,
        jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), parameters),
        {
            "real": real,
            "generator": generator,
            "key": jax.random.key_data(draw_key),
            "first": jnp.int32(numbers.ideal.start),
            "augmented": jnp.bool_(augmented),
        },
        optimizer=training.tunable(program.optimizer, learning_rate=learning_rate),
        steps=steps,
        key=order_key,
        batch_fn=program.batch_fn,
        recording=training.Recording(program.measure, {"test": test, "train": real}, record_every),
    )
    real, ideal, train = (
        Errors(trained.metrics[f"{name}_soft"], trained.metrics[f"{name}_hard"]) for name in ("real", "ideal", "train")
    )
    final = {name: member(trained.parameters, k) for k, name in enumerate(("real", "ideal"))}
    return Worlds(trained.recorded, real, ideal, train, final)


def train_online(
    network: Network,
    parameters: PyTree,
    generator: Generator,
    *,
    steps: int,
    learning_rate: float,
    key: Key[jax.Array, ""],
    batch_size: int = 128,
    train: Callable[..., training.Trained] = training.train,
) -> PyTree:
    """Train one network in the Ideal World alone, for pretraining. Return its parameters.

    The arguments are those of `train_worlds`; the stream is the generator's samples from number 0.

    Example:
        >>> pool = generators.Pool(jnp.zeros((20, 4, 4, 1), jnp.uint8), jnp.arange(20) % 10)
        >>> network, parameters = nets.functional(nets.network("mlp-4", (4, 4, 1), 10, key=jax.random.key(0)))
        >>> options = {"steps": 2, "learning_rate": 0.1, "batch_size": 10, "key": jax.random.key(1)}
        >>> after = train_online(network, parameters, pool, **options)
        >>> jax.tree.structure(after) == jax.tree.structure(parameters)
        True
    """
    program = _program(network, steps, batch_size)
    trained = train(
        program.loss,
        jax.tree.map(lambda leaf: leaf[None], parameters),
        {"generator": generator, "key": jax.random.key_data(key)},
        optimizer=training.tunable(program.optimizer, learning_rate=learning_rate),
        steps=steps,
        key=key,
        batch_fn=program.online,
    )
    return member(trained.parameters, 0)


class _Program(NamedTuple):
    """The functions of one network's training, kept so that it is compiled once."""

    loss: Callable
    optimizer: Callable
    batch_fn: training.Epochs
    online: Callable
    measure: Callable


@functools.lru_cache(maxsize=64)
def _program(network: Network, steps: int, batch_size: int) -> _Program:
    # Parameters and batches have a leading axis of worlds, Real and Ideal, and a loop goes through it: the network is
    # compiled once and not once for each use of it.
    def cross_entropy(world):
        parameters, batch = world
        logits = network(parameters, 2 * batch.images - 1)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels))

    def loss(parameters, batches: Samples):
        # The worlds share no parameter, so the gradient of the sum is each world's own.
        return jnp.sum(jax.lax.map(cross_entropy, (parameters, batches)))

    def optimizer(learning_rate):
        return optax.sgd(lambda count: learning_rate * optax.cosine_decay_schedule(1.0, steps)(count))

    def both_worlds(key, step, batch: Samples, data):
        stream_key = jax.random.wrap_key_data(data["key"])
        fresh = ideal_batch(data["generator"], data["first"], step, batch_size, key=stream_key)
        images, labels = (jnp.stack(pair) for pair in zip(batch, fresh, strict=True))

        def augment(images):
            crop = functools.partial(augmentation.crop_and_flip, padding=max(1, int(PADDING * images.shape[2])))
            return jax.vmap(lambda x, key: crop(x, key=key))(images, jax.random.split(key))

        return Samples(jax.lax.cond(data["augmented"], augment, lambda images: images, images), labels)

    def online(key, step, data):
        fresh = ideal_batch(data["generator"], 0, step, batch_size, key=jax.random.wrap_key_data(data["key"]))
        return jax.tree.map(lambda leaf: leaf[None], fresh)

    def measure(parameters, held_out):
        return _measured(network, parameters, held_out)

    return _Program(loss, optimizer, training.Epochs(batch_size, of="real", then=both_worlds), online, measure)


def _measured(network: Network, parameters: PyTree, held_out: dict[str, Samples]) -> dict[str, Float[Array, ""]]:
    """Errors of both worlds on the test and of the Real World on its training set, in one loop over equal batches."""
    test, train = held_out["test"], held_out["train"]
    tests, trains = len(test.labels) // TEST_BATCH, len(train.labels) // TEST_BATCH
    images, labels = (
        jnp.concatenate(pair).reshape(-1, TEST_BATCH, *pair[0].shape[1:]) for pair in zip(test, train, strict=True)
    )
    world = np.repeat([0, 1, 0], [tests, tests, trains])
    batch = np.concatenate([np.arange(tests), np.arange(tests + trains)])  # the test's, and then both sets'

    def of(which):
        world, batch = which
        logits = network(jax.tree.map(lambda leaf: leaf[world], parameters), 2 * images[batch] - 1)
        right = jnp.take_along_axis(jax.nn.softmax(logits), labels[batch][:, None], -1)
        return jnp.mean(1 - right), jnp.mean(jnp.argmax(logits, -1) != labels[batch])

    soft, hard = jax.lax.map(of, (jnp.asarray(world), jnp.asarray(batch)))
    parts = {"real": slice(tests), "ideal": slice(tests, 2 * tests), "train": slice(2 * tests, None)}
    kinds = {"soft": soft, "hard": hard}
    return {f"{name}_{kind}": jnp.mean(e[part]) for name, part in parts.items() for kind, e in kinds.items()}
