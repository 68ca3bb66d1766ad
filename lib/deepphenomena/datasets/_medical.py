"""The small medical sets, as packed in a mirror folder: who may be in which split is decided here.

No patient's image, as far as the files tell patients apart, is in two splits, and no image is there twice in two.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "validation", "test")
SHARES = (0.70, 0.15, 0.15)


class Packed(NamedTuple):
    """Every image's class and split (0, 1, 2 as in `SPLITS`; -1: left out), and the classes' names."""

    labels: np.ndarray
    splits: np.ndarray
    class_names: tuple[str, ...]


def chest(archive: Mapping[str, np.ndarray]) -> Packed:
    """Chest X-rays with the kind of pneumonia as the class, split by patient as the file says."""
    return Packed(archive["subtype"], archive["split"].astype(int), tuple(archive["subtype_names"].tolist()))


def mri(archive: Mapping[str, np.ndarray]) -> Packed:
    """Brain slices, each once.

    The published split is not kept: most of its test images are also in its training set, and without them no test
    image of one class is left. Slices of a patient are not marked but stand near each other in the file, so each class
    is cut in two places; a random split would put more look-alikes on both sides.
    """
    labels, first = archive["all_labels"], archive["duplicate_of"]
    kept = np.flatnonzero((first == -1) | (first == np.arange(len(first))))
    splits = np.full(len(labels), -1)
    splits[kept] = in_blocks(labels[kept])
    return Packed(labels, splits, tuple(archive["class_names"].tolist()))


def malaria(archive: Mapping[str, np.ndarray]) -> Packed:
    """Cells of thin blood smears, split by slide."""
    labels, slides = archive["labels"], archive["group_names"][archive["group"]]
    return Packed(labels, by_group(labels, slides), tuple(archive["class_names"].tolist()))


def in_blocks(labels: np.ndarray) -> np.ndarray:
    """Each class, in its order, cut into the splits' shares: the first 70% to train, then 15% and 15%."""
    splits = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for split, cut in ((1, SHARES[0]), (2, SHARES[0] + SHARES[1])):
            splits[rows[round(cut * len(rows)) :]] = split
    return splits


def by_group(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whole groups dealt out so that every class comes near the splits' shares.

    Groups go, in an order given by the sha256 of their names, each to the split that then is least full for what the
    group holds. No random numbers: the same on every machine.
    """
    names, group = np.unique(groups, return_inverse=True)
    held = np.stack([np.bincount(group[labels == label], minlength=len(names)) for label in np.unique(labels)], 1)
    wanted = np.outer(SHARES, held.sum(0))
    given, split_of = np.zeros_like(wanted), np.zeros(len(names), int)
    for k in sorted(range(len(names)), key=lambda k: hashlib.sha256(str(names[k]).encode()).hexdigest()):
        fullness = ((given + held[k]) / wanted) @ (held[k] / held[k].sum())
        split_of[k] = np.argmin(fullness)
        given[split_of[k]] += held[k]
    return split_of[group]


READERS = {"chest": chest, "mri": mri, "malaria": malaria}
