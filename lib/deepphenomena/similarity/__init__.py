"""Similarity of two representations of the same samples: CCA, SVCCA, PWCCA and CKA.

    x, y = jax.random.normal(key, (2, 1000, 20))
    similarity.cca(x, x @ mixing).similarity  # 1: CCA is invariant to invertible maps
    similarity.linear_cka(x, y)  # near 0
    similarity.matrix(layers_a, layers_b, measure="svcca")  # all pairs of layers of two networks

Activations are samples × features, one row per input. The number of features can differ. Average a convolutional layer
over its pixels, flatten it, or compare it frequency by frequency with `dft_cca`.

`cca`, `svcca`, `pwcca` and `linear_cka` are computed from second moments of the features, because matrix products are
fast. The CCA functions check the rounding error and use singular vectors if it would reach √ε: 3e-4 in float32, 1e-8 in
float64. Under `vmap` both branches run; use `lax.map`.

`minibatch_cka` needs the memory of one batch only. `permutation_baseline` and `unrelated_networks` give the value that
a similarity has without a relation. `canonical_directions` and `project` replace a layer by a few of its directions.
"""

from deepphenomena.similarity.baselines import permutation_baseline, unrelated_networks
from deepphenomena.similarity.canonical import (
    CanonicalCorrelations,
    ProjectionWeightedCorrelations,
    cca,
    pwcca,
    svcca,
)
from deepphenomena.similarity.cka import linear_cka
from deepphenomena.similarity.fourier import FourierCorrelations, dft_cca
from deepphenomena.similarity.intervention import Directions, canonical_directions, project
from deepphenomena.similarity.kernel_alignment import rbf_cka, unbiased_cka
from deepphenomena.similarity.layers import Layer, decompose
from deepphenomena.similarity.matrices import matrix
from deepphenomena.similarity.streams import minibatch_cka

__all__ = [
    "CanonicalCorrelations",
    "Directions",
    "FourierCorrelations",
    "Layer",
    "ProjectionWeightedCorrelations",
    "canonical_directions",
    "cca",
    "decompose",
    "dft_cca",
    "linear_cka",
    "matrix",
    "minibatch_cka",
    "permutation_baseline",
    "project",
    "pwcca",
    "rbf_cka",
    "svcca",
    "unbiased_cka",
    "unrelated_networks",
]
