"""The result of a training: parameters, losses and metrics, with the labels of its members."""

from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import PyTree

from deepphenomena.runtime.errors import InputError, unknown
from deepphenomena.training.labels import Grid

LOSS = "loss"  # the name of the training loss in `frame`


class Trained(NamedTuple):
    """The result of `training.train`. With members, every array has a leading axis of members.

    Attributes:
        parameters: after the last step of each member. A diverged member keeps those at which it stopped.
        losses: (steps,), the loss at every step, before its update; NaN for steps not taken.
        recorded: (records,), the steps at which the metrics were evaluated; the first is 0.
        metrics: each evaluated quantity, (records,); NaN after a member has stopped.
        steps: the number of steps taken.
        diverged: whether the loss exceeded `stop_above` or was NaN.
        members: the labels of the members; None for one model.

    Example:
        >>> members = training.grid(seed=range(2))
        >>> bowl = lambda parameters, _: 0.5 * parameters**2
        >>> trained = training.train(bowl, jnp.ones(2), None, members, optimizer=optax.sgd(0.5), steps=3)
        >>> trained.frame("loss", every=2).to_numpy().tolist()  # seed, step, loss
        [[0.0, 0.0, 0.5], [0.0, 2.0, 0.03125], [1.0, 0.0, 0.5], [1.0, 2.0, 0.03125]]
    """

    parameters: PyTree
    losses: np.ndarray
    recorded: np.ndarray
    metrics: dict[str, np.ndarray]
    steps: np.ndarray
    diverged: np.ndarray
    members: Grid | None = None

    def frame(self, *names: str, every: int = 1) -> pd.DataFrame:
        """Return a tidy table with the labels of the members, the step and a column for each name.

        Rows without any measured value are left out.

            trained.frame("loss", every=4)  # columns: seed, learning_rate, step, loss
            trained.frame("accuracy", "auc")  # columns: seed, learning_rate, step, accuracy, auc

        Args:
            names: "loss" alone, the training loss at every step; or names of metrics, at the recorded steps.
            every: keep every n-th step or record, counted from the first.

        Raises:
            InputError: no name, an unknown name, "loss" together with metrics, or an `every` below 1.
        """
        if not names or (LOSS in names and len(names) > 1):
            raise InputError(f"frame of {', '.join(names) or 'nothing'}: give 'loss' alone, or one metric or more")
        if every < 1:
            raise InputError(f"every is {every}: give 1 or more")
        steps = np.arange(self.losses.shape[-1]) if names == (LOSS,) else self.recorded
        columns = {name: self._values(name)[..., ::every] for name in names}
        if self.members is None:
            frame = pd.DataFrame({"step": steps[::every], **columns})
        else:
            first, *_ = names
            frame = self.members.frame(first, columns[first], step=steps[::every])
            for name, values in columns.items():
                frame[name] = values.ravel()
        return frame.dropna(subset=list(names), how="all", ignore_index=True)

    def at(self, name: str, step: int) -> pd.Series | float:
        """Return a metric at a recorded step: a Series indexed by the labels, or a number for one model.

        Raises:
            InputError: an unknown metric, or a step that was not recorded.
        """
        if step not in self.recorded:
            raise unknown("recorded step", str(step), [str(recorded) for recorded in self.recorded])
        return self._labelled(self._values(name)[..., list(self.recorded).index(step)])

    def last(self, name: str) -> pd.Series | float:
        """Return a metric at the last record of each member, in the form of `at`; NaN for diverged members."""
        values = self._values(name)
        last = np.max(np.where(np.isnan(values), 0, np.arange(values.shape[-1])), axis=-1, keepdims=True)
        return self._labelled(np.where(self.diverged, np.nan, np.take_along_axis(values, last, axis=-1)[..., 0]))

    def select(self, **labels) -> "Trained":
        """Return the members with these labels. The arguments are those of `Grid.select`."""
        if self.members is None:
            raise InputError("select chooses among members, but this training has one model")
        kept = np.flatnonzero(self.members.where(**labels))
        take = lambda leaf: leaf[kept]  # noqa: E731
        return Trained(
            jax.tree.map(take, self.parameters),
            take(self.losses),
            self.recorded,
            {name: take(values) for name, values in self.metrics.items()},
            take(self.steps),
            take(self.diverged),
            self.members.select(**labels),
        )

    def _values(self, name: str) -> np.ndarray:
        if name == LOSS:
            return self.losses
        if name not in self.metrics:
            raise unknown("metric", name, [LOSS, *self.metrics])
        return self.metrics[name]

    def _labelled(self, values: np.ndarray) -> pd.Series | float:
        return float(values) if self.members is None else self.members.series(values)
