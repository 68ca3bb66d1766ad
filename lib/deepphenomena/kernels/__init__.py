"""What XLA does badly, done well: each kernel beside a plain reference, tested to agree with it, and benchmarked."""

from deepphenomena.kernels._convolution import check_convolution, convolution, convolution_reference

__all__ = ["check_convolution", "convolution", "convolution_reference"]
