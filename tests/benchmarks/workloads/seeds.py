"""One training step of 8 seeds of the network of `training_step`, batch 32 each, in one program."""

import jax

from workloads import training_step

SEEDS, BATCH = 8, 32


def _data():
    images = jax.random.normal(jax.random.key(1), (SEEDS, BATCH, 32, 32, 3))
    return images, jax.random.randint(jax.random.key(2), (SEEDS, BATCH), 0, training_step.CLASSES)


def _jax(loss, transform):
    def setup():
        members = jax.vmap(training_step.parameters)(jax.random.split(jax.random.key(0), SEEDS))
        step, data = jax.jit(transform(training_step.step_with(loss))), _data()
        return lambda: jax.block_until_ready(step(members, *data))

    return setup


def _in_turn(step):
    return lambda members, images, labels: jax.lax.map(lambda member: step(*member), (members, images, labels))


def _torch():
    steps = [training_step.torch_step(BATCH) for _ in range(SEEDS)]

    def run():
        for step in steps:
            step()

    return run


FORMS = {
    "ours": _jax(training_step.ours, _in_turn),
    "ours, vmap": _jax(training_step.ours, jax.vmap),
    "naive JAX": _jax(training_step.naive, jax.vmap),
    "PyTorch": _torch,
}
