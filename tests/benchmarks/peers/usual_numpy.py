"""The usual NumPy forms of similarity and of the singular values of a convolution, and what they are given."""

import numpy as np

from peers.sizes import WIDE

SAMPLES, FEATURES = 10_000, (256, 512)
IMAGE = (32, 32)


def activations():
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(SAMPLES, count)).astype(np.float32) for count in FEATURES)


def wide_activations():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(size=WIDE, dtype=np.float32)
    return x, np.tanh(x) + rng.standard_normal(size=WIDE, dtype=np.float32)


def weights():
    return np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)


def cca():
    x, y = activations()

    def run():
        bases = [np.linalg.svd(a - a.mean(0), full_matrices=False)[0] for a in (x, y)]
        return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)

    return run


def cka():
    return _cka(*activations())


def wide_cka():
    return _cka(*wide_activations())


def _cka(x, y):
    def run():
        grams = [(a - a.mean(0)) @ (a - a.mean(0)).T for a in (x, y)]
        return np.vdot(*grams) / (np.linalg.norm(grams[0]) * np.linalg.norm(grams[1]))

    return run


def singular_values():
    w = weights()
    return lambda: np.linalg.svd(np.fft.fft2(w, IMAGE, axes=(0, 1)), compute_uv=False)
