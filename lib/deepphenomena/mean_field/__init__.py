"""Mean-field theory of wide random networks: variances and correlations from layer to layer.

An activation is the name of one in `ACTIVATIONS` ("tanh", "erf", "relu", "identity", "hard_tanh"), or any elementwise
JAX function.

Example:
    >>> with jax.enable_x64(True):
    ...     bias_variance, q = mean_field.critical_point("tanh", 1.05)
"""

from deepphenomena.mean_field.activations import ACTIVATIONS
from deepphenomena.mean_field.moments import cross_moment, second_moment, slope_moment
from deepphenomena.mean_field.phases import (
    DepthScales,
    FixedPoint,
    PhaseDiagram,
    chi,
    correlation_map,
    critical_line,
    critical_point,
    depth_scale,
    fixed_point,
    fixed_variance,
    phase_diagram,
    variance_map,
)
from deepphenomena.mean_field.quadrature import expectation
from deepphenomena.mean_field.spatial import (
    averaging_eigenvalues,
    covariance_map,
    cross_covariance_map,
    mode_depth_scales,
)

__all__ = [
    "ACTIVATIONS",
    "DepthScales",
    "FixedPoint",
    "PhaseDiagram",
    "averaging_eigenvalues",
    "chi",
    "correlation_map",
    "covariance_map",
    "critical_line",
    "critical_point",
    "cross_covariance_map",
    "cross_moment",
    "depth_scale",
    "expectation",
    "fixed_point",
    "fixed_variance",
    "mode_depth_scales",
    "phase_diagram",
    "second_moment",
    "slope_moment",
    "variance_map",
]
