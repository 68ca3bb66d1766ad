"""Generators: infinite seeded sequences of labelled images, generated on the device during training.

    garments = generators.deformations(dataset.images, dataset.labels, pixels=14)
    samples = garments(jnp.arange(128), key=key)  # samples 0 to 127 of the sequence of this key

A generator is a distribution with numbered samples. Sample i of a key is always the same, whatever other samples are
requested with it. Different numbers give independent samples. Disjoint ranges of numbers are therefore a training set,
a test set and an infinite stream without common samples. Every generator is a pytree, so it can be an argument of a
compiled program.
"""

from deepphenomena.generators.deformations import Deformations, deformations, shrunk
from deepphenomena.generators.fundus import Fundus, fundus
from deepphenomena.generators.labels import NoisyLabels, Relabelled
from deepphenomena.generators.mixture import ClassMixture, class_mixture
from deepphenomena.generators.pool import Pool
from deepphenomena.generators.samples import Generator, Samples, digests

__all__ = [
    "ClassMixture",
    "Deformations",
    "Fundus",
    "Generator",
    "NoisyLabels",
    "Pool",
    "Relabelled",
    "Samples",
    "class_mixture",
    "deformations",
    "digests",
    "fundus",
    "shrunk",
]
