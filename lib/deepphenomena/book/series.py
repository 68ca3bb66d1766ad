"""Series: the data of figures in a record: {column: values}, with columns in alphabetical order.

The order is fixed because notebook files also sort the columns.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepphenomena.book import results
from deepphenomena.book.cards import Card
from deepphenomena.book.records import SERIES_NAME
from deepphenomena.runtime.errors import InputError, shown

LARGEST = 200_000  # bytes of one series as JSON
DIGITS = 6  # significant digits of a float

Columns = dict[str, list[Any]]


def from_frame(name: str, frame: pd.DataFrame) -> Columns:
    """Return a tidy table as columns. A named index becomes columns; floats are rounded to six significant digits.

    Raise InputError if the name cannot name a file, or if the frame is not a table, has no rows, has values other than
    numbers and text, or exceeds 200 kB.
    """
    if not isinstance(name, str) or not re.fullmatch(SERIES_NAME, name):
        raise InputError(f"series name {shown(name)}: it names a file, so use a letter, then letters, digits and _")
    if not isinstance(frame, pd.DataFrame) or not len(frame):
        found = "without rows" if isinstance(frame, pd.DataFrame) else f"of type {type(frame).__name__}"
        raise InputError(f"series '{name}' was given a table {found}: give a pandas DataFrame with at least one row")
    named = any(level is not None for level in frame.index.names)
    frame = (frame.reset_index() if named else frame).rename(columns=str)
    columns = {column: _plain(name, column, frame[column].tolist()) for column in sorted(frame.columns)}
    size = len(json.dumps(finite(columns)))
    if size > LARGEST:
        raise InputError(
            f"series '{name}' takes {size / 1000:,.0f} kB in the record with its {len(frame):,} rows, and at most "
            f"{LARGEST // 1000} kB are allowed: keep fewer steps, for example trained.frame(..., every=4), or drop "
            "columns that no figure draws"
        )
    return columns


def recorded(card: Card, name: str, kept: Columns, preset: str | None = None) -> tuple[str, str, pd.DataFrame] | None:
    """Return (preset, backend, table) of the recorded run nearest the paper that has this series with equal columns.

    Return None if there is none. Records of the first edition lack the column "seed". `preset` selects one run.
    """
    for one in (preset,) if preset else reversed(card.order):
        record = results.recorded(card.slug, one)
        if record is not None and kept.keys() - {"seed"} == record.series.get(name, {}).keys() - {"seed"}:
            return one, record.provenance.backend, pd.DataFrame(record.series[name])
    return None


def finite(value: Any) -> Any:
    """Return the same nested lists with None for numbers that JSON cannot represent."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _plain(name: str, column: str, values: list[Any]) -> list[Any]:
    """Return numbers and text as Python values, floats rounded. Raise InputError for other values."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in plain:
        if not isinstance(value, (bool, int, float, str, type(None))):
            raise InputError(
                f"series '{name}' has a {type(value).__name__} in its column '{column}': keep numbers and text"
            )
    return [float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for value in plain]
