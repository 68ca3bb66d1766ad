"""Machinery of the chapter on the large-learning-rate phase: networks, images, tables, a linearization."""

from deepphenomena.papers.large_learning_rate_phase.images import drawn, normalized
from deepphenomena.papers.large_learning_rate_phase.linearization import beside_linearization, linearized
from deepphenomena.papers.large_learning_rate_phase.models import (
    Model,
    at_rate,
    bisect,
    constant,
    decayed,
    largest_trainable_rate,
    model,
    sweep,
)
from deepphenomena.papers.large_learning_rate_phase.solvable import network_trajectory
from deepphenomena.papers.large_learning_rate_phase.tables import by_rate, catapult, lazy, slopes

__all__ = [
    "Model",
    "at_rate",
    "beside_linearization",
    "bisect",
    "by_rate",
    "catapult",
    "constant",
    "decayed",
    "drawn",
    "largest_trainable_rate",
    "lazy",
    "linearized",
    "model",
    "network_trajectory",
    "normalized",
    "slopes",
    "sweep",
]
