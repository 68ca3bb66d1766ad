"""Similarity of 10,000 activations of 256 and of 512 features: CCA and linear CKA, against their usual NumPy forms.

STREAM is CKA of two layers of 4,096 features in batches of 250, with the memory of one batch beside the activations.
"""

import jax
from peers.sizes import CKA_BATCH
from peers.usual_numpy import activations, wide_activations

from deepphenomena import similarity


def _ours(name):
    def setup():
        x, y = map(jax.numpy.asarray, activations())
        compiled = jax.jit(getattr(similarity, name))
        return lambda: jax.block_until_ready(compiled(x, y))

    return setup


def _stream():
    x, y = wide_activations()
    batches = range(0, len(x), CKA_BATCH)

    def run():
        pairs = (({"x": x[i : i + CKA_BATCH]}, {"y": y[i : i + CKA_BATCH]}) for i in batches)
        return similarity.minibatch_cka(pairs)

    return run


CCA = {"ours": _ours("cca"), "NumPy, SVD": "usual_numpy.cca"}
CKA = {"ours": _ours("linear_cka"), "NumPy, n x n Gram": "usual_numpy.cka"}
STREAM = {
    "ours": _stream,
    "NumPy, n x n Gram": "usual_numpy.wide_cka",
    "PyTorch, minibatches": "pytorch.minibatch_cka",
}
