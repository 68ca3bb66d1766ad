"""The workloads, by name. Each module's docstring says what is computed."""

from contestants import Workload

_STEP = 3 * 7.474e9  # forward and both transposes of the five convolutions, batch 128
_TANGENTS = ("neural-tangents",)

WORKLOADS = {
    "matmul peak": Workload("peak", (), operations=2 * 2048**3),
    "convolution gradient, scan": Workload("traps.SCAN", ("naive JAX",)),
    "convolution gradient, vmap": Workload("traps.MEMBERS", ("naive JAX",)),
    "conv-net training step": Workload("training_step", ("PyTorch",), must=1.0, operations=_STEP),
    "8 seeds": Workload("seeds", ("PyTorch",), must=1.0, operations=2 * _STEP),
    "deep CNN step, depth 1,000": Workload("deep_network", ("PyTorch",), must=0.9, operations=1000 * 3 * 37.7e6),
    "second-order MAML": Workload("maml", ("PyTorch, loop", "PyTorch, torch.func"), must=1.3),
    "ANIL against MAML, training": Workload("maml.ANIL_TRAINING", ("MAML",), must=1.3),
    "ANIL against MAML, inference": Workload("maml.ANIL_INFERENCE", ("MAML",), must=1.5),
    "NNGP + NTK, fully connected": Workload("infinite_width.DENSE", _TANGENTS, must=1.2),
    "NNGP + NTK, flatten": Workload("infinite_width.FLATTEN", _TANGENTS, must=2.0),
    "NNGP + NTK, pooled": Workload("infinite_width.POOL", _TANGENTS, must=10.0),
    "NNGP + NTK, residual blocks": Workload("infinite_width.RESIDUAL", _TANGENTS, must=2.0),
    "NNGP + NTK, local pooling": Workload("infinite_width.LOCAL", _TANGENTS, must=2.0),
    "CCA": Workload("similarity.CCA", ("NumPy, SVD",), must=3.0),
    "CKA": Workload("similarity.CKA", ("NumPy, n x n Gram",), must=25.0),
    "CKA of a stream": Workload(
        "similarity.STREAM", ("NumPy, n x n Gram", "PyTorch, minibatches"), must=1.0, long=True
    ),
    "Hessian-vector product": Workload("hessian_product", ("PyTorch",), must=1.3),
    "singular values": Workload("spectrum", ("NumPy",), must=2.7),
    "second run of a chapter": Workload("chapter", ("first run",), must=2.0, long=True),
    # A stream may take 15% of a step of both worlds: speed at least 0.85 of the same step without it.
    "two worlds, fully connected": Workload("online.FULLY_CONNECTED", ("the batch is there",), must=0.85),
    "two worlds, convolutional": Workload("online.CONVOLUTIONAL", ("the batch is there",), must=0.85),
}
