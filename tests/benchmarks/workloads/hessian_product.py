"""A Hessian-vector product of the loss of `training_step`'s network on 256 images."""

import jax
from peers.sizes import IMAGES

from workloads import training_step


def _jax(loss):
    def setup():
        def product(parameters, along, images, labels):
            gradient = jax.grad(lambda p: loss(p, (images, labels)))
            return jax.jvp(gradient, (parameters,), (along,))[1]

        parameters, along = (training_step.parameters(jax.random.key(i)) for i in range(2))
        compiled, data = jax.jit(product), training_step.batch(IMAGES)
        return lambda: jax.block_until_ready(compiled(parameters, along, *data))

    return setup


FORMS = {
    "ours": _jax(training_step.ours),
    "naive JAX": _jax(training_step.naive),
    "PyTorch": "pytorch.hessian_product",
}
