"""Estimates of the density and the trace of an operator that is too large to diagonalize, from random probes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray, PyTree

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra.lanczos import check_count, lanczos, random_vector
from deepphenomena.spectra.operators import VectorProduct


class SpectralDensity(NamedTuple):
    """Each probe's quadrature rule for the eigenvalue density `phi(t) = (1/dimension) sum_i delta(t - lambda_i)`.

    `sum(weights * g(nodes), axis=1)` estimates the integral of g against phi, once per probe. The mean over probes is
    the estimate and their spread its error. Nodes are eigenvalues. The weights of a probe are non-negative and sum to
    one.

    Example:
        >>> product = lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v
        >>> density = spectra.spectral_density(product, jnp.zeros(3), key=jax.random.key(0), steps=3, probes=4)
        >>> density.weights.sum(axis=1).round(3)
        Array([1., 1., 1., 1.], dtype=float32)
    """

    nodes: Float[Array, "probes steps"]
    weights: Float[Array, "probes steps"]


class TraceEstimate(NamedTuple):
    """The mean over probes and its standard error (NaN for a single probe), in the units of the eigenvalues.

    Example:
        >>> product = lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v
        >>> float(spectra.trace(product, jnp.zeros(3), key=jax.random.key(0)).standard_error)
        0.0
    """

    value: Float[Array, ""]
    standard_error: Float[Array, ""]


def spectral_density(
    product: VectorProduct, like: PyTree, *, key: PRNGKeyArray, steps: int = 64, probes: int = 8
) -> SpectralDensity:
    """Estimate the eigenvalue density of a symmetric operator by stochastic Lanczos quadrature, with steps · probes
    products.

    Every probe is a random direction. Its Lanczos tridiagonal matrix gives a Gauss quadrature of the spectrum: nodes
    are the Ritz values, and weights the squared first components of their vectors (Golub and Welsch 1969; for Hessians
    of networks, Ghorbani et al. 2019, algorithm 1). Exact in the moments up to 2 steps − 1 for each probe; unbiased
    over probes. `like` is a tree with the shapes and dtypes of the operator's vectors.

    Raises:
        InputError: for fewer than one probe, and as `lanczos`.

    Example:
        >>> product = lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v
        >>> spectra.spectral_density(product, jnp.zeros(3), key=jax.random.key(0), steps=3, probes=4).nodes.shape
        (4, 3)
    """
    check_count(probes, "probes")

    def quadrature(key):
        values, vectors = jnp.linalg.eigh(lanczos(product, random_vector(like, key=key), steps=steps).tridiagonal)
        return values, vectors[0] ** 2

    # One probe after another: the basis of each is steps times the size of the parameters.
    return SpectralDensity(*jax.lax.map(quadrature, jax.random.split(key, probes)))


def smooth(density: SpectralDensity, grid: Float[Array, " points"], *, width: float) -> Float[Array, " points"]:
    """Evaluate the density on `grid`, averaged over probes and smoothed by a Gaussian of standard deviation `width`.

    `grid` and `width` are in the units of the eigenvalues, and the result is per unit. It integrates to one over a grid
    that extends beyond the spectrum by several widths.

    Raises:
        InputError: if `width` is not positive.

    Example:
        >>> product = lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v
        >>> density = spectra.spectral_density(product, jnp.zeros(3), key=jax.random.key(0), steps=3)
        >>> spectra.smooth(density, jnp.linspace(0, 4, 50), width=0.1).shape
        (50,)
    """
    if not width > 0:
        raise InputError(
            f"the kernel's width is {width}: it must be positive; try a hundredth of the spectrum's range."
        )
    kernel = jax.scipy.stats.norm.pdf(grid[:, None, None], density.nodes, width)
    return jnp.sum(density.weights * kernel, axis=(1, 2)) / density.nodes.shape[0]


def trace(product: VectorProduct, like: PyTree, *, key: PRNGKeyArray, probes: int = 32) -> TraceEstimate:
    """Estimate the trace of a symmetric operator from `probes` products with random signs (Hutchinson 1989).

    Unbiased, with variance `2 sum_{i != j} A_ij^2 / probes`: exact for a diagonal matrix. `like` as in
    `spectral_density`.

    Raises:
        InputError: for fewer than one probe.

    Example:
        >>> product = lambda v: jnp.asarray([3.0, 2.0, 1.0]) * v
        >>> float(spectra.trace(product, jnp.zeros(3), key=jax.random.key(0)).value)
        6.0
    """
    check_count(probes, "probes")
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
    flat, unravel = ravel_pytree(zeros)

    def sample(key):
        signs = jax.random.rademacher(key, flat.shape, flat.dtype)
        return jnp.vdot(signs, ravel_pytree(product(unravel(signs)))[0], precision="highest")

    samples = jax.lax.map(sample, jax.random.split(key, probes))
    return TraceEstimate(jnp.mean(samples), jnp.std(samples, ddof=1) / jnp.sqrt(probes))
