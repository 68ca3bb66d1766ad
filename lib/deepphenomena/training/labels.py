"""Labels for the members of an ensemble: the seed, the learning rate and other settings of each.

    members = grid(seed=[0, 1], learning_rate=[0.1, 1.0])
    members["learning_rate"]  # array([0.1, 1. , 0.1, 1. ])

`Grid.frame` turns arrays with a leading axis of members into tidy tables, without index arithmetic.
"""

import dataclasses
import inspect
import itertools
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Bool, Key, PyTree, Shaped

from deepphenomena.runtime import threads
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown

Values = Shaped[Array, "members *axes"] | Sequence[Any]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Grid:
    """The members of an ensemble: one row of labels for each. Returned by `grid`.

    Attributes:
        axes: the names of the labels.
        rows: one tuple of labels per member, in the order of `axes`.

    Example:
        >>> members = training.grid(seed=[0, 1], learning_rate=[0.1, 1.0])
        >>> members["learning_rate"].tolist(), len(members)
        ([0.1, 1.0, 0.1, 1.0], 4)
        >>> members.series(np.arange(4)).unstack("learning_rate").shape
        (2, 2)
    """

    axes: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.rows)

    def __getitem__(self, axis: str) -> Shaped[np.ndarray, " members"]:
        """Return the labels of one axis, one value per member. Raise InputError for an unknown axis."""
        column = self._column(axis)
        return np.array([row[column] for row in self.rows])

    @property
    def labels(self) -> pd.DataFrame:
        """All labels: one row per member, one column per axis."""
        return pd.DataFrame({axis: self[axis] for axis in self.axes}, index=pd.RangeIndex(len(self)))

    def keys(self, purpose: str | None = None) -> Key[jax.Array, " members"]:
        """Return a random key per member. It depends only on the seed: members that differ in other labels share it.

        Args:
            purpose: a word. Keys for different purposes are independent. None gives `jax.random.key(seed)`.

        Raises:
            InputError: the grid has no axis "seed".
        """
        keys = jnp.stack([jax.random.key(int(seed)) for seed in self["seed"]])
        if purpose is None:
            return keys
        return jax.vmap(jax.random.fold_in, (0, None))(keys, zlib.crc32(purpose.encode()))

    def where(self, **labels: Any) -> Bool[np.ndarray, " members"]:
        """Return True for the members with these labels. A list of values accepts any of them.

        Raises:
            InputError: an unknown axis, or a value that no member has.
        """
        chosen = np.ones(len(self), bool)
        for axis, wanted in labels.items():
            column, accepted = self._column(axis), list(wanted) if _is_many(wanted) else [wanted]
            present = [row[column] for row in self.rows]
            for value in accepted:
                if value not in present:
                    there = ", ".join(str(value) for value in dict.fromkeys(present))
                    raise InputError(f"no member has {axis}={value}: the values are {there}")
            chosen &= np.array([value in accepted for value in present])
        return chosen

    def select(self, **labels: Any) -> "Grid":
        """Return the grid of the members that `where` finds. An axis with one given value is dropped."""
        rows = [row for row, kept in zip(self.rows, self.where(**labels), strict=True) if kept]
        kept = [k for k, axis in enumerate(self.axes) if axis not in labels or _is_many(labels[axis])]
        return Grid(tuple(self.axes[k] for k in kept), tuple(tuple(row[k] for k in kept) for row in rows))

    def stack(self, function: Callable[..., PyTree]) -> PyTree:
        """Call `function` with the labels of each member and stack the results on a leading axis of members.

        The arguments are the axes named in its signature. It is called once for each distinct combination of them:

            initial = members.stack(lambda seed: build(jax.random.key(seed)))

        Raises:
            InputError: an argument without a default that is not an axis.
        """
        names = called_with(function, self.axes)
        columns = [self._column(name) for name in names]
        wanted = [tuple(row[k] for k in columns) for row in self.rows]
        distinct = list(dict.fromkeys(wanted))
        made = threads.each(lambda values: function(**dict(zip(names, values, strict=True))), distinct)
        index = np.array([distinct.index(values) for values in wanted])
        return jax.tree.map(lambda *leaves: _stacked(leaves)[index], *made)

    def broadcast(self, other: "Grid", tree: PyTree) -> PyTree:
        """Broadcast values of another grid to the members of this grid, by their labels.

            ensemble, members = grid(seed=seeds), grid(seed=seeds, learning_rate=rates)
            initial = members.broadcast(ensemble, initial)  # the same initialization at every learning rate

        Args:
            other: a grid; this grid has all of its axes.
            tree: a pytree whose leaves have a leading axis of members of the other grid.

        Raises:
            InputError: an axis that this grid lacks, or labels that the other grid lacks.
        """
        columns = [self._column(axis) for axis in other.axes]
        for leaf in jax.tree.leaves(tree):
            other._check(jnp.shape(leaf)[:1], (len(other),))
        places = {row: place for place, row in enumerate(other.rows)}
        wanted = [tuple(row[k] for k in columns) for row in self.rows]
        if missing := [row for row in wanted if row not in places]:
            labels = ", ".join(f"{axis}={value}" for axis, value in zip(other.axes, missing[0], strict=True))
            raise InputError(f"the other grid has no member with {labels}: give both grids the same labels")
        index = np.array([places[row] for row in wanted])
        return jax.tree.map(lambda leaf: leaf[index], tree)

    def map(self, function: Callable[..., PyTree], *trees: PyTree) -> PyTree:
        """Call `function` with the part of `trees` of each member and stack the results on a leading axis of members.

        Every leaf of `trees` has a leading axis of members. Members are computed in parallel, one thread per core.

            accuracy = members.map(lambda parameters: accuracy_of(network, parameters, test), trained.parameters)
        """
        for leaf in jax.tree.leaves(trees):
            self._check(jnp.shape(leaf)[:1], (len(self),))
        member = lambda k: jax.tree.map(lambda leaf: leaf[k], trees)  # noqa: E731
        made = threads.each(lambda k: function(*member(k)), range(len(self)))
        return jax.tree.map(lambda *leaves: np.asarray(_stacked(leaves)), *made)

    def frame(self, name: str, values: Values, /, **axes: Sequence[Any] | np.ndarray) -> pd.DataFrame:
        """Return a tidy table of `values`: the labels, one column per additional axis, and the value in column `name`.

            members.frame("cka", values, layer=["conv1", "head"], step=[0, 10])  # values: (members, 2, 10)

        Args:
            name: the column of the values.
            values: one value or array per member.
            axes: the additional axes of `values` in order, with the label of each entry.

        Raises:
            InputError: values of another shape.
        """
        values = np.asarray(values)
        self._check(values.shape, (len(self), *(len(labels) for labels in axes.values())))
        each = values[0].size if len(values) else 1
        columns = {axis: np.repeat(self[axis], each) for axis in self.axes}
        further = np.meshgrid(*(np.asarray(labels) for labels in axes.values()), indexing="ij")
        columns |= {axis: np.tile(labels.ravel(), len(self)) for axis, labels in zip(axes, further, strict=True)}
        return pd.DataFrame(columns | {name: values.ravel()})

    def series(self, values: Values, /, **axes: Sequence[Any] | np.ndarray) -> pd.Series:
        """Return `values` as a Series indexed by the labels. The arguments are those of `frame`."""
        frame = self.frame("value", values, **axes)
        index = [*self.axes, *axes]
        return frame.set_index(index)["value"].rename(None) if index else frame["value"].rename(None)

    def _column(self, axis: str) -> int:
        if axis not in self.axes:
            raise unknown("axis of the grid", axis, self.axes)
        return self.axes.index(axis)

    def _check(self, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if found != expected:
            raise InputError(f"values of shape {found} do not fit the grid: expected {expected}, members first")


def grid(**axes: Iterable[Any]) -> Grid:
    """Return the members of an ensemble: the product of the axes. The first axis varies slowest.

        members = grid(seed=range(5), learning_rate=[0.1, 1.0])  # 10 members

    Args:
        axes: the values along each axis. The axis "seed" determines the random keys of the members.

    Raises:
        InputError: no axes, an axis without values, one value instead of a list, or a repeated value.

    Example:
        >>> training.grid(seed=range(2), start=["random", "transfer"]).labels["start"].tolist()
        ['random', 'transfer', 'random', 'transfer']
    """
    if not axes:
        raise InputError("a grid needs at least one axis; give grid(seed=run.seeds, ...)")
    columns = []
    for axis, values in axes.items():
        if not _is_many(values):
            raise InputError(f"axis '{axis}' of the grid is {values!r}: give a list of values")
        column = [value.item() if isinstance(value, np.generic) else value for value in values]
        if not column:
            raise InputError(f"axis '{axis}' of the grid is empty: give at least one value")
        repeated = [value for k, value in enumerate(column) if value in column[:k]]
        if repeated:
            raise InputError(f"axis '{axis}' of the grid has {repeated[0]} more than once: give distinct values")
        columns.append(column)
    return Grid(tuple(axes), tuple(itertools.product(*columns)))


def called_with(function: Callable[..., Any], axes: Sequence[str]) -> list[str]:
    """Return those `axes` that the function takes as arguments. Raise InputError for another required argument."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return list(axes)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in axes:
            name = getattr(function, "__name__", str(function))
            raise unknown(f"axis of the grid, an argument of {name},", parameter.name, axes)
    return [parameter.name for parameter in named if parameter.name in axes]


def _is_many(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | bytes)


def _stacked(leaves: Sequence[Any]) -> Array:
    """Stack with NumPy, which compiles nothing for new shapes; with JAX for random keys, which NumPy cannot hold."""
    if any(jnp.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key) for leaf in leaves):
        return jnp.stack(leaves)
    return jnp.asarray(np.stack([np.asarray(leaf) for leaf in leaves]))
