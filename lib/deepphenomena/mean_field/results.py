"""What mean-field theory says of a network: its fixed point, its depth scales and its phase diagram."""

from typing import NamedTuple

from jaxtyping import Array, Float


class FixedPoint(NamedTuple):
    """The fixed point of a deep network: the variance q* and the correlation c* of two signals.

    Example:
        >>> fixed = mean_field.fixed_point("tanh", 3.0, 0.1)
        >>> round(float(fixed.variance), 3), round(float(fixed.correlation), 3)
        (1.508, 0.478)
    """

    variance: Float[Array, ""]
    correlation: Float[Array, ""]


class DepthScales(NamedTuple):
    """Layers over which a deviation from the fixed point shrinks by a factor e; infinite on the critical line.

    Example:
        >>> round(float(mean_field.depth_scale("tanh", 3.0, 0.1).correlation), 2)
        8.98
    """

    variance: Float[Array, ""]
    correlation: Float[Array, ""]


class PhaseDiagram(NamedTuple):
    """Fixed points, χ₁ and ξ_c over a grid. Each array is (weight variances, bias variances).

    Example:
        >>> diagram = mean_field.phase_diagram("tanh", jnp.asarray([1.0, 2.0, 3.0]), jnp.asarray([0.1, 0.2]))
        >>> diagram.depth_scale.shape
        (3, 2)
    """

    variance: Float[Array, "weights biases"]
    correlation: Float[Array, "weights biases"]
    chi: Float[Array, "weights biases"]
    depth_scale: Float[Array, "weights biases"]
