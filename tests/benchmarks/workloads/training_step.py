"""One step of gradient descent of a five-layer ReLU convolutional network: batch 128, images 32 x 32 x 3."""

import jax
from jax import numpy as jnp
from peers.sizes import CLASSES, LAYERS, STEP_BATCH

from deepphenomena.kernels import convolution, convolution_reference, mean_in_chunks


def parameters(key):
    keys = jax.random.split(key, len(LAYERS) + 1)
    weights = [
        jax.random.normal(key, (3, 3, given, made)) * (2 / (9 * given)) ** 0.5
        for key, (given, made, _) in zip(keys, LAYERS, strict=False)
    ]
    return weights, jax.random.normal(keys[-1], (LAYERS[-1][1], CLASSES)) / LAYERS[-1][1] ** 0.5


def loss_with(form):
    def loss(parameters, batch):
        (weights, readout), (images, labels) = parameters, batch
        for w, (*_, stride) in zip(weights, LAYERS, strict=True):
            images = jax.nn.relu(form(images, w, stride=stride))
        logits = images.mean((1, 2)) @ readout
        return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0])

    return loss


ours, naive = mean_in_chunks(loss_with(convolution)), loss_with(convolution_reference)


def batch(size=STEP_BATCH):
    return (
        jax.random.normal(jax.random.key(1), (size, 32, 32, 3)),
        jax.random.randint(jax.random.key(2), (size,), 0, CLASSES),
    )


def step_with(loss):
    gradient = jax.grad(loss)

    def step(parameters, images, labels):
        return jax.tree.map(lambda p, g: p - 0.01 * g, parameters, gradient(parameters, (images, labels)))

    return step


def _jax(loss):
    def setup():
        step, state, data = jax.jit(step_with(loss)), parameters(jax.random.key(0)), batch()
        return lambda: jax.block_until_ready(step(state, *data))

    return setup


FORMS = {
    "ours": _jax(ours),
    "naive JAX": _jax(naive),
    "PyTorch": "pytorch.training_step",
}
