"""The workloads, by name. Each module's docstring says what is computed and from where it is known to be slow."""

from tests.benchmarks.contestants import Workload

_HERE = __name__

WORKLOADS = {
    "matmul peak": Workload(f"{_HERE}.peak", (), operations=2 * 2048**3),
    "conv-net training step": Workload(f"{_HERE}.training_step", ("PyTorch",), must=1.0, operations=3 * 7.474e9),
    "deep CNN step, depth 200": Workload(f"{_HERE}.deep_network", ("PyTorch",), must=0.9, operations=200 * 3 * 37.7e6),
}
