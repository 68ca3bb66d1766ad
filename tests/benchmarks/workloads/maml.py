"""A second-order MAML step (Finn et al. 2017): 16 tasks of 5 ways and 1 shot, 5 inner steps, 15 queries a class.

The network is their conv4-32 (3 x 3 convolution, batch statistics, ReLU, 2 x 2 max-pooling) on images of 32 x 32 x 3.
"""

import jax
from jax import numpy as jnp

from deepphenomena.kernels import convolution, convolution_reference

TASKS, WAYS, QUERIES, STEPS, CHANNELS, RATE = 16, 5, 15, 5, 32, 0.01


def _parameters(key):
    keys = jax.random.split(key, 5)
    weights = [jax.random.normal(k, (3, 3, 3 if i == 0 else CHANNELS, CHANNELS)) / 12 for i, k in enumerate(keys[:4])]
    return weights, jax.random.normal(keys[4], (4 * CHANNELS, WAYS)) / 12


def _tasks():
    support = jax.random.normal(jax.random.key(1), (TASKS, WAYS, 32, 32, 3))
    query = jax.random.normal(jax.random.key(2), (TASKS, WAYS * QUERIES, 32, 32, 3))
    return support, query


def _loss_with(form):
    def loss(parameters, x):
        labels = jnp.arange(x.shape[0]) % WAYS
        weights, readout = parameters
        for w in weights:
            x = form(x, w)
            x = (x - x.mean((0, 1, 2))) * jax.lax.rsqrt(x.var((0, 1, 2)) + 1e-5)
            n, height, width, channels = x.shape
            x = jax.nn.relu(x).reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
        logits = x.reshape(x.shape[0], -1) @ readout
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(x.shape[0]), labels])

    return loss


def _of_task(form):
    loss = _loss_with(form)

    def adapted_loss(parameters, support, query):
        def inner(parameters, _):
            return jax.tree.map(lambda p, g: p - RATE * g, parameters, jax.grad(loss)(parameters, support)), None

        return loss(jax.lax.scan(inner, parameters, length=STEPS)[0], query)

    return jax.grad(adapted_loss)


def _ours():
    def step(parameters, support, query):
        task = _of_task(convolution)
        gradients = jax.lax.map(lambda task_data: task(parameters, *task_data), (support, query))
        return jax.tree.map(lambda p, g: p - 0.001 * g.mean(0), parameters, gradients)

    return _run(step)


def _naive():
    def step(parameters, support, query):
        gradients = jax.vmap(_of_task(convolution_reference), in_axes=(None, 0, 0))(parameters, support, query)
        return jax.tree.map(lambda p, g: p - 0.001 * g.mean(0), parameters, gradients)

    return _run(step)


def _run(step):
    compiled, parameters, data = jax.jit(step), _parameters(jax.random.key(0)), _tasks()
    return lambda: jax.block_until_ready(compiled(parameters, *data))


def _torch_parts():
    import torch
    from torch.nn import functional

    torch.manual_seed(0)
    shapes = [(CHANNELS, 3 if i == 0 else CHANNELS, 3, 3) for i in range(4)] + [(WAYS, 4 * CHANNELS)]
    parameters = [(torch.randn(shape) / 12).requires_grad_() for shape in shapes]
    tasks = [torch.randn(TASKS, count, 3, 32, 32) for count in (WAYS, WAYS * QUERIES)]

    def loss(parameters, x):
        labels = torch.arange(x.shape[0]) % WAYS
        for w in parameters[:4]:
            x = functional.conv2d(x, w, padding=1)
            x = functional.batch_norm(x, None, None, training=True)
            x = functional.max_pool2d(functional.relu(x), 2)
        return functional.cross_entropy(x.flatten(1) @ parameters[4].T, labels)

    return torch, parameters, tasks, loss


def _torch_loop():
    torch, parameters, (support, query), loss = _torch_parts()

    def step():
        gradient = [torch.zeros_like(p) for p in parameters]
        for s, q in zip(support, query, strict=True):
            fast = parameters
            for _ in range(STEPS):
                slopes = torch.autograd.grad(loss(fast, s), fast, create_graph=True)
                fast = [p - RATE * g for p, g in zip(fast, slopes, strict=True)]
            for sum_, g in zip(gradient, torch.autograd.grad(loss(fast, q), parameters), strict=True):
                sum_ += g / TASKS
        return gradient

    return step


def _torch_func():
    torch, parameters, (support, query), loss = _torch_parts()

    def adapted_loss(parameters, s, q):
        for _ in range(STEPS):
            slopes = torch.func.grad(loss)(parameters, s)
            parameters = tuple(p - RATE * g for p, g in zip(parameters, slopes, strict=True))
        return loss(parameters, q)

    fixed = tuple(p.detach() for p in parameters)
    gradient = torch.func.vmap(torch.func.grad(adapted_loss), in_dims=(None, 0, 0))
    return lambda: gradient(fixed, support, query)


FORMS = {"ours": _ours, "naive JAX": _naive, "PyTorch, loop": _torch_loop, "PyTorch, torch.func": _torch_func}
