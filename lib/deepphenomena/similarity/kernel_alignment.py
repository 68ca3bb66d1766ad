"""CKA with a Gaussian kernel, and the unbiased estimate of CKA for any kernel."""

import math
from functools import partial

import jax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, shown, unknown
from deepphenomena.similarity.moments import check_activations, product, rescale, rescaled
from deepphenomena.similarity.subspaces import reciprocal

KERNELS = ("linear", "rbf")
UNBIASED_MINIMUM = 4  # samples; the unbiased estimate divides by n − 3


def rbf_cka(x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, bandwidth: float = 0.5) -> Float[Array, ""]:
    """Return CKA with the kernel exp(−d²/(2σ²)), where σ is `bandwidth` times the median distance of the samples.

    It is between 0 and 1, and 0 if a side is constant. It is invariant to rotations, isotropic scalings and shifts of
    either side. It needs two matrices of samples × samples; for long streams use `minibatch_cka`.

    Source: Kornblith et al. (2019), "Similarity of neural network representations revisited", section 3 (the biased
    estimate) and section 4 for the bandwidth.

    Raises:
        InputError: as `cca`, or a bandwidth that is not above 0.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (200, 3))
        >>> round(float(similarity.rbf_cka(x, 2 * x[:, ::-1] + 1)), 3)  # invariant to rotation, scale, shift
        1.0
    """
    return _rbf_cka(*check_activations(x, y), check_bandwidth(bandwidth))


def unbiased_cka(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], *, kernel: str = "linear", bandwidth: float = 0.5
) -> Float[Array, ""]:
    """Return CKA from unbiased estimates of its three terms. Independent features give 0 on average.

    Values can be below 0, for independent features, and are NaN if a term of the denominator is not above 0.

    Source: Song et al. (2012), "Feature selection via dependence maximization", equation 5, for HSIC₁; Nguyen et al.
    (2021), "Do wide and deep networks learn the same things?", section 3, for its use in CKA.

    Args:
        x, y: activations of the same samples, four or more.
        kernel: "linear" or "rbf".
        bandwidth: of the kernel "rbf", as in `rbf_cka`.

    Raises:
        InputError: as `rbf_cka`, fewer than four samples, or an unknown kernel.

    Example:
        >>> x, y = jax.random.normal(jax.random.key(0), (2, 500, 400))
        >>> abs(float(similarity.unbiased_cka(x, y))) < 0.02, float(similarity.linear_cka(x, y)) > 0.4
        (True, True)
    """
    check_kernel(kernel)
    x, y = check_activations(x, y)
    if len(x) < UNBIASED_MINIMUM:
        raise InputError(f"{len(x)} samples: the unbiased estimate needs {UNBIASED_MINIMUM} or more.")
    return _unbiased_cka(x, y, kernel, check_bandwidth(bandwidth))


def check_kernel(kernel: str) -> None:
    """Raise InputError for an unknown kernel."""
    if kernel not in KERNELS:
        raise unknown("kernel", str(kernel), KERNELS)


def check_bandwidth(bandwidth: float) -> float:
    """Return the bandwidth. Raise InputError unless it is finite and above 0."""
    if not (isinstance(bandwidth, int | float) and math.isfinite(bandwidth) and bandwidth > 0):
        raise InputError(f"bandwidth {shown(bandwidth)}: it must be finite and above 0; 0.5 is usual.")
    return float(bandwidth)


@jax.jit
def _rbf_cka(x, y, bandwidth):
    k, m = (centered(rbf_gram(rescaled(rescale(a, jnp.max)), bandwidth)) for a in (x, y))
    return aligned((k * m).sum(), (k * k).sum(), (m * m).sum())


@partial(jax.jit, static_argnums=2)
def _unbiased_cka(x, y, kernel, bandwidth):
    k, m = (u_centered(gram(rescaled(rescale(a, jnp.max)), kernel, bandwidth)) for a in (x, y))
    xx, yy = (k * k).sum(), (m * m).sum()
    return (k * m).sum() / jnp.sqrt(xx) / jnp.sqrt(yy)


def gram(z: Float[Array, "samples features"], kernel: str, bandwidth) -> Float[Array, "samples samples"]:
    """Return the Gram matrix of centered activations."""
    return product(z, z.T) if kernel == "linear" else rbf_gram(z, bandwidth)


def rbf_gram(z: Float[Array, "samples features"], bandwidth) -> Float[Array, "samples samples"]:
    """Return exp(−d²/(2σ²)) of centered activations, with σ in units of the median distance of different samples.

    If half of the pairs are duplicates, the median is 0. The kernel is then its limit, 1 for equal samples and else 0.
    """
    inner = product(z, z.T)
    norms = jnp.diagonal(inner)
    squares = jnp.maximum(norms[:, None] + norms[None] - 2 * inner, 0)
    # A sum of this size rounds to less than this; equal samples then have distance 0, as they must.
    rounding = 8 * jnp.finfo(z.dtype).eps * (norms[:, None] + norms[None])
    squares = jnp.where((squares <= rounding) | jnp.eye(len(z), dtype=bool), 0, squares)
    upper = squares[jnp.triu_indices(len(z), 1)]
    wide = 2 * (bandwidth * jnp.median(jnp.sqrt(upper))) ** 2
    return jnp.where(wide > 0, jnp.exp(-squares * reciprocal(wide)), (squares == 0).astype(z.dtype))


def centered(k: Float[Array, "samples samples"]) -> Float[Array, "samples samples"]:
    """Return a symmetric matrix without its row and column means."""
    rows = k.mean(0)
    return k - rows - rows[:, None] + rows.mean()


def u_centered(k: Float[Array, "samples samples"]) -> Float[Array, "samples samples"]:
    """Return the U-centered matrix: HSIC₁ of two kernels is the sum of products of theirs over n (n − 3).

    It does not change if a row vector and the same column vector are added to the kernel.

    Source: Székely and Rizzo (2014), "Partial distance correlation with methods for dissimilarities", definition 2.
    """
    n = len(k)
    k = centered(k)  # changes nothing in exact arithmetic, and removes what would cancel
    off = k - jnp.diag(jnp.diagonal(k))
    rows = off.sum(0)
    a = off - (rows + rows[:, None]) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return a - jnp.diag(jnp.diagonal(a))


def aligned(xy, xx, yy):
    """Return xy / √(xx yy), 0 if a side is constant, and at most 1."""
    scale = jnp.sqrt(jnp.where(xx == 0, 1, xx)) * jnp.sqrt(jnp.where(yy == 0, 1, yy))
    return jnp.minimum(xy / scale, 1)
