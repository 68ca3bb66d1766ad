"""All singular values of a 3 x 3 convolution of 64 channels on images of 32 x 32."""

import jax
from jax import numpy as jnp
from peers.usual_numpy import IMAGE, weights

from deepphenomena.spectra import singular_values_of_convolution


def _ours():
    compiled, w = jax.jit(lambda w: singular_values_of_convolution(w, IMAGE)), jnp.asarray(weights())
    return lambda: compiled(w).block_until_ready()


def _naive():
    compiled = jax.jit(lambda w: jnp.linalg.svd(jnp.fft.fft2(w, IMAGE, axes=(0, 1)), compute_uv=False))
    w = jnp.asarray(weights())
    return lambda: compiled(w).block_until_ready()


FORMS = {"ours": _ours, "naive JAX": _naive, "NumPy": "usual_numpy.singular_values"}
