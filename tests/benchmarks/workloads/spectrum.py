"""All singular values of a 3 x 3 convolution of 64 channels on images of 32 x 32."""

import numpy as np

IMAGE = (32, 32)


def _weights():
    return np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)


def _ours():
    import jax

    from deepphenomena.spectra import singular_values_of_convolution

    compiled, w = jax.jit(lambda w: singular_values_of_convolution(w, IMAGE)), jax.numpy.asarray(_weights())
    return lambda: compiled(w).block_until_ready()


def _numpy():
    w = _weights()
    return lambda: np.linalg.svd(np.fft.fft2(w, IMAGE, axes=(0, 1)), compute_uv=False)


def _naive():
    import jax
    from jax import numpy as jnp

    compiled = jax.jit(lambda w: jnp.linalg.svd(jnp.fft.fft2(w, IMAGE, axes=(0, 1)), compute_uv=False))
    w = jnp.asarray(_weights())
    return lambda: compiled(w).block_until_ready()


FORMS = {"ours": _ours, "naive JAX": _naive, "NumPy": _numpy}
