"""Machinery of the chapter on dynamical isometry: random networks, their Jacobians, and what depth costs."""

from deepphenomena.papers.dynamical_isometry.gradient_costs import Costs, GradientProgram, costs, gradient_program
from deepphenomena.papers.dynamical_isometry.members import accuracy_in_parts, networks, stacked
from deepphenomena.papers.dynamical_isometry.signals import (
    follow_pairs,
    gradient_norms,
    jacobian_spectra,
    planted_mode,
)

__all__ = [
    "Costs",
    "GradientProgram",
    "accuracy_in_parts",
    "costs",
    "follow_pairs",
    "gradient_norms",
    "gradient_program",
    "jacobian_spectra",
    "networks",
    "planted_mode",
    "stacked",
]
