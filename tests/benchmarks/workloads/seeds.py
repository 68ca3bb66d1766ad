"""One training step of 8 seeds of the network of `training_step`, batch 32 each; ours on threads, as in `training`."""

import jax
from peers.sizes import CLASSES, SEED_BATCH, SEEDS

from deepphenomena.runtime import threads
from workloads import training_step


def _data():
    images = jax.random.normal(jax.random.key(1), (SEEDS, SEED_BATCH, 32, 32, 3))
    return images, jax.random.randint(jax.random.key(2), (SEEDS, SEED_BATCH), 0, CLASSES)


def _members():
    return jax.vmap(training_step.parameters)(jax.random.split(jax.random.key(0), SEEDS)), *_data()


def _on_threads():
    step = jax.jit(training_step.step_with(training_step.ours))
    members = list(zip(*map(_unstacked, _members()), strict=True))
    return lambda: threads.each(lambda member: step(*member), members)


def _unstacked(tree):
    return [jax.tree.map(lambda leaf, k=k: leaf[k], tree) for k in range(SEEDS)]


def _vmapped(loss):
    def setup():
        step, members = jax.jit(jax.vmap(training_step.step_with(loss))), _members()
        return lambda: jax.block_until_ready(step(*members))

    return setup


FORMS = {
    "ours": _on_threads,
    "ours, vmap": _vmapped(training_step.ours),
    "naive JAX": _vmapped(training_step.naive),
    "PyTorch": "pytorch.seeds",
}
