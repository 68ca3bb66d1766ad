"""One gradient step of a very deep tanh network of 3 x 3 convolutions, depth 1,000: 32 images of 8 x 8 x 32."""

import jax
from jax import numpy as jnp

from deepphenomena.kernels import convolution, deep_scan

DEPTH, BATCH, SIZE, CHANNELS = 1000, 32, 8, 32


def weights():
    shape = (DEPTH, 3, 3, CHANNELS, CHANNELS)
    return jax.random.normal(jax.random.key(0), shape) / (9 * CHANNELS) ** 0.5


def _ours():
    def loss(w, x):
        return jnp.mean(deep_scan(lambda w, x: jnp.tanh(convolution(x, w)), w, x) ** 2)

    step = jax.jit(lambda w, x: w - 0.1 * jax.grad(loss)(w, x))
    w, x = weights(), jax.random.normal(jax.random.key(1), (BATCH, SIZE, SIZE, CHANNELS))
    return lambda: step(w, x).block_until_ready()


def _torch():
    import torch

    torch.manual_seed(0)
    layers = []
    for _ in range(DEPTH):
        layers += [torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), torch.nn.Tanh()]
        torch.nn.init.normal_(layers[-2].weight, std=1 / (9 * CHANNELS) ** 0.5)
    network = torch.nn.Sequential(*layers).to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, CHANNELS, SIZE, SIZE).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()

    return step


FORMS = {"ours": _ours, "PyTorch": _torch}
