"""Centered kernel alignment (CKA) with linear kernels."""

import jax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime.arrays import Array
from deepphenomena.similarity.moments import check_activations, product, rescale, rescaled, second_moments


@jax.jit
def _linear_cka(x, y):
    scaled = [rescale(a, jnp.max) for a in (x, y)]
    finite = jnp.isfinite(scaled[0].shift).all() & jnp.isfinite(scaled[1].shift).all()
    n, p, q = x.shape[0], x.shape[1], y.shape[1]
    if n * (p + q) < p * p + q * q + p * q:
        x, y = (rescaled(a) for a in scaled)
        gram_x, gram_y = product(x, x.T), product(y, y.T)
        xx, yy, xy = (gram_x**2).sum(), (gram_y**2).sum(), (gram_x * gram_y).sum()
    else:
        xx, yy, xy = ((moment**2).sum() for moment in second_moments(*scaled))
    # A constant side has xx = 0, where the derivative of the root is infinite; xy is 0 there whatever the divisor.
    scale = jnp.sqrt(jnp.where(xx == 0, 1, xx)) * jnp.sqrt(jnp.where(yy == 0, 1, yy))
    return jnp.where(finite, jnp.minimum(xy / scale, 1), jnp.nan)


def linear_cka(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> Float[Array, ""]:
    """Return linear CKA: ‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖), with Frobenius norms of centered features.

    It is between 0 and 1, and 0 if a side is constant. It is invariant to rotations, isotropic scalings and shifts of
    either side, but not to other invertible maps. It is computed over features or over samples, whichever is faster.

    Source: Kornblith et al. (2019), "Similarity of neural network representations revisited", section 3 (the biased
    estimate: independent features do not give 0 for finite samples).

    Raises:
        InputError: as `cca`.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> round(float(similarity.linear_cka(x, 2 * x[:, ::-1] + 1)), 3)  # invariant to rotation, scale, shift
        1.0
    """
    return _linear_cka(*check_activations(x, y))
