"""Kernels of infinitely wide networks: NNGP and NTK of fully connected and convolutional networks.

Tests compare each function with a plain reference implementation.
"""

from deepphenomena.infinite_width.convolutional import convolutional_kernel_matrix
from deepphenomena.infinite_width.dense import KernelMatrices, kernel_matrix
from deepphenomena.infinite_width.reference import convolutional_kernel_matrix_reference, kernel_matrix_reference

__all__ = [
    "KernelMatrices",
    "convolutional_kernel_matrix",
    "convolutional_kernel_matrix_reference",
    "kernel_matrix",
    "kernel_matrix_reference",
]
