"""One training step of 8 seeds of the network of `training_step`, batch 32 each; ours on threads, as in `training`."""

import jax

from deepphenomena.runtime import threads
from workloads import training_step

SEEDS, BATCH = 8, 32


def _data():
    images = jax.random.normal(jax.random.key(1), (SEEDS, BATCH, 32, 32, 3))
    return images, jax.random.randint(jax.random.key(2), (SEEDS, BATCH), 0, training_step.CLASSES)


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


def _torch():
    steps = [training_step.torch_step(BATCH) for _ in range(SEEDS)]

    def run():
        for step in steps:
            step()

    return run


FORMS = {
    "ours": _on_threads,
    "ours, vmap": _vmapped(training_step.ours),
    "naive JAX": _vmapped(training_step.naive),
    "PyTorch": _torch,
}
