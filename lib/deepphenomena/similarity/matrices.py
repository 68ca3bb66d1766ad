"""Similarity of all pairs of layers of two networks, with one decomposition per layer."""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime import numbers, threads
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown
from deepphenomena.similarity.kernel_alignment import aligned, centered, check_bandwidth, rbf_gram
from deepphenomena.similarity.layers import Layer, decompose
from deepphenomena.similarity.moments import check_activations, product, rescale, rescaled
from deepphenomena.similarity.subspaces import reciprocal

Layers = Mapping[str, Float[Array, "samples _"]]


class _Measure(NamedTuple):
    """`prepare` is called once for each layer, `compare` for each pair of prepared layers."""

    prepare: Callable[[Array], Any]
    compare: Callable[[Any, Any], Array]


def matrix(layers_a: Layers, layers_b: Layers, *, measure: str = "svcca", **options: Any) -> pd.DataFrame:
    """Return the similarity of every layer of one network with every layer of another.

    Each layer is decomposed once, not once for each pair, and the pairs are computed on all cores.

    Args:
        layers_a, layers_b: activations by the name of the layer, (samples, features), all of the same samples in the
            same order. Pass the same mapping twice to compare a network with itself.
        measure: "cca", "svcca", "pwcca", "linear_cka" or "rbf_cka". The weights of "pwcca" come from `layers_a`.
        options: `keep` and `cut` of "svcca" (0.99 of the variance by default) and "pwcca" (all), as in `decompose`;
            `bandwidth` of "rbf_cka".

    Returns:
        A table with a row for each layer of a and a column for each layer of b.

    Raises:
        InputError: an unknown measure or option; a layer, named, that is not a real matrix, has other samples, or has
            an entry that is not finite.

    Example:
        >>> x, y = jax.random.normal(jax.random.key(0), (2, 200, 3))
        >>> similarity.matrix({"conv": x, "head": y}, {"conv": 2 * x}, measure="cca").round(2)["conv"].tolist()[0]
        1.0
    """
    if measure not in _MEASURES:
        raise unknown("measure", str(measure), _MEASURES)
    taken, make = _MEASURES[measure]
    if strange := [name for name in options if name not in taken]:
        raise unknown(f"option of {measure}", strange[0], taken)
    same = layers_b is layers_a
    sides = [_checked(layers_a)] if same else [_checked(layers_a), _checked(layers_b)]
    lengths = {len(layer) for side in sides for layer in side.values()}
    if len(lengths) != 1:
        counts = " and ".join(map(str, sorted(lengths))) or "no"
        raise InputError(f"layers of {counts} samples: all need the same samples, two or more, as rows.")
    prepare, compare = make(**options)
    named = [(side, name) for side in range(len(sides)) for name in sides[side]]
    made = threads.each(lambda place: prepare(sides[place[0]][place[1]]), named)
    prepared = dict(zip(named, made, strict=True))
    other = 0 if same else 1
    rows, columns = list(sides[0]), list(sides[other])
    pairs = list(itertools.product(rows, columns))
    values = threads.each(lambda pair: compare(prepared[0, pair[0]], prepared[other, pair[1]]), pairs)
    values = np.array([float(value) for value in values]).reshape(len(rows), len(columns))
    return pd.DataFrame(values, pd.Index(rows, name="layer_a"), pd.Index(columns, name="layer_b"))


def _checked(layers: Layers) -> dict[str, Array]:
    checked = {}
    for name, layer in layers.items():
        try:
            layer = numbers.array("activations", layer)
            known = check_activations(layer, layer)[0]
        except InputError as problem:
            raise InputError(f"layer '{name}': {problem}") from None
        if not np.isfinite(np.asarray(layer)).all():
            bad = np.unique(np.argwhere(~np.isfinite(np.asarray(layer)))[:, 0])
            raise InputError(
                f"layer '{name}': {len(bad)} of {len(layer)} samples have entries that are not finite, the first is "
                f"sample {bad[0]}; leave them out, or look for what diverged."
            )
        checked[name] = known
    return checked


def _cca(keep: float = 1.0, cut: str = "variance") -> _Measure:
    return _Measure(partial(decompose, keep=keep, cut=cut), _mean_correlation)


def _svcca(keep: float = 0.99, cut: str = "variance") -> _Measure:
    return _cca(keep, cut)


def _pwcca(keep: float = 1.0, cut: str = "variance") -> _Measure:
    return _Measure(partial(decompose, keep=keep, cut=cut), _weighted_correlation)


def _linear_cka() -> _Measure:
    return _Measure(_centered_rows, _linear_alignment)


def _rbf_cka(bandwidth: float = 0.5) -> _Measure:
    return _Measure(partial(_centered_rbf, bandwidth=check_bandwidth(bandwidth)), _kernel_alignment)


_MEASURES = {
    "cca": ((), _cca),
    "svcca": (("keep", "cut"), _svcca),
    "pwcca": (("keep", "cut"), _pwcca),
    "linear_cka": ((), _linear_cka),
    "rbf_cka": (("bandwidth",), _rbf_cka),
}


@jax.jit
def _mean_correlation(a: Layer, b: Layer):
    found = jnp.minimum(a.kept, b.kept)
    rho = jnp.linalg.svd(product(a.directions.T, b.directions), compute_uv=False)
    rho = jnp.where(jnp.arange(len(rho)) < found, jnp.clip(rho, 0, 1), 0)
    return rho.sum() / jnp.maximum(found, 1)


@jax.jit
def _weighted_correlation(a: Layer, b: Layer):
    found = jnp.minimum(a.kept, b.kept)
    left, rho, _ = jnp.linalg.svd(product(a.directions.T, b.directions), full_matrices=False)
    present = jnp.arange(len(rho)) < found
    loadings = a.loadings / jnp.maximum(jnp.abs(a.loadings).max(), jnp.finfo(a.loadings.dtype).tiny)
    shares = jnp.abs(product(loadings, left)).sum(0) * present
    return (shares * jnp.clip(rho, 0, 1)).sum() * reciprocal(shares.sum())


@jax.jit
def _centered_rows(x):
    z = rescaled(rescale(x, jnp.max))
    few = product(z, z.T) if z.shape[0] < z.shape[1] else product(z.T, z)
    return z, jnp.sqrt((few**2).sum())


@jax.jit
def _linear_alignment(a, b):
    (x, xx), (y, yy) = a, b
    if len(x) < min(x.shape[1], y.shape[1]):
        xy = (product(x, x.T) * product(y, y.T)).sum()
    else:
        xy = (product(x.T, y) ** 2).sum()
    return jnp.minimum(xy * reciprocal(xx * yy), 1)


@jax.jit
def _centered_rbf(x, bandwidth):
    k = centered(rbf_gram(rescaled(rescale(x, jnp.max)), bandwidth))
    return k, (k * k).sum()


@jax.jit
def _kernel_alignment(a, b):
    return aligned((a[0] * b[0]).sum(), a[1], b[1])
