"""A small class-conditional generative model: Gaussian mixtures in the space of the leading principal components.

It creates the Ideal World of any dataset, as the paper created CIFAR-5m from CIFAR-10: fit a model of the images, then
draw any number of samples from it. Labels are correct by construction, because each class has its own mixture.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key

from deepphenomena.generators.samples import Samples, keys_of
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

_RIDGE = 1e-3  # added to covariances, as a fraction of the mean variance of a component


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["mean", "basis", "weights", "centres", "factors"],
    meta_fields=["shape"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class ClassMixture:
    """Sample i: a class chosen uniformly, one of its Gaussians by weight, and mean + basis · (centre + factor · z).

    Pixels are clipped to 0..1. Returned by `class_mixture`.

    Example:
        >>> images = np.random.default_rng(0).uniform(size=(60, 4, 4, 1)).astype(np.float32)
        >>> mixture = generators.class_mixture(images, np.arange(60) % 2, rank=3, gaussians=2, key=jax.random.key(0))
        >>> bool(jnp.all(mixture(jnp.arange(9), key=jax.random.key(1)).labels < 2))
        True
    """

    mean: Float[Array, " pixels"]
    basis: Float[Array, "rank pixels"]
    weights: Float[Array, "classes gaussians"]
    centres: Float[Array, "classes gaussians rank"]
    factors: Float[Array, "classes gaussians rank rank"]
    shape: tuple[int, int, int]
    size = None

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        classes, _, rank = self.centres.shape

        def drawn(key):
            choose, which, noise = jax.random.split(key, 3)
            label = jax.random.randint(choose, (), 0, classes)
            gaussian = jax.random.categorical(which, jnp.log(self.weights[label]))
            return label, gaussian, jax.random.normal(noise, (rank,))

        labels, gaussian, noise = jax.vmap(drawn)(keys_of(index, key))
        codes = self.centres[labels, gaussian] + jnp.einsum("nij,nj->ni", self.factors[labels, gaussian], noise)
        images = jnp.clip(self.mean + codes @ self.basis, 0, 1)
        return Samples(images.reshape(-1, *self.shape), labels)


def class_mixture(
    images: Float[np.ndarray, "n height width channels"],
    labels: Int[np.ndarray, " n"],
    *,
    rank: int = 32,
    gaussians: int = 4,
    iterations: int = 20,
    key: Key[jax.Array, ""],
) -> ClassMixture:
    """Fit principal components, then expectation maximization in each class (Bishop 2006, Section 9.2).

    Args:
        images: 0 to 1.
        labels: from 0; every class up to the largest label has at least `gaussians` images.
        rank: principal components kept, over all classes.
        gaussians: full-covariance Gaussians for each class.
        iterations: steps of expectation maximization.
        key: random key that selects the initial means from the images, as in k-means++.

    Raises:
        InputError: labels that do not match, a rank above the number of pixels, or a class with fewer images than
            Gaussians.

    Example:
        >>> images = np.random.default_rng(0).uniform(size=(60, 4, 4, 1)).astype(np.float32)
        >>> mixture = generators.class_mixture(images, np.arange(60) % 2, rank=3, gaussians=2, key=jax.random.key(0))
        >>> mixture(jnp.arange(5), key=jax.random.key(1)).images.shape
        (5, 4, 4, 1)
    """
    labels = np.asarray(labels)
    if labels.shape != np.shape(images)[:1] or np.ndim(images) != 4:
        raise InputError(
            f"class_mixture of images {np.shape(images)} with labels {labels.shape}: give (n, h, w, c), (n,)"
        )
    counts = np.bincount(labels)
    flat = jnp.asarray(images, jnp.float32).reshape(len(labels), -1)
    if not 1 <= rank <= min(flat.shape):
        raise InputError(f"rank {rank} of class_mixture: give 1 to {min(flat.shape)} for images {np.shape(images)}")
    if counts.min() < gaussians or gaussians < 1:
        raise InputError(
            f"gaussians {gaussians} of class_mixture: give 1 to {counts.min()}, the smallest class's images"
        )
    mean = jnp.mean(flat, 0)
    _, vectors = jnp.linalg.eigh((flat - mean).T @ (flat - mean))
    basis = vectors[:, ::-1][:, :rank].T
    codes = (flat - mean) @ basis.T
    ridge = _RIDGE * jnp.mean(jnp.var(codes, 0))
    fitted = []
    for label, fold in enumerate(jax.random.split(key, len(counts))):
        own = codes[np.flatnonzero(labels == label)]
        start = _spread_out(own, gaussians, fold)
        fitted.append(_expectation_maximisation(own, start, ridge, iterations=iterations))
    weights, centres, covariances = (jnp.stack(parts) for parts in zip(*fitted, strict=True))
    return ClassMixture(
        mean=mean,
        basis=basis,
        weights=weights,
        centres=centres,
        factors=jnp.linalg.cholesky(covariances),
        shape=tuple(np.shape(images)[1:]),
    )


def _spread_out(codes: Float[Array, "n rank"], count: int, key) -> Float[Array, "count rank"]:
    """Choose initial codes, each with probability proportional to its squared distance from the others (k-means++)."""
    chosen, nearest = [], jnp.ones(len(codes))
    for fold in jax.random.split(key, count):
        chosen.append(codes[jax.random.choice(fold, len(codes), p=nearest / jnp.sum(nearest))])
        distances = jnp.sum((codes - chosen[-1]) ** 2, -1)
        nearest = jnp.minimum(nearest, distances) if len(chosen) > 1 else distances
    return jnp.stack(chosen)


@functools.partial(jax.jit, static_argnames="iterations")
def _expectation_maximisation(codes, centres, ridge, *, iterations):
    """Return (weights, centers, covariances) of a Gaussian mixture, initialized with one common covariance."""
    gaussians, rank = centres.shape
    floor = ridge * jnp.eye(rank)
    common = jnp.cov(codes, rowvar=False).reshape(rank, rank) + floor

    def step(state, _):
        weights, centres, covariances = state
        factors = jnp.linalg.cholesky(covariances)
        apart = jnp.moveaxis(codes[:, None] - centres, 0, -1)  # (gaussians, rank, n)
        white = jax.lax.linalg.triangular_solve(factors, apart, left_side=True, lower=True)
        half_log_determinant = jnp.sum(jnp.log(jnp.diagonal(factors, axis1=1, axis2=2)), -1)
        logits = jnp.log(weights) - half_log_determinant - 0.5 * jnp.sum(white**2, 1).T  # (n, gaussians)
        responsible = jax.nn.softmax(logits, -1)
        total = jnp.sum(responsible, 0) + 1e-6
        centres = (responsible.T @ codes) / total[:, None]
        apart = codes[:, None] - centres
        covariances = jnp.einsum("nk,nki,nkj->kij", responsible, apart, apart) / total[:, None, None] + floor
        return (total / jnp.sum(total), centres, covariances), None

    start = (jnp.full(gaussians, 1 / gaussians), centres, jnp.broadcast_to(common, (gaussians, rank, rank)))
    return jax.lax.scan(step, start, length=iterations)[0]
