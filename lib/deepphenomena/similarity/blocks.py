"""Block structure: runs of layers of one network that are nearly the same, and the component that they share.

    seen = blocks.look(layers)  # activations by name, in order
    seen.cka  # minibatch CKA of all pairs
    seen.block  # the longest run of similar layers, by a rule that is fixed beforehand

Source: Nguyen et al. (2021), "Do wide and deep networks learn the same things?"; Nguyen et al. (2022), "On the origins
of the block structure phenomenon".
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from deepphenomena.runtime.arrays import Array
from deepphenomena.similarity import components
from deepphenomena.similarity.streams import minibatch_cka

Layers = Mapping[str, Float[Array, "samples _"]]
BATCH = 256  # samples, as in the authors' code
LEVEL = 0.95  # neighbors above this CKA belong to a block


class Look(NamedTuple):
    """What `look` sees of a network.

    Attributes:
        cka: minibatch CKA of all pairs of layers, in their order.
        scores: of the first principal component of every layer on every sample, with length 1.
        shares: of the variance of every layer, by its first component.
        norms: of the activations of every layer on every sample.
    """

    cka: pd.DataFrame
    scores: Float[np.ndarray, "layers samples"]
    shares: Float[np.ndarray, " layers"]
    norms: Float[np.ndarray, "layers samples"]

    @property
    def block(self) -> slice:
        """The longest run of layers in which neighbors have a CKA above 0.95."""
        return longest_run(self.cka, LEVEL)


def look(layers: Layers) -> Look:
    """Return CKA of all pairs of layers, and the first component and the norms of each.

    Args:
        layers: activations by the name of the layer, in the order of the network.

    Raises:
        InputError: as `minibatch_cka`.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> seen = look({"one": x, "other": 2 * x})
        >>> round(float(seen.cka.loc["one", "other"]), 3), seen.scores.shape
        (1.0, (2, 50))
    """
    found = [components.principal(layer, 1) for layer in layers.values()]
    return Look(
        cka(layers, layers),
        np.stack([np.asarray(one.scores)[:, 0] for one in found]),
        np.array([float(one.shares[0]) for one in found]),
        np.stack([np.linalg.norm(layer, axis=1) for layer in layers.values()]),
    )


def cka(layers: Layers, others: Layers) -> pd.DataFrame:
    """Return minibatch CKA of all pairs of layers of two networks, in equal batches of at most 256 samples.

    Batches are neighboring samples: these must be in random order. The last few that fill no batch are left out.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(600, 3))
        >>> float(cka({"a": x}, {"b": -x}).loc["a", "b"].round(3))
        1.0
    """
    samples = len(next(iter(layers.values())))
    size = samples // -(-samples // BATCH)
    places = np.arange(samples // size * size).reshape(-1, size)

    def batch(of: Layers, chosen) -> dict[str, Array]:
        return {name: layer[chosen[0] : chosen[-1] + 1] for name, layer in of.items()}

    same = others is layers
    one = (batch(layers, chosen) for chosen in places)
    return minibatch_cka((a, a if same else batch(others, chosen)) for a, chosen in zip(one, places, strict=True))


def mean_of_pairs(table: pd.DataFrame, chosen: slice = slice(None)) -> float:
    """Return the mean similarity of pairs of different layers, of all or of a run.

    Example:
        >>> mean_of_pairs(pd.DataFrame([[1.0, 0.5], [0.5, 1.0]]))
        0.5
    """
    values = table.to_numpy()[chosen, chosen]
    return float(values[np.triu_indices(len(values), 1)].mean())


def pairs_above(table: pd.DataFrame, level: float) -> float:
    """Return the share of pairs of different layers of one network whose similarity exceeds a level.

    Example:
        >>> pairs_above(pd.DataFrame([[1.0, 0.9], [0.9, 1.0]]), 0.8)
        1.0
    """
    above = np.triu_indices(len(table), 1)
    return float((table.to_numpy()[above] > level).mean())


def longest_run(table: pd.DataFrame, level: float) -> slice:
    """Return the longest run of layers in which the similarity of all neighbors exceeds a level.

    It is the block of a network by a rule that is fixed beforehand. Of equally long runs it is the first. If no pair of
    neighbors is that similar, it is the most similar pair.

    Args:
        table: similarities of the layers of one network, in their order.
        level: for example 0.95.

    Example:
        >>> longest_run(pd.DataFrame([[1.0, 0.5, 0.5], [0.5, 1.0, 0.97], [0.5, 0.97, 1.0]]), 0.95)
        slice(1, 3, None)
    """
    neighbors = np.diagonal(table.to_numpy(), 1)
    best, start = slice(int(neighbors.argmax()), int(neighbors.argmax()) + 2), None
    longest = 0
    for place, similar in enumerate([*(neighbors > level), False]):
        if similar and start is None:
            start = place
        if not similar and start is not None:
            if place - start > longest:
                best, longest = slice(start, place + 1), place - start
            start = None
    return best


def shared_component(one: Look, other: Look) -> float:
    """Return how much more the layers of the block share their first component than the same layers of two networks.

    It is the mean squared cosine of pairs of layers of the block of one network, minus that of each layer with the same
    layer of the other.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> seen = look({"one": x, "other": 2 * x})
        >>> round(abs(shared_component(seen, seen)), 3)
        0.0
    """
    a, b = one.scores[one.block], other.scores[one.block]
    within = ((a @ a.T) ** 2)[np.triu_indices(len(a), 1)].mean()
    return float(within - ((a * b).sum(1) ** 2).mean())
