"""A second-order MAML step (Finn et al. 2017): 16 tasks of 5 ways and 1 shot, 5 inner steps, 15 queries a class.

The network is their conv4-32 (3 x 3 convolution, batch statistics, ReLU, 2 x 2 max-pooling) on images of 32 x 32 x 3.
Everything under vmap on XLA's own convolution takes minutes to compile and is left out. ANIL and MAML are compared in
training (the same step) and in inference (adapting to one task and predicting).
"""

import functools

import jax
from flax import nnx
from jax import numpy as jnp
from peers.sizes import FILTERS, QUERIES, RATE, STEPS, TASKS, WAYS

from deepphenomena.nets.conv4 import Conv4
from deepphenomena.papers.maml_anil import adapt, layer_mask, meta_loss
from deepphenomena.tasks.few_shot import Examples, Task


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


_maml, _anil = functools.partial(_step, ""), functools.partial(_step, "head")
FORMS = {"ours": _maml, "PyTorch, loop": "pytorch.maml_loop", "PyTorch, torch.func": "pytorch.maml_func"}
ANIL_TRAINING = {"ours": _anil, "MAML": _maml}
ANIL_INFERENCE = {"ours": functools.partial(_inference, "head"), "MAML": functools.partial(_inference, "")}
