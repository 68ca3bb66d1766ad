"""Where the data of a figure are stored: an attribute of a DataFrame, which most operations of pandas keep."""

from collections.abc import Iterable

import pandas as pd

_NAME = "origin"

Origin = tuple[str, str]  # (name of a series, preset of the record that holds it)


def mark(frame: pd.DataFrame, origin: Origin) -> None:
    """Note where a table is stored.

    Example:
        >>> frame = pd.DataFrame({"step": [0, 1]})
        >>> mark(frame, ("curves", "quick"))
        >>> of([frame[frame["step"] > 0]])
        [('curves', 'quick')]
    """
    frame.attrs[_NAME] = origin


def of(frames: Iterable[pd.DataFrame]) -> list[Origin]:
    """Return where tables are stored, as far as they are marked, each place once."""
    return list(dict.fromkeys(frame.attrs[_NAME] for frame in frames if _NAME in frame.attrs))
