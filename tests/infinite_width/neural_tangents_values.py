"""Values of neural-tangents for the tests, written to `neural_tangents_values.json`.

neural-tangents 0.6.5 needs an older JAX, so this runs in an environment of its own:

    python -m venv /tmp/nt
    /tmp/nt/bin/pip install jax==0.4.30 jaxlib==0.4.30 neural-tangents==0.6.5 'numpy<2'
    /tmp/nt/bin/python tests/infinite_width/neural_tangents_values.py
"""

import json
from pathlib import Path

import jax
import neural_tangents
import numpy as np
from architectures import CASES, B, W, inputs
from neural_tangents import predict, stax

jax.config.update("jax_enable_x64", True)
FILE = Path(__file__).with_suffix(".json")
ACTIVATIONS = {
    "relu": stax.Relu,
    "erf": stax.Erf,
    "gelu": stax.Gelu,
    "sin": stax.Sin,
    "cos": stax.Cos,
    "abs": stax.Abs,
    "identity": stax.Identity,
    "leaky_relu": lambda: stax.LeakyRelu(0.01),
}


def layer(name, options):
    if name == "residual":
        return stax.serial(
            stax.FanOut(len(options)), stax.parallel(*(network(branch) for branch in options)), stax.FanInSum()
        )
    if name == "activation":
        return ACTIVATIONS[options]()
    if name in ("dense", "conv"):
        bias = options.get("bias", B)
        scale = {"W_std": options.get("weight", W) ** 0.5, "b_std": bias**0.5 if bias else None}
        scale["parameterization"] = options.get("parameterization", "ntk")
        if name == "dense":
            return stax.Dense(8, **scale)
        size, stride = options.get("size", 3), options.get("stride", 1)
        return stax.Conv(8, (size, size), (stride, stride), padding=options.get("padding", "SAME"), **scale)
    if name == "pool" and options:
        size, stride = options["size"], options.get("stride", options["size"])
        return stax.AvgPool((size, size), (stride, stride), "VALID")
    return {"flatten": stax.Flatten, "pool": stax.GlobalAvgPool, "layer_norm": stax.LayerNorm}[name]()


def network(layers):
    return stax.serial(*(layer(*one) for one in layers)) if layers else stax.Identity()


def kernels():
    found = {}
    for name, (layers, kind) in CASES.items():
        of = network(layers)[2]
        x1, x2 = inputs(kind)
        found[name] = {
            f"{kernel}, {sides}": np.asarray(of(x1, other, kernel)).tolist()
            for kernel in ("nngp", "ntk")
            for sides, other in {"both": x2, "itself": None}.items()
        }
    return found


def predictions():
    """Mean and covariance of ensembles trained by gradient flow, and of the Gaussian process."""
    x1, x2 = inputs("vectors")
    of = network([("dense", {}), ("activation", "erf"), ("dense", {})])[2]
    y = np.random.default_rng(1).standard_normal((3, 2))
    predict_fn = predict.gradient_descent_mse_ensemble(of, x1, y, learning_rate=0.5, diag_reg=0.0)
    found = {"y": y.tolist()}
    for t in (0.0, 1.5, 40.0, None):
        for kernel in ("nngp", "ntk"):
            mean, covariance = predict_fn(t=t, x_test=x2, get=kernel, compute_cov=True)
            found[f"{kernel}, {t}"] = {"mean": np.asarray(mean).tolist(), "covariance": np.asarray(covariance).tolist()}
    return found


if __name__ == "__main__":
    made = {"neural_tangents": neural_tangents.__version__, "jax": jax.__version__, "numpy": np.__version__}
    values = {"made with": made, "kernels": kernels(), "predictions": predictions()}
    FILE.write_text(json.dumps(values, indent=1) + "\n")
    print(f"{len(values['kernels'])} architectures: {FILE}")
