"""CKA of all pairs of layers over a stream of batches, of any length, with the memory of one batch."""

from collections.abc import Iterable, Mapping
from functools import partial

import jax
import numpy as np
import pandas as pd
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError
from deepphenomena.similarity.kernel_alignment import UNBIASED_MINIMUM, check_bandwidth, check_kernel, gram, u_centered
from deepphenomena.similarity.moments import check_activations

Layers = Mapping[str, Float[Array, "_ _"]]  # batches can differ in size


def minibatch_cka(
    batches: Iterable[tuple[Layers, Layers]], *, kernel: str = "linear", bandwidth: float = 0.5
) -> pd.DataFrame:
    """Return CKA of every layer of one network with every layer of another, from a stream of batches.

    The unbiased estimate of each of the three terms of CKA is averaged over the batches, weighted by their samples, so
    the result does not depend on the batch size on average. Only one batch is held at a time. Batches that are random
    samples of the data estimate `unbiased_cka` of all of it, and one batch with all samples gives just that.

    Args:
        batches: pairs of mappings from the name of a layer to its activations (samples, features), for the same
            samples, four or more. Both can be the same mapping. The names are those of the first batch.
        kernel: "linear" or "rbf".
        bandwidth: of the kernel "rbf", times the median distance within the batch.

    Returns:
        A table with a row for each layer of the first network and a column for each of the second. An entry is NaN if a
        layer does not vary.

    Source: Nguyen et al. (2021), "Do wide and deep networks learn the same things?", section 3, with HSIC₁ of Song et
    al. (2012), "Feature selection via dependence maximization", equation 5.

    Raises:
        InputError: no batch; a batch of fewer than four samples, with other layers than the first, or whose layers
            have different samples; a layer, named, that is not a real matrix or has an entry that is not finite; and
            as `unbiased_cka`.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (4, 50, 3))
        >>> table = similarity.minibatch_cka(({"a": batch}, {"b": 2 * batch}) for batch in x)
        >>> round(float(table.loc["a", "b"]), 3)
        1.0
    """
    check_kernel(kernel)
    bandwidth = check_bandwidth(bandwidth)
    scales: list[dict[str, float]] = [{}, {}]
    terms = None
    weight = 0
    names: list[list[str]] = []
    for number, batch in enumerate(batches):
        one, other = batch
        sides = [one] if other is one else [one, other]
        found = [list(side) for side in (one, other)]
        names = names or found
        if found != names:
            raise InputError(f"batch {number} has the layers {found} and the first {names}: give all batches the same.")
        checked = [_checked(side, number) for side in sides]
        samples = {len(layer) for side in checked for layer in side.values()}
        if len(samples) != 1 or min(samples) < UNBIASED_MINIMUM:
            counts = " and ".join(map(str, sorted(samples))) or "no"
            raise InputError(
                f"batch {number} has layers of {counts} samples: all need the same, {UNBIASED_MINIMUM} or more."
            )
        for side, known in zip(checked, scales, strict=False):
            for name, layer in side.items():
                known.setdefault(name, _scale(layer))
        grams = [
            jnp.stack([_row(layer / known[name], bandwidth, kernel=kernel) for name, layer in side.items()])
            for side, known in zip(checked, scales, strict=False)
        ]
        (n,) = samples
        new = [np.asarray(term, np.float64) / (n * (n - 3)) for term in _terms(grams[0], grams[-1])]
        terms = [n * term + (0 if terms is None else old) for term, old in zip(new, terms or new, strict=True)]
        weight += n
    if terms is None:
        raise InputError("there is no batch: give one or more, as pairs of mappings from names to activations.")
    cross, first, second = (term / weight for term in terms)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = cross / np.sqrt(first)[:, None] / np.sqrt(second)
    return pd.DataFrame(values, pd.Index(names[0], name="layer_a"), pd.Index(names[1], name="layer_b"))


def _checked(layers: Layers, number: int) -> dict[str, Array]:
    checked = {}
    for name, layer in layers.items():
        try:
            layer = numbers.array("activations", layer)
            check_activations(layer, layer)
        except InputError as problem:
            raise InputError(f"layer '{name}' of batch {number}: {problem}") from None
        checked[name] = _shifted(layer)
        if not np.isfinite(checked[name]).all():
            raise InputError(
                f"layer '{name}' of batch {number} has entries that are not finite; leave those samples out, or look "
                "for what diverged."
            )
    return checked


def _shifted(layer):
    """Return a layer without its first sample; wide NumPy arrays stay in float64 until they have been scaled."""
    if numbers.narrowed(layer):
        with np.errstate(invalid="ignore", over="ignore"):
            return layer.astype(np.float64) - layer[0].astype(np.float64)
    layer = jnp.asarray(layer)
    layer = layer.astype(jnp.promote_types(layer.dtype, jnp.float32))
    return layer - layer[0]


def _scale(layer) -> float:
    """Return the power of two near the largest entry: dividing by it is exact. All batches of a layer share it."""
    largest = float(np.abs(layer).max())
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]))) if largest > 0 else 1.0


@partial(jax.jit, static_argnames="kernel")
def _row(layer, bandwidth, *, kernel):
    """Return the U-centered Gram matrix of a batch as one row."""
    return u_centered(gram(layer - layer.mean(0), kernel, bandwidth)).ravel()


@jax.jit
def _terms(a, b):
    """Return the sums of products of all pairs, of each layer of a with itself, and of each of b."""
    return jnp.matmul(a, b.T, precision="highest"), (a * a).sum(1), (b * b).sum(1)
