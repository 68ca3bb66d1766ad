"""A second-order MAML step (Finn et al. 2017): 16 tasks of 5 ways and 1 shot, 5 inner steps, 15 queries a class.

The network is their conv4-32 (3 x 3 convolution, batch statistics, ReLU, 2 x 2 max-pooling) on images of 32 x 32 x 3.
Everything under vmap on XLA's own convolution takes minutes to compile and is left out. ANIL and MAML are compared in
training (the same step) and in inference (adapting to one task and predicting).
"""

import functools

import jax
from flax import nnx
from jax import numpy as jnp

from deepphenomena.nets.conv4 import Conv4
from deepphenomena.papers.maml_anil import adapt, layer_mask, meta_loss
from deepphenomena.tasks.few_shot import Examples, Task

TASKS, WAYS, QUERIES, STEPS, FILTERS, RATE = 16, 5, 15, 5, 32, 0.01


def _examples(key, count):
    labels = jnp.tile(jnp.arange(WAYS), (TASKS, count // WAYS))
    return Examples(jax.random.normal(jax.random.key(key), (TASKS, count, 32, 32, 3)), labels)


def _loss_of(network):
    def loss(parameters, examples):
        log_probabilities = jax.nn.log_softmax(network(parameters, examples.x))
        return -jnp.mean(log_probabilities[jnp.arange(len(examples.y)), examples.y])

    return loss


def _parts():
    model = Conv4((32, 32, 3), filters=FILTERS, outputs=WAYS, halving="pool", key=jax.random.key(0))
    definition, parameters = nnx.split(model)
    tasks = Task(_examples(1, WAYS), _examples(2, WAYS * QUERIES))
    return (lambda parameters, x: nnx.merge(definition, parameters)(x)), parameters, tasks


def _mask(parameters, part):
    return layer_mask(parameters, lambda path: path.startswith(part))


def _step(part):
    network, parameters, tasks = _parts()
    outer = meta_loss(_loss_of(network), mask=_mask(parameters, part), rate=RATE, steps=STEPS)
    gradient = jax.jit(jax.grad(outer))
    return lambda: jax.block_until_ready(gradient(parameters, tasks))


def _inference(part):
    network, parameters, tasks = _parts()
    task = jax.tree.map(lambda leaf: leaf[0], tasks)
    mask = _mask(parameters, part)

    @jax.jit
    def predict(parameters, task):
        adapted = adapt(_loss_of(network), parameters, task.support, mask=mask, rate=RATE, steps=STEPS)
        return jnp.argmax(network(adapted, task.query.x), -1)

    return lambda: jax.block_until_ready(predict(parameters, task))


def _torch_parts():
    import torch
    from torch.nn import functional

    torch.manual_seed(0)
    parameters = []
    for inputs in (3, FILTERS, FILTERS, FILTERS):
        parameters += [torch.randn(FILTERS, inputs, 3, 3) / 12, torch.ones(FILTERS), torch.zeros(FILTERS)]
    parameters += [torch.zeros(WAYS, 4 * FILTERS), torch.zeros(WAYS)]
    parameters = [p.requires_grad_() for p in parameters]
    tasks = [torch.randn(TASKS, count, 3, 32, 32) for count in (WAYS, WAYS * QUERIES)]

    def loss(parameters, x):
        labels = torch.arange(x.shape[0]) % WAYS
        for k in range(4):
            weight, scale, bias = parameters[3 * k : 3 * k + 3]
            x = functional.conv2d(x, weight, padding=1)
            x = functional.batch_norm(x, None, None, scale, bias, training=True)
            x = functional.max_pool2d(functional.relu(x), 2)
        return functional.cross_entropy(functional.linear(x.flatten(1), *parameters[12:]), labels)

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
    slopes_of = torch.func.grad(adapted_loss)

    def step():  # task by task: torch.func.vmap over adapted weights is a grouped convolution, which takes minutes
        of_tasks = (slopes_of(fixed, s, q) for s, q in zip(support, query, strict=True))
        return [sum(terms) / TASKS for terms in zip(*of_tasks, strict=True)]

    return step


_maml, _anil = functools.partial(_step, ""), functools.partial(_step, "head")
FORMS = {"ours": _maml, "PyTorch, loop": _torch_loop, "PyTorch, torch.func": _torch_func}
ANIL_TRAINING = {"ours": _anil, "MAML": _maml}
ANIL_INFERENCE = {"ours": functools.partial(_inference, "head"), "MAML": functools.partial(_inference, "")}
