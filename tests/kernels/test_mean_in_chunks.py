"""A mean taken in chunks is the mean: values, derivatives of both orders, whatever the chunk."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from deepphenomena.kernels import convolution, mean_in_chunks
from deepphenomena.runtime.errors import InputError


def loss(parameters, batch):
    images, labels = batch
    hidden = jnp.tanh(convolution(images, parameters["w"])).mean((1, 2))
    logits = hidden @ parameters["readout"]
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0])


def problem(samples, dtype=jnp.float64):
    rng = np.random.default_rng(samples)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), dtype)

    parameters = {"w": normal(3, 3, 2, 4), "readout": normal(4, 3)}
    along = {"w": normal(3, 3, 2, 4), "readout": normal(4, 3)}
    return parameters, along, (normal(samples, 5, 4, 2), jnp.asarray(rng.integers(0, 3, samples)))


def close(ours, theirs, tolerance=1e-12):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("samples", "chunk"), [(1, 4), (6, 3), (7, 3)])
def test_value_gradient_and_hessian_product_are_those_of_the_whole_batch(samples, chunk):
    with jax.enable_x64(True):
        parameters, along, batch = problem(samples)
        for form in (lambda f: f, lambda f: lambda p, b: jax.value_and_grad(f)(p, b)):
            close(form(mean_in_chunks(loss, samples=chunk))(parameters, batch), form(loss)(parameters, batch))

        def product(f):
            return jax.jit(lambda p: jax.jvp(jax.grad(lambda p: f(p, batch)), (p,), (along,))[1])(parameters)

        close(product(mean_in_chunks(loss, samples=chunk)), product(loss))


def test_the_hessian_product_is_the_difference_of_gradients():
    with jax.enable_x64(True):
        parameters, along, batch = problem(7)
        gradient = jax.grad(lambda p: mean_in_chunks(loss, samples=3)(p, batch))
        product = jax.jvp(gradient, (parameters,), (along,))[1]
        step = 1e-5

        def at(distance):
            return gradient(jax.tree.map(lambda p, a: p + distance * a, parameters, along))

        ahead, behind = at(step), at(-step)
        close(product, jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind), 1e-7)


def test_derivatives_in_the_images_too():
    with jax.enable_x64(True):
        parameters, _, (images, labels) = problem(5)
        ours, theirs = (
            jax.grad(lambda p, x: f(p, (x, labels)), (0, 1))(parameters, images)  # noqa: B023
            for f in (mean_in_chunks(loss, samples=2), loss)
        )
        close(ours, theirs)


def test_members_side_by_side_and_one_by_one():
    with jax.enable_x64(True):
        parameters, along, batch = problem(6)
        members = jax.tree.map(lambda a, b: jnp.stack([a, b]), parameters, along)
        gradient = jax.grad(mean_in_chunks(loss, samples=4))
        batched = jax.vmap(gradient, (0, None))(members, batch)
        close(batched, jax.tree.map(lambda a, b: jnp.stack([a, b]), *(gradient(p, batch) for p in (parameters, along))))


def test_memory_does_not_grow_with_the_batch():
    def temporaries(samples):
        parameters, _, batch = problem(samples, jnp.float32)
        compiled = jax.jit(jax.grad(mean_in_chunks(loss, samples=4))).lower(parameters, batch).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    def whole(samples):
        parameters, _, batch = problem(samples, jnp.float32)
        return jax.jit(jax.grad(loss)).lower(parameters, batch).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(512) < 1.5 * temporaries(64) + 1024 * 512  # the chunks themselves are a view or one copy
    assert whole(512) > 4 * whole(64)


def test_what_is_refused(unchecked_types):
    with pytest.raises(InputError, match="samples 0"):
        mean_in_chunks(loss, samples=0)
    parameters, _, (images, labels) = problem(4, jnp.float32)
    with pytest.raises(InputError, match="leading axes"):
        mean_in_chunks(loss)(parameters, (images, labels[:3]))
