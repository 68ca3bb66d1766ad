"""What XLA does badly, done well: each kernel beside a plain reference, tested to agree with it, and benchmarked."""

from deepphenomena.kernels._convolution import check_convolution, convolution, convolution_reference
from deepphenomena.kernels._convolution_spectrum import (
    project_to_operator_norm_ball,
    singular_values_of_convolution,
    top_singular_value_of_convolution,
)
from deepphenomena.kernels._deep_scan import deep_scan
from deepphenomena.kernels._kernel_matrix import KernelMatrices, kernel_matrix
from deepphenomena.kernels._kernel_matrix_convolutional import convolutional_kernel_matrix
from deepphenomena.kernels._kernel_reference import convolutional_kernel_matrix_reference, kernel_matrix_reference
from deepphenomena.kernels._mean_in_chunks import mean_in_chunks

__all__ = [
    "KernelMatrices",
    "check_convolution",
    "convolution",
    "convolution_reference",
    "convolutional_kernel_matrix",
    "convolutional_kernel_matrix_reference",
    "deep_scan",
    "kernel_matrix",
    "kernel_matrix_reference",
    "mean_in_chunks",
    "project_to_operator_norm_ball",
    "singular_values_of_convolution",
    "top_singular_value_of_convolution",
]
