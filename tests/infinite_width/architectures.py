"""Architectures and inputs of the comparison with neural-tangents, as plain data that either library can read.

A layer is a name and its options. `("residual", [branch, ...])` adds branches, each a list of layers.
"""

import numpy as np

W, B = 1.7, 0.2  # σ_w² and σ_b² where a case says nothing


def dense(**options):
    return ("dense", options)


def conv(**options):
    return ("conv", options)


def act(name):
    return ("activation", name)


FLATTEN, POOL, NORM = ("flatten", {}), ("pool", {}), ("layer_norm", {})


def perceptron(name, depth=2, **options):
    return [layer for _ in range(depth) for layer in (dense(**options), act(name))] + [dense(**options)]


def convolutions(name="relu", depth=2, readout=FLATTEN, **options):
    return [layer for _ in range(depth) for layer in (conv(**options), act(name))] + [readout, dense()]


ACTIVATIONS = ("relu", "erf", "gelu", "sin", "cos", "leaky_relu", "abs", "identity")
DENSE_BLOCK = ("residual", [[], [act("relu"), dense(), act("erf"), dense()]])
BLOCK = ("residual", [[], [act("relu"), conv(), act("erf"), conv()]])

# name: (layers, kind of input)
CASES = {
    **{f"one hidden layer, {name}": (perceptron(name, 1), "vectors") for name in ACTIVATIONS},
    **{f"four hidden layers, {name}": (perceptron(name, 4), "vectors") for name in ACTIVATIONS},
    "no hidden layer": ([dense()], "vectors"),
    "no biases": (perceptron("relu", 3, bias=0.0), "vectors"),
    "large weights": (perceptron("erf", 3, weight=9.0), "vectors"),
    "standard parameterization": (perceptron("relu", 2, parameterization="standard"), "vectors"),
    "standard parameterization, erf": (perceptron("erf", 3, parameterization="standard"), "vectors"),
    "equal inputs": (perceptron("relu", 3), "equal vectors"),
    "zero inputs": (perceptron("relu", 3), "zero vectors"),
    "residual": (
        [dense(), ("residual", [[], [act("relu"), dense(), act("erf"), dense()]]), act("relu"), dense()],
        "vectors",
    ),
    "three branches": ([dense(), ("residual", [[], [act("erf"), dense()], [dense()]]), dense()], "vectors"),
    "layer norm": ([dense(), NORM, act("relu"), dense(), NORM, act("erf"), dense()], "vectors"),
    **{
        f"convolutions, {padding}, stride {stride}, {name}": (
            convolutions(readout=readout, padding=padding, stride=stride),
            "images",
        )
        for padding in ("SAME", "VALID", "CIRCULAR")
        for stride in (1, 2)
        for name, readout in {"flatten": FLATTEN, "pool": POOL}.items()
        if not (padding == "VALID" and stride == 2)
    },
    "convolutions, erf": (convolutions("erf"), "images"),
    "convolutions, gelu, pool": (convolutions("gelu", readout=POOL), "images"),
    "convolutions of 1 x 1": (convolutions(size=1), "images"),
    "convolutions, empty patches": (convolutions(), "images with empty patches"),
    "convolutions, empty patches, pool": (convolutions(readout=POOL), "images with empty patches"),
    "local pooling": ([conv(), act("relu"), ("pool", {"size": 2}), conv(), act("relu"), FLATTEN, dense()], "images"),
    "overlapping pooling": (
        [conv(), act("erf"), ("pool", {"size": 3, "stride": 1}), conv(), act("relu"), POOL, dense()],
        "images",
    ),
    "hidden layer after pooling": ([conv(), act("relu"), POOL, dense(), act("relu"), dense()], "images"),
    "hidden layer after flattening": ([conv(), act("relu"), FLATTEN, dense(), act("erf"), dense()], "images"),
    "dense layer at each pixel": ([dense(), act("relu"), conv(), act("relu"), POOL, dense()], "images"),
    "residual convolutions": ([conv(), BLOCK, BLOCK, act("relu"), FLATTEN, dense()], "images"),
    "residual convolutions, pool": ([conv(), BLOCK, act("relu"), POOL, dense()], "images"),
    "layer norm at each pixel": ([conv(), NORM, act("relu"), conv(), NORM, act("relu"), POOL, dense()], "images"),
    "standard parameterization, convolutions": (convolutions(parameterization="standard"), "images"),
}


def inputs(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a kernel matrix, in double precision."""
    rng = np.random.default_rng(7)
    shape = (5, 5, 2) if "images" in kind else (6,)
    x1, x2 = rng.standard_normal((3, *shape)), rng.standard_normal((2, *shape))
    if kind == "equal vectors":
        x1[1], x2[0] = x1[0], x1[0]
    if kind == "zero vectors":
        x1[0] = x2[1] = 0.0
    if kind == "images with empty patches":
        x1[:, :3] = x2[:, :, 2:] = 0.0
    return x1, x2
