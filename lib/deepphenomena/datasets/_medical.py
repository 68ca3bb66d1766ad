"""The small medical datasets, as packed in a mirror folder, and their splits.

As far as the files identify patients, no patient is in two splits. No image is in two splits.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "validation", "test")
SHARES = (0.70, 0.15, 0.15)


class Packed(NamedTuple):
    """The class and split of every image (0, 1, 2 as in `SPLITS`; -1: not used), and the names of the classes."""

    labels: np.ndarray
    splits: np.ndarray
    class_names: tuple[str, ...]


def chest(archive: Mapping[str, np.ndarray]) -> Packed:
    """Return chest X-rays with the kind of pneumonia as the class, split by patient as in the file."""
    return Packed(archive["subtype"], archive["split"].astype(int), tuple(archive["subtype_names"].tolist()))


def mri(archive: Mapping[str, np.ndarray]) -> Packed:
    """Return brain slices without duplicates.

    The published split is not used: most of its test images are also in its training set, and without them one class
    has no test image. The file does not identify patients, but slices of a patient are close to each other. So each
    class is cut in two places; a random split would put more similar slices into different splits.
    """
    labels, first = archive["all_labels"], archive["duplicate_of"]
    kept = np.flatnonzero((first == -1) | (first == np.arange(len(first))))
    splits = np.full(len(labels), -1)
    splits[kept] = in_blocks(labels[kept])
    return Packed(labels, splits, tuple(archive["class_names"].tolist()))


def malaria(archive: Mapping[str, np.ndarray]) -> Packed:
    """Return cells of thin blood smears, split by slide."""
    labels, slides = archive["labels"], archive["group_names"][archive["group"]]
    return Packed(labels, by_group(labels, slides), tuple(archive["class_names"].tolist()))


def in_blocks(labels: np.ndarray) -> np.ndarray:
    """Split each class in its order: the first 70% to train, then 15% and 15%."""
    splits = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        for split, cut in ((1, SHARES[0]), (2, SHARES[0] + SHARES[1])):
            splits[rows[round(cut * len(rows)) :]] = split
    return splits


def by_group(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Assign whole groups to splits so that every class is close to the shares of the splits.

    Groups are assigned in the order of the sha256 of their names. Each goes to the split that would then be least full
    in the classes of the group. This uses no random numbers, so the result is the same on every machine.
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
