"""The tidy table of a figure: all sources in one table with a column per role, means over seeds, thinning."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from deepphenomena.runtime.errors import InputError, unknown
from deepphenomena.runtime.statistics import Scale, estimate

Data = pd.DataFrame | Mapping[str, pd.DataFrame]

POINTS = (60, 200)  # minimum and maximum points of a line; more are not distinguishable on a page
ALL_POINTS = 1200  # target for all points of a figure, which determine its size in bytes


def tidy(call: str, data: Data, *, numbers: Iterable[str], **roles: str | None) -> pd.DataFrame:
    """Return one table of all sources, with a column "source" (the title) and one column for each role.

    Args:
        call: the function that the user called, for error messages.
        data: a tidy table, or {title: tidy table}.
        numbers: the roles whose columns must hold numbers.
        roles: the column of the data for each role; None for an unused role.

    Raises:
        InputError: no data, no rows, a missing column, or a value that is not a number.
    """
    sources = {"": data} if isinstance(data, pd.DataFrame) else data
    if not isinstance(sources, Mapping) or not all(isinstance(frame, pd.DataFrame) for frame in sources.values()):
        raise InputError(
            f"{call} was given data of type {type(data).__name__}: give a pandas DataFrame, or run.sources(name)"
        )
    if not any(len(frame) for frame in sources.values()):
        raise InputError(f"{call} was given data without rows: give a table with at least one row")
    played = {role: column for role, column in roles.items() if column is not None}
    parts = []
    for title, frame in sources.items():
        for role, column in played.items():
            if column not in frame.columns:
                where = f" of '{title}'" if title else ""
                raise unknown(f"column for {role} of {call}{where}", column, map(str, frame.columns))
        part = {role: frame[column] for role, column in played.items()}
        for role in numbers:
            if not is_numeric_dtype(part[role]) or is_bool_dtype(part[role]):
                if not part[role].isna().all():
                    raise InputError(
                        f"{call} was given {role}='{played[role]}' of type {part[role].dtype}: give numbers"
                    )
                part[role] = part[role].astype(float)
        parts.append(pd.DataFrame({"source": title, **{role: column.to_numpy() for role, column in part.items()}}))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def levels(values: pd.Series) -> list[Any]:
    """Return the distinct labels of a column: numbers sorted, others in order of first appearance."""
    found = list(values.dropna().unique())
    return sorted(found) if is_numeric_dtype(values) and not is_bool_dtype(values) else found


def means(table: pd.DataFrame, value: str, scale: Scale = Scale.LINEAR) -> pd.DataFrame:
    """Return one row for each set of seeds, with columns `value` (the mean), `low` and `high` (the 95% interval).

    Seeds are the rows with the same values in all other columns. The interval is that of the verdicts. It is NaN with
    fewer than three seeds. Mean and interval are NaN if a value is not finite.
    """
    keys = [column for column in table.columns if column != value]
    groups = table.groupby(keys, sort=False, observed=True)[value]
    found = [estimate(values.to_numpy(), scale=scale) for _, values in groups]
    numbers = np.array([[one.mean, one.low, one.high] for one in found], dtype=np.float64)
    made = groups.size().index.to_frame(index=False)
    return made.assign(**{value: numbers[:, 0], "low": numbers[:, 1], "high": numbers[:, 2]})


def thinned(table: pd.DataFrame, *, logarithmic: bool) -> pd.DataFrame:
    """Keep the rows at no more than 200 values of x per line, evenly spaced on the axis, including first and last."""
    kept = []
    lines = table.groupby([column for column in table.columns if column not in ("x", "y")], sort=False, observed=True)
    points = int(np.clip(ALL_POINTS // max(lines.ngroups, 1), *POINTS))
    for _, line in lines:
        at = np.unique(line["x"].to_numpy(np.float64))
        if len(at) > points:
            place = np.log(np.maximum(at, at[at > 0].min(initial=1.0))) if logarithmic else at
            wanted = np.linspace(place[0], place[-1], points)
            line = line[line["x"].isin(at[np.unique(np.searchsorted(place, wanted).clip(0, len(at) - 1))])]
        kept.append(line)
    return pd.concat(kept)
