"""One step of gradient descent of a five-layer ReLU convolutional network: batch 128, images 32 x 32 x 3."""

import jax
from jax import numpy as jnp

from deepphenomena.kernels import convolution, convolution_reference, mean_in_chunks

LAYERS = ((3, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1))  # channels in, channels out, stride
CLASSES, BATCH = 10, 128


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


def batch(size=BATCH):
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


def torch_network():
    import torch

    torch.manual_seed(0)
    layers = []
    for given, made, stride in LAYERS:
        layers += [torch.nn.Conv2d(given, made, 3, stride, 1, bias=False), torch.nn.ReLU()]
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(LAYERS[-1][1], CLASSES, bias=False)
    ).to(memory_format=torch.channels_last)


def torch_batch(size):
    import torch

    images = torch.randn(size, 3, 32, 32).to(memory_format=torch.channels_last)
    return images, torch.randint(0, CLASSES, (size,))


def torch_step(size):
    import torch

    network, (images, labels) = torch_network(), torch_batch(size)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


FORMS = {
    "ours": _jax(ours),
    "naive JAX": _jax(naive),
    "PyTorch": lambda: torch_step(BATCH),
}
