"""Similarity of two representations of the same samples: CCA, SVCCA, PWCCA and linear CKA.

    x, y = jax.random.normal(key, (2, 1000, 20))
    similarity.cca(x, x @ mixing).similarity  # 1: CCA does not see an invertible map
    similarity.linear_cka(x, y)  # near 0

Activations are samples × features, one row for each input; the two may differ in features. Average a convolutional
layer over its pixels or flatten it first.

All four are computed from the features' second moments, because matrix products are fast. The canonical forms check the
rounding error and use singular vectors where it would reach √ε: 3e-4 in float32, 1e-8 in float64. Under `vmap` both
forms run; use `lax.map`.
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
