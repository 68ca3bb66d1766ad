"""Spectra of the Hessian, of the empirical neural tangent kernel, of input-output Jacobians and of convolutions.

`hessian_vector_product` and `ntk_vector_product` turn a loss or a model into a matrix-vector product. `lanczos` and
`top_eigenvalue` find its top eigenvalue; `spectral_density` and `trace` estimate its whole spectrum and its trace.
`hessian_matrix` and `ntk_matrix` compute exact matrices of small problems.
"""

from deepphenomena.spectra.convolution import (
    project_to_operator_norm_ball,
    singular_values_of_convolution,
    top_singular_value_of_convolution,
)
from deepphenomena.spectra.density import SpectralDensity, TraceEstimate, smooth, spectral_density, trace
from deepphenomena.spectra.jacobian import jacobian_singular_values
from deepphenomena.spectra.lanczos import (
    LanczosDecomposition,
    TopEigenvalue,
    lanczos,
    random_vector,
    top_eigenvalue,
    top_hessian_eigenvalue,
    top_ntk_eigenvalue,
)
from deepphenomena.spectra.operators import hessian_matrix, hessian_vector_product, ntk_matrix, ntk_vector_product

__all__ = [
    "LanczosDecomposition",
    "SpectralDensity",
    "TopEigenvalue",
    "TraceEstimate",
    "hessian_matrix",
    "hessian_vector_product",
    "jacobian_singular_values",
    "lanczos",
    "ntk_matrix",
    "ntk_vector_product",
    "project_to_operator_norm_ball",
    "random_vector",
    "singular_values_of_convolution",
    "smooth",
    "spectral_density",
    "top_eigenvalue",
    "top_hessian_eigenvalue",
    "top_ntk_eigenvalue",
    "top_singular_value_of_convolution",
    "trace",
]
