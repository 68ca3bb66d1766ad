"""Similarity of 10,000 activations of 256 and of 512 features: CCA and linear CKA, against their usual NumPy forms."""

import numpy as np

SAMPLES, FEATURES = 10_000, (256, 512)


def _activations():
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(SAMPLES, count)).astype(np.float32) for count in FEATURES)


def _ours(name):
    def setup():
        import jax

        from deepphenomena import similarity

        x, y = map(jax.numpy.asarray, _activations())
        compiled = jax.jit(getattr(similarity, name))
        return lambda: jax.block_until_ready(compiled(x, y))

    return setup


def _cca_by_svd():
    x, y = _activations()

    def run():
        bases = [np.linalg.svd(a - a.mean(0), full_matrices=False)[0] for a in (x, y)]
        return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)

    return run


def _cka_by_gram():
    x, y = _activations()

    def run():
        grams = [(a - a.mean(0)) @ (a - a.mean(0)).T for a in (x, y)]
        return np.vdot(*grams) / (np.linalg.norm(grams[0]) * np.linalg.norm(grams[1]))

    return run


CCA = {"ours": _ours("cca"), "NumPy, SVD": _cca_by_svd}
CKA = {"ours": _ours("linear_cka"), "NumPy, n x n Gram": _cka_by_gram}
