"""Similarity of 10,000 activations of 256 and of 512 features: CCA and linear CKA, against their usual NumPy forms."""

import jax
from peers.usual_numpy import activations

from deepphenomena import similarity


def _ours(name):
    def setup():
        x, y = map(jax.numpy.asarray, activations())
        compiled = jax.jit(getattr(similarity, name))
        return lambda: jax.block_until_ready(compiled(x, y))

    return setup


CCA = {"ours": _ours("cca"), "NumPy, SVD": "usual_numpy.cca"}
CKA = {"ours": _ours("linear_cka"), "NumPy, n x n Gram": "usual_numpy.cka"}
