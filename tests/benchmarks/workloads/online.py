"""Fifty steps of two worlds, batch 128, one on fresh samples of a generator, against both on a batch that is there.

As in `bootstrap.train_worlds`: every step trains the network of the Real World and that of the Ideal World.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from deepphenomena import datasets, generators, nets

BATCH, STEPS = 128, 50


def _setup(name: str, pixels: int, fresh: bool):
    data = datasets.load("fashion_mnist")
    generator = generators.deformations(data.images, data.labels, pixels=pixels)
    model = nets.network(name, (pixels, pixels, 1), 10, key=jax.random.key(0))
    network, parameters = nets.functional(model)
    key = jax.random.key(1)

    def loss(world):
        parameters, samples = world
        logits = network(parameters, samples.images)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, samples.labels))

    def loss_of_both(parameters, batches):
        return jnp.sum(jax.lax.map(loss, (parameters, batches)))

    @jax.jit
    def train(parameters, generator):
        given = generator(jnp.arange(BATCH), key=key)

        def step(parameters, number):
            samples = generator(number * BATCH + jnp.arange(BATCH), key=key) if fresh else given
            batches = jax.tree.map(lambda *pair: jnp.stack(pair), given, samples)
            gradient = jax.grad(loss_of_both)(parameters, batches)
            return jax.tree.map(lambda p, g: p - 0.01 * g, parameters, gradient), None

        worlds = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), parameters)
        return jax.lax.scan(step, worlds, jnp.arange(STEPS))[0]

    return lambda: jax.block_until_ready(train(parameters, generator))


def _forms(name: str, pixels: int) -> dict:
    forms = {"ours": True, "the batch is there": False}
    return {form: functools.partial(_setup, name, pixels, fresh) for form, fresh in forms.items()}


FULLY_CONNECTED = _forms("mlp-512", 28)
CONVOLUTIONAL = _forms("cnn-16", 14)
