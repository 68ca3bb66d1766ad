"""What XLA does badly, done well: each kernel beside a plain reference, tested to agree with it, and benchmarked."""

from deepphenomena.kernels._convolution import check_convolution, convolution, convolution_reference
from deepphenomena.kernels._convolution_spectrum import (
    project_to_operator_norm_ball,
    singular_values_of_convolution,
    top_singular_value_of_convolution,
)
from deepphenomena.kernels._deep_scan import deep_scan

__all__ = [
    "check_convolution",
    "convolution",
    "convolution_reference",
    "deep_scan",
    "project_to_operator_norm_ball",
    "singular_values_of_convolution",
    "top_singular_value_of_convolution",
]
