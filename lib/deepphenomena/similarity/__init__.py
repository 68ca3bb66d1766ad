"""Similarity of two representations of the same samples: CCA, SVCCA, PWCCA and linear CKA.

    x, y = jax.random.normal(key, (2, 1000, 20))
    similarity.cca(x, x @ mixing).similarity  # 1: CCA is invariant to invertible maps
    similarity.linear_cka(x, y)  # near 0

Activations are samples × features, one row per input. The number of features can differ. Average a convolutional layer
over its pixels, or flatten it first.

All four are computed from second moments of the features, because matrix products are fast. The CCA functions check the
rounding error and use singular vectors if it would reach √ε: 3e-4 in float32, 1e-8 in float64. Under `vmap` both
branches run; use `lax.map`.
"""

from deepphenomena.similarity.canonical import (
    CanonicalCorrelations,
    ProjectionWeightedCorrelations,
    cca,
    pwcca,
    svcca,
)
from deepphenomena.similarity.cka import linear_cka

__all__ = [
    "CanonicalCorrelations",
    "ProjectionWeightedCorrelations",
    "cca",
    "linear_cka",
    "pwcca",
    "svcca",
]
