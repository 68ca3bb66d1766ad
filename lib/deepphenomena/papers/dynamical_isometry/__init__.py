"""Machinery of the chapter on dynamical isometry: random networks, their Jacobians, and trained very deep networks."""

from deepphenomena.papers.dynamical_isometry.curves import (
    Reached,
    at_level,
    at_loss,
    multiples,
    reached_depth,
    smooth,
    steps_to,
)
from deepphenomena.papers.dynamical_isometry.images import drawn, images_of, standardized
from deepphenomena.papers.dynamical_isometry.members import Architecture, architecture, train_starts
from deepphenomena.papers.dynamical_isometry.predictions import (
    Spectrum,
    against_theory,
    approach,
    percentiles,
    predicted_spectrum,
)
from deepphenomena.papers.dynamical_isometry.signals import (
    follow_pairs,
    gradient_norms,
    jacobian_spectra,
    planted_mode,
)
from deepphenomena.papers.dynamical_isometry.tables import progress, slopes, stacked, worst

__all__ = [
    "Architecture",
    "Reached",
    "Spectrum",
    "against_theory",
    "approach",
    "architecture",
    "at_level",
    "at_loss",
    "drawn",
    "follow_pairs",
    "gradient_norms",
    "images_of",
    "jacobian_spectra",
    "multiples",
    "percentiles",
    "planted_mode",
    "predicted_spectrum",
    "progress",
    "reached_depth",
    "slopes",
    "smooth",
    "stacked",
    "standardized",
    "steps_to",
    "train_starts",
    "worst",
]
