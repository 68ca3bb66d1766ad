"""A Hessian-vector product of the loss of `training_step`'s network on 256 images."""

import jax

from deepphenomena.kernels import convolution, convolution_reference
from workloads import training_step

IMAGES, CHUNK = 256, 32


def _jax(form, chunk):
    def setup():
        loss = training_step.loss_with(form)

        def product(parameters, along, images, labels):
            gradient = jax.grad(lambda p: loss(p, images, labels))
            return jax.jvp(gradient, (parameters,), (along,))[1]

        def summed(parameters, along, images, labels):
            chunks = jax.tree.map(lambda a: a.reshape(-1, chunk, *a.shape[1:]), (images, labels))
            add = lambda total, data: (jax.tree.map(lambda t, p: t + p, total, product(parameters, along, *data)), None)  # noqa: E731
            return jax.lax.scan(add, jax.tree.map(lambda p: 0 * p, parameters), chunks)[0]

        parameters, along = (training_step.parameters(jax.random.key(i)) for i in range(2))
        compiled, data = jax.jit(summed), training_step.batch(IMAGES)
        return lambda: jax.block_until_ready(compiled(parameters, along, *data))

    return setup


def _torch():
    import torch

    network, (images, labels) = training_step.torch_network(), training_step.torch_batch(IMAGES)
    parameters = list(network.parameters())
    along = [torch.randn_like(p) for p in parameters]

    def product():
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True)
        inner = sum((g * d).sum() for g, d in zip(gradient, along, strict=True))
        return torch.autograd.grad(inner, parameters)

    return product


FORMS = {
    "ours": _jax(convolution, CHUNK),
    "naive JAX": _jax(convolution_reference, IMAGES),
    "PyTorch": _torch,
}
