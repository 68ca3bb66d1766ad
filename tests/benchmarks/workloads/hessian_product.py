"""A Hessian-vector product of the loss of `training_step`'s network on 256 images."""

import jax

from workloads import training_step

IMAGES = 256


def _jax(loss):
    def setup():
        def product(parameters, along, images, labels):
            gradient = jax.grad(lambda p: loss(p, (images, labels)))
            return jax.jvp(gradient, (parameters,), (along,))[1]

        parameters, along = (training_step.parameters(jax.random.key(i)) for i in range(2))
        compiled, data = jax.jit(product), training_step.batch(IMAGES)
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
    "ours": _jax(training_step.ours),
    "naive JAX": _jax(training_step.naive),
    "PyTorch": _torch,
}
