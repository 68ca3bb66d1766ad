"""Operations that XLA compiles badly for a CPU: convolution in loops, very deep scans, means over many tasks.

Each stands beside a plain reference, is tested to agree with it, and is benchmarked against it.
"""

from deepphenomena.kernels._convolution import check_convolution, convolution, convolution_reference
from deepphenomena.kernels._deep_scan import deep_scan
from deepphenomena.kernels._mean_in_chunks import mean_in_chunks

__all__ = ["check_convolution", "convolution", "convolution_reference", "deep_scan", "mean_in_chunks"]
