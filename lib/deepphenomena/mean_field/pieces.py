"""Expectations of functions with kinks, jumps or fast growth under a Gaussian, by Gauss-Legendre rules between breaks.

`mean_field.expectation` is exact for smooth functions, but loses digits at a kink (1e-5) and at a jump (1e-3). The rule
here loses none if the breaks are named, at any variance.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from deepphenomena.mean_field.quadrature import Function, Number

_REACH = 16.0  # standard deviations; leaves room for functions that grow as exp(4√q |z|) / q
_PANELS, _NODES = 48, 20  # on each side of the origin


def expectation(function: Function, q: Number, *, breaks: Sequence[float] = (0.0,)) -> Number:
    """Compute `E[f(√q z)]` for standard normal z, where f is smooth between the breaks.

    Args:
        function: elementwise.
        q: the variance.
        breaks: the arguments of f at which it or its slope jumps; at most a few.

    Example:
        >>> with jax.enable_x64(True):
        ...     above = float(mean_field.pieces.expectation(lambda u: 1.0 * (u > 1), 1.0, breaks=[1.0]))  # P(z > 1)
        >>> round(above, 12)
        0.158655253931
    """
    dtype = jnp.result_type(q, float)
    scale = jnp.sqrt(jnp.asarray(q, dtype))
    panels = jnp.linspace(-_REACH, _REACH, 2 * _PANELS + 1, dtype=dtype)
    cuts = jnp.clip(jnp.asarray(list(breaks), dtype) / scale, -_REACH, _REACH)
    edges = jnp.sort(jnp.concatenate([panels, cuts]))
    nodes, weights = (jnp.asarray(of, dtype) for of in np.polynomial.legendre.leggauss(_NODES))
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    z = middle[:, None] + half[:, None] * nodes
    density = jnp.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return jnp.sum(half[:, None] * weights * density * function(scale * z))
