"""PyTorch's forms of the workloads. Each sets up and returns what to time."""

import torch
from torch.nn import functional

from peers.sizes import (
    BATCH,
    CHANNELS,
    CKA_BATCH,
    CLASSES,
    DEPTH,
    FILTERS,
    IMAGES,
    LAYERS,
    QUERIES,
    RATE,
    SEED_BATCH,
    SEEDS,
    SIZE,
    STEP_BATCH,
    STEPS,
    TASKS,
    WAYS,
    WIDE,
)


def peak():
    a = torch.ones(2048, 2048)
    return lambda: a @ a


def deep_network():
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


def _network():
    torch.manual_seed(0)
    layers = []
    for given, made, stride in LAYERS:
        layers += [torch.nn.Conv2d(given, made, 3, stride, 1, bias=False), torch.nn.ReLU()]
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(LAYERS[-1][1], CLASSES, bias=False)
    ).to(memory_format=torch.channels_last)


def _batch(size):
    images = torch.randn(size, 3, 32, 32).to(memory_format=torch.channels_last)
    return images, torch.randint(0, CLASSES, (size,))


def _step(size):
    network, (images, labels) = _network(), _batch(size)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def training_step():
    return _step(STEP_BATCH)


def seeds():
    steps = [_step(SEED_BATCH) for _ in range(SEEDS)]

    def run():
        for step in steps:
            step()

    return run


def hessian_product():
    network, (images, labels) = _network(), _batch(IMAGES)
    parameters = list(network.parameters())
    along = [torch.randn_like(p) for p in parameters]

    def product():
        loss = functional.cross_entropy(network(images), labels)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True)
        inner = sum((g * d).sum() for g, d in zip(gradient, along, strict=True))
        return torch.autograd.grad(inner, parameters)

    return product


def _maml():
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

    return parameters, tasks, loss


def maml_loop():
    parameters, (support, query), loss = _maml()

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


def maml_func():
    parameters, (support, query), loss = _maml()

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


def minibatch_cka():
    torch.manual_seed(0)
    x = torch.randn(WIDE)
    y = torch.tanh(x) + torch.randn(WIDE)

    def hsic(k, m):  # the unbiased estimate as it is usually written, from traces and sums of n x n matrices
        n = len(k)
        ones = torch.ones(n, 1)
        total = torch.trace(k @ m) + (ones.T @ k @ ones) * (ones.T @ m @ ones) / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * (ones.T @ k @ m @ ones)) / (n * (n - 3))

    def run():
        terms = torch.zeros(3)
        with torch.no_grad():
            for one, other in zip(x.split(CKA_BATCH), y.split(CKA_BATCH), strict=True):
                k, m = (a @ a.T for a in (one, other))
                k, m = (a.fill_diagonal_(0) for a in (k, m))
                terms += torch.stack([hsic(k, m).squeeze(), hsic(k, k).squeeze(), hsic(m, m).squeeze()])
        return float(terms[0] / torch.sqrt(terms[1] * terms[2]))

    return run
