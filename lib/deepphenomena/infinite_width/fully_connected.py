"""Kernel matrices of infinitely wide, fully connected networks, tile by tile."""

from functools import partial
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float, Real

from deepphenomena.infinite_width._gpu import matrices_on_gpu
from deepphenomena.infinite_width._inputs import checked_inputs, in_float64
from deepphenomena.infinite_width._tiles import CLOSED_FORMS, Prior, climb, from_tiles, through, through_layers
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown


class KernelMatrices(NamedTuple):
    """The NNGP and NTK kernels of one architecture.

    Attributes:
        nngp: covariance of the outputs of the wide network at initialization.
        ntk: the neural tangent kernel in the NTK parameterization, with all weights and biases trained.

    Example:
        >>> kernels = infinite_width.kernel_matrix(jnp.eye(3), depth=2)
        >>> kernels.nngp.shape, kernels.ntk.shape
        ((3, 3), (3, 3))
    """

    nngp: Float[Array, "n1 n2"]
    ntk: Float[Array, "n1 n2"]


def kernel_matrix(
    x1: Real[Array, "n1 features"],
    x2: Real[Array, "n2 features"] | None = None,
    *,
    depth: int,
    activation: str = "relu",
    weight_variance: float | Float[Array, ""] = 2.0,
    bias_variance: float | Float[Array, ""] = 0.0,
    tile: int | None = None,
) -> KernelMatrices:
    """Compute the NNGP and NTK of a fully connected network with `depth` hidden layers, at every pair of inputs.

    With `K⁰ = σ_w² x·x'/d + σ_b²` and `Θ⁰ = K⁰`, each hidden layer computes `K' = σ_w² E[φφ] + σ_b²` and
    `Θ' = K' + σ_w² E[φ'φ'] Θ`. Each tile passes through all layers before it is written: apart from the result, memory
    does not depend on n. If x2 is left out, the matrix is symmetric: only one side is computed, and the diagonal is
    exact. Differentiable in the inputs and the variances. Outside jit, a small matrix is computed in float64 on a CPU
    and rounded; otherwise float32 can give near inputs a negative eigenvalue: add a small multiple of the identity, or
    use `jax.enable_x64`, before a Cholesky decomposition.

    Args:
        x1, x2: inputs as rows; x2 defaults to x1. Integers and half precision are promoted to float32.
        depth: number of hidden layers, at least 0.
        activation: "relu", "erf" or "identity".
        weight_variance: σ_w², the variance of a weight times its fan-in.
        bias_variance: σ_b².
        tile: rows and columns of a tile. The default depends on the platform. The result does not depend on it.

    Raises:
        InputError: for inputs that are not matrices with the same number of columns, an unknown activation, a negative
            depth or variance, a tile below 1 or no inputs.

    Source: Lee et al. 2018, "Deep neural networks as Gaussian processes", equation 5; Jacot et al. 2018, "Neural
    tangent kernel", Theorem 1.

    Example:
        >>> np.asarray(infinite_width.kernel_matrix(jnp.eye(2), depth=1).ntk, float).round(3)
        array([[2.   , 0.318],
               [0.318, 2.   ]])
    """
    depth, tile = check_kernel(depth, activation, tile)
    prior, phi = Prior.checked(weight_variance, bias_variance), CLOSED_FORMS[activation]
    x1, x2 = checked_inputs(x1, x2)
    if x1.ndim != 2 or (x2 is not None and (x2.ndim != 2 or x2.shape[1] != x1.shape[1])):
        shapes = f"{x1.shape}" if x2 is None else f"{x1.shape} and {x2.shape}"
        raise InputError(f"inputs {shapes} of a kernel matrix: they must be (samples, features) with equal features.")

    def matrices(x1, x2, *variances):
        prior = Prior(*variances)
        one, other = (None if x is None else _Inputs(x, *climb(phi, prior, depth, _squares(x))) for x in (x1, x2))

        def tiled(one, other):
            return _in_tiles(one, other, prior, phi, tile)

        def fused(one, other):
            return _fused(activation, one, other, prior)

        pallas = tile is None and depth > 0 and one.x.dtype == jnp.float32
        return lax.platform_dependent(one, other, **({"cuda": fused} if pallas else {}), default=tiled)

    return KernelMatrices(*in_float64(matrices, x1, x2, *prior, passes=depth + 1))


def _in_tiles(one, other, prior, phi, tile):
    def layer(pair, sides):
        one, other = sides
        return through(phi, prior.affine(*pair), jax.tree.map(lambda side: side[:, None], one), other)

    def of_tile(one, other):
        # Read from its own memory, a layer's side is one contiguous load for a row of the tile.
        sides = lax.optimization_barrier(jax.tree.map(lambda side: side.T, (one.sides, other.sides)))
        return jnp.stack(prior.affine(*through_layers(layer, one.x @ other.x.T / one.x.shape[1], sides)))

    # A CPU's tile fits one core's cache; elsewhere a tile is as large as keeps temporaries small beside the result.
    diagonal = _diagonal(one, prior) if other is None else None
    return from_tiles(of_tile, one, other, diagonal=diagonal, tile=tile, cpu=256, elsewhere=4096)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _fused(activation, one, other, prior):
    nngp, ntk = matrices_on_gpu(one, other, phi=CLOSED_FORMS[activation], prior=prior)
    if other is not None:
        return nngp, ntk
    here = jnp.arange(nngp.shape[0])
    return tuple(k.at[here, here].set(d) for k, d in zip((nngp, ntk), _diagonal(one, prior), strict=True))


@_fused.defjvp
def _fused_jvp(activation, primals, tangents):
    """Take the derivatives of the tiled form, which computes the same function."""

    def tiled(one, other, prior):
        return _in_tiles(one, other, prior, CLOSED_FORMS[activation], None)

    return _fused(activation, *primals), jax.jvp(tiled, primals, tangents)[1]


def _diagonal(inputs, prior):
    return jnp.stack(prior.affine(*inputs.last))


class _Inputs(NamedTuple):
    """Inputs with the per-input quantities that the layers need. Samples are the leading axis of every array."""

    x: Array
    sides: tuple
    last: tuple


def _squares(x):
    return jnp.sum(x * x, axis=1) / x.shape[1]


def check_kernel(depth: int, activation: str, tile: int | None) -> tuple[int, int | None]:
    """Return (depth, tile) of a kernel matrix as Python's integers. Raise InputError unless they can be used."""
    if activation not in CLOSED_FORMS:
        raise unknown("activation of an infinitely wide network", activation, CLOSED_FORMS)
    depth = numbers.whole("depth", depth)
    return depth, None if tile is None else numbers.whole("tile", tile, minimum=1)
