"""The deep bootstrap: a network trained on n samples, and the same network trained on fresh ones."""

from deepphenomena.papers.deep_bootstrap.measures import censored, frame, jackknife, largest, until_stop
from deepphenomena.papers.deep_bootstrap.populations import Reordered, collection, drawn_from, reordered
from deepphenomena.papers.deep_bootstrap.streams import ideal_batch, shown, stream
from deepphenomena.papers.deep_bootstrap.worlds import Errors, Worlds, train_online, train_worlds

__all__ = [
    "Errors",
    "Reordered",
    "Worlds",
    "censored",
    "collection",
    "drawn_from",
    "frame",
    "ideal_batch",
    "jackknife",
    "largest",
    "reordered",
    "shown",
    "stream",
    "train_online",
    "train_worlds",
    "until_stop",
]
