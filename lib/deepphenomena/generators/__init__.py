"""Generators: endless seeded sequences of labelled images, made on the device as a training asks for them.

    garments = generators.deformations(dataset.images, dataset.labels, pixels=14)
    samples = garments(jnp.arange(128), key=key)  # samples number 0 to 127 of the sequence that this key begins

A generator is a distribution together with a numbering of its samples: sample i of a key is always the same, whoever
asks and in whatever company, and another number gives a fresh, independent one. Disjoint ranges of numbers are
therefore a training set, a test set and an endless stream that share no sample. Every generator is a pytree, so that
it goes into a compiled program as an argument.
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
