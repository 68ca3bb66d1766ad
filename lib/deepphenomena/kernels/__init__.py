"""Operations that XLA compiles to slow programs on a CPU: convolutions in loops, very deep scans, means over many
tasks.

Tests compare each operation with a plain reference, and benchmarks compare their speed.
"""

from deepphenomena.kernels._convolution import check_convolution, convolution, convolution_reference
from deepphenomena.kernels._deep_scan import deep_scan
from deepphenomena.kernels._mean_in_chunks import mean_in_chunks

__all__ = ["check_convolution", "convolution", "convolution_reference", "deep_scan", "mean_in_chunks"]
