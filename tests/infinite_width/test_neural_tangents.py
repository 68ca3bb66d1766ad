"""Kernels and predictions against values that neural-tangents computed, for every layer that both libraries have."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from architectures import CASES, B, W, inputs

from deepphenomena import infinite_width

VALUES = json.loads((Path(__file__).parent / "neural_tangents_values.json").read_text(encoding="utf-8"))


def layer(name, options):
    if name == "residual":
        return infinite_width.residual(*map(network, options))
    if name == "activation":
        return infinite_width.activation(infinite_width.leaky_relu(-1.0) if options == "abs" else options)
    if name in ("dense", "conv"):
        options = dict(options)
        options |= {"weight_variance": options.pop("weight", W), "bias_variance": options.pop("bias", B)}
        return getattr(infinite_width, name)(8, **options)
    return getattr(infinite_width, name)(**options)


def network(layers):
    return infinite_width.serial(*(layer(*one) for one in layers)) if layers else infinite_width.identity()


def test_every_architecture_has_values_and_at_least_forty_do():
    assert set(VALUES["kernels"]) == set(CASES)
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_kernels_are_those_of_neural_tangents(name):
    layers, kind = CASES[name]
    x1, x2 = inputs(kind)
    with jax.enable_x64(True):
        for sides, other in {"both": x2, "itself": None}.items():
            for kernel, found in network(layers).kernel(x1, other)._asdict().items():
                np.testing.assert_allclose(found, VALUES["kernels"][name][f"{kernel}, {sides}"], rtol=1e-6, atol=1e-6)


def test_trained_ensembles_are_those_of_neural_tangents():
    (x1, x2), values = inputs("vectors"), VALUES["predictions"]
    targets = np.array(values["y"])
    with jax.enable_x64(True):
        of = network([("dense", {}), ("activation", "erf"), ("dense", {})])
        train, cross, test = of.kernel(x1), of.kernel(x2, x1), of.kernel(x2)
        for kernel in ("nngp", "ntk"):
            trained = [matrices._replace(ntk=getattr(matrices, kernel)) for matrices in (train, cross, test)]
            at = infinite_width.trained(trained[0], trained[1], targets, trained[2], learning_rate=0.5)
            for t in (0.0, 1.5, 40.0, None):
                # Its loss is the mean over points and outputs; ours is the sum over outputs.
                found = at(t if t is None else t / targets.shape[1])
                expected = values[f"{kernel}, {t}"]
                np.testing.assert_allclose(found.mean, expected["mean"], rtol=1e-5, atol=1e-7)
                np.testing.assert_allclose(found.covariance, expected["covariance"], rtol=1e-5, atol=1e-7)
