"""Kernels of infinitely wide networks: networks as values, and the NNGP and NTK of whole families.

A network is put together from layers. Its value is the finite network (`init`, `apply`) and the kernels of its limit of
infinite width (`kernel`). `kernel_matrix` and `convolutional_kernel_matrix` are faster for stacks of equal layers, and
compile once for any depth. Tests compare each function with a plain reference implementation.

Example:
    >>> hidden = [infinite_width.dense(512, weight_variance=2.0), infinite_width.activation("relu")]
    >>> network = infinite_width.serial(*hidden, *hidden, infinite_width.dense(1))
    >>> network.kernel(jnp.eye(3)).ntk.shape
    (3, 3)
"""

from deepphenomena.infinite_width.convolutional import convolutional_kernel_matrix
from deepphenomena.infinite_width.duals import dual, leaky_relu
from deepphenomena.infinite_width.empirical import empirical_kernel, linearized, monte_carlo_kernel
from deepphenomena.infinite_width.fully_connected import KernelMatrices, kernel_matrix
from deepphenomena.infinite_width.gaussian_process import Regression, predict, regression
from deepphenomena.infinite_width.layers import activation, flatten, identity, layer_norm, pool
from deepphenomena.infinite_width.network import Network, residual, serial
from deepphenomena.infinite_width.reference import convolutional_kernel_matrix_reference, kernel_matrix_reference
from deepphenomena.infinite_width.training_time import Ensemble, largest_learning_rate, trained
from deepphenomena.infinite_width.weights import conv, dense

__all__ = [
    "Ensemble",
    "KernelMatrices",
    "Network",
    "Regression",
    "activation",
    "conv",
    "convolutional_kernel_matrix",
    "convolutional_kernel_matrix_reference",
    "dense",
    "dual",
    "empirical_kernel",
    "flatten",
    "identity",
    "kernel_matrix",
    "kernel_matrix_reference",
    "largest_learning_rate",
    "layer_norm",
    "leaky_relu",
    "linearized",
    "monte_carlo_kernel",
    "pool",
    "predict",
    "regression",
    "residual",
    "serial",
    "trained",
]
