"""A run of a chapter, from `start` to `verdict`."""

import datetime
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import PyTree
from numpy.typing import ArrayLike

from deepphenomena import training
from deepphenomena.book import claims_table, fingerprint, judging, provenance, records, results, samples, series
from deepphenomena.book.cards import Card
from deepphenomena.book.claims import Check, Claim, Sample
from deepphenomena.book.parameters import Value
from deepphenomena.book.provenance import DatasetUse
from deepphenomena.book.records import Record
from deepphenomena.datasets import Dataset
from deepphenomena.runtime import origin, threads
from deepphenomena.runtime.errors import InputError, unknown
from deepphenomena.runtime.statistics import Scale
from deepphenomena.training.scan import Loss
from deepphenomena.training.trained import Trained

# Set by the runner: the folder for checkpoints of this run, from which it resumes if it is killed.
CHECKPOINTS_VARIABLE = "DEEPPHENOMENA_CHECKPOINTS"


class Run:
    """A run of a chapter: checked parameters, measurements of claims and checks, and the record."""

    def __init__(self, card: Card, preset: str, values: dict[str, Value]):
        self.card = card
        self.preset = preset
        self.parameters = dict(values)
        self._started = datetime.datetime.now(datetime.UTC)
        self._samples: dict[str, Sample] = {}
        self._nulls: dict[str, tuple[str, Sample]] = {}
        self.series: dict[str, dict[str, list[Any]]] = {}
        self._datasets: dict[tuple, DatasetUse] = {}

    @property
    def seeds(self) -> range:
        """The seeds of this run, from the parameters `first_seed` and `seeds` of the card."""
        return records.seeds_of(self.parameters)

    @property
    def overrides(self) -> dict[str, Value]:
        """The parameters that differ from the preset."""
        base = self.card.values(self.preset)
        return {name: value for name, value in self.parameters.items() if value != base[name]}

    def uses(self, dataset: Dataset) -> Dataset:
        """Add a dataset to the provenance, with its checksum, and return it."""
        use = DatasetUse(
            name=dataset.name,
            split=dataset.split,
            n=len(dataset.labels),
            sha256=dataset.sha256,
            provenance=dataset.provenance,
            licence=dataset.licence,
        )
        self._datasets[use.name, use.split, use.sha256] = use
        return dataset

    def measure(
        self,
        measured_id: str,
        values: ArrayLike,
        *,
        resolution: ArrayLike = 0.0,
        censored: ArrayLike | None = None,
    ) -> None:
        """Set the measurement of a claim or check. A second call replaces the first, so that a cell can be run again.

        Args:
            measured_id: the id of the claim or check in the card.
            values: one value per seed, in the order of `run.seeds`, or a pandas Series indexed by seed; a single number
                if the card says `exact`.
            resolution: the maximum error of a value from a grid, a bisection or a step counter: one number or one per
                seed, in the unit of the values. The interval is widened by it.
            censored: True for each value that was cut off, for example at the last step. The value is then the cutoff,
                and the verdict is at best inconclusive.

        Raises:
            InputError: an unknown id, or not one number per seed.

        Example:
            >>> run.measure("steps_to_fit", steps, resolution=record_every, censored=steps == last)  # doctest: +SKIP
        """
        measured = self.card.find(measured_id)
        self._samples[measured.id] = self._sample(measured, values, resolution, censored)

    def compare(self, measured_id: str, one: ArrayLike, other: ArrayLike, **options: Any) -> None:
        """Measure a claim or check by two conditions paired by seed: their difference, or their ratio on a log scale.

        Args:
            measured_id: the id of the claim or check in the card.
            one, other: one value per seed, paired by position, or by index for pandas Series.
            options: `resolution` and `censored` of the difference or ratio, as in `measure`.

        Raises:
            InputError: as for `measure`; or the scale logit, for which no comparison is defined.
        """
        measured = self.card.find(measured_id)
        one, other = (samples.by_seed(self.card.slug, measured, self.seeds, values) for values in (one, other))
        if measured.scale is Scale.LOGIT:
            raise InputError(
                f"'{measured.id}' of {self.card.slug} has the scale logit, which has no comparison; "
                "give it scale: linear for a difference, or scale: log for a ratio"
            )
        if one.shape != other.shape:
            raise InputError(
                f"'{measured.id}' of {self.card.slug} was given conditions of shapes {one.shape} and {other.shape}: "
                "give both one value per seed"
            )
        with np.errstate(divide="ignore", invalid="ignore"):  # an undefined ratio is judged as not finite
            self.measure(measured_id, one / other if measured.scale is Scale.LOG else one - other, **options)

    def reference(self, measured_id: str, values: ArrayLike, *, name: str, resolution: ArrayLike = 0.0) -> None:
        """Set the score of a null model on the quantity of a claim. It is shown next to the result.

        If the null model also meets the expectation, the measurement cannot distinguish it from the trained model, and
        the verdict is at best inconclusive.

        Args:
            measured_id: the id of the claim or check in the card.
            values: as for `measure`.
            name: the name of the null model, for example "untrained network".
            resolution: as for `measure`.
        """
        measured = self.card.find(measured_id)
        if not name.strip():
            raise InputError(f"the reference of '{measured.id}' has no name; give for example name='untrained network'")
        self._nulls[measured.id] = (name, self._sample(measured, values, resolution, None))

    def _sample(self, measured: Claim | Check, values: ArrayLike, resolution: ArrayLike, censored: Any) -> Sample:
        return samples.sample(self.card.slug, measured, self.seeds, values, resolution, censored)

    def keep(self, name: str, frame: pd.DataFrame) -> None:
        """Store the data of a figure in the record, under a name for `sources`. A second call replaces the first.

        Args:
            name: the name of the data.
            frame: a tidy table: a row for each observation, a column for each variable. A named index is stored as
                columns. Floats are rounded to six significant digits.

        Raises:
            InputError: a name that cannot name a file, not a table, a table without rows, a value that is neither a
                number nor text, or more than 200 kB as JSON.

        Example:
            >>> run.keep("curves", trained.frame("loss", every=4))  # doctest: +SKIP
        """
        self.series[name] = series.from_frame(name, frame)

    def sources(self, name: str, preset: str | None = None) -> dict[str, pd.DataFrame]:
        """Return stored data of this run and of the recorded run, if there is one: {title: tidy table}.

        A figure draws one facet for each, with the quick run next to the recorded run.

        Args:
            name: the name given to `keep`.
            preset: the recorded run; by default, the one nearest the paper that has the series with these columns.

        Raises:
            InputError: no data are stored under this name.

        Example:
            >>> figures.lines(run.sources("curves"), x="step", y="loss", alt="...", caption="...")  # doctest: +SKIP
        """
        if name not in self.series:
            raise unknown("series", name, self.series)
        shown = {f"this run ({self._label})": pd.DataFrame(self.series[name])}
        found = series.recorded(self.card, name, self.series[name], preset)
        presets = [self.preset]
        if found is not None and found[0] != self._label:
            shown[f"recorded run ({found[0]}, {found[1]})"] = found[2]
            presets.append(found[0])
        for frame, made in zip(shown.values(), presets, strict=True):
            origin.mark(frame, (name, made))
        return shown

    def train(self, name: str, loss: Loss, parameters: PyTree, *data_and_members: Any, **options: Any) -> Trained:
        """Call `training.train` with a progress bar and with checkpoints from which a killed run resumes.

        Args:
            name: a unique name of the training, for example "sweep", for the progress bar and the checkpoint folder.
            loss, parameters, data_and_members, options: the arguments of `training.train`.

        Example:
            >>> sweep = run.train("sweep", loss, initial, train_set, members, optimizer=sgd)  # doctest: +SKIP
        """
        options = {"checkpoint": self.checkpoint(name), "description": name} | options
        return training.train(loss, parameters, *data_and_members, **options)

    def each(self, function: Callable[..., Any], *axes: Iterable[Any]) -> dict[Any, Any]:
        """Call `function` with every combination of the values of the axes, in parallel on all cores.

        Returns:
            {value: result}, or {(value, value, ...): result} for two or more axes. The first axis varies slowest.
            `pd.Series` of it is labelled.

        Example:
            >>> found = run.each(accuracy_of, ["mlp", "cnn"], run.seeds)  # doctest: +SKIP
        """
        cases = list(itertools.product(*axes))
        results_of = threads.each(lambda case: function(*case), cases)
        labels = cases if len(axes) > 1 else [case[0] for case in cases]
        return dict(zip(labels, results_of, strict=True))

    def marks(self, measured_id: str) -> dict[str, float]:
        """Return the reference values of a claim for figures: the paper's number and each measured reference.

        Args:
            measured_id: the id of the claim or check in the card.

        Returns:
            {name: value}: "paper" with the number of the card, if it has one, and each name given to `reference` with
            the mean over seeds.

        Raises:
            InputError: an unknown id.

        Example:
            >>> figures.bars(
            ...     run.sources("accuracy"), x="network", y="accuracy", marks=run.marks("wider_is_better"),
            ...     alt="...", caption="...",
            ... )  # doctest: +SKIP
        """
        measured = self.card.find(measured_id)
        number = getattr(measured, "paper", None)  # a check has none
        marked = {"paper": number.value} if number else {}
        if measured.id in self._nulls:
            name, sample = self._nulls[measured.id]
            mean = sample.estimate(measured).mean
            marked |= {name: mean} if mean is not None else {}
        return marked

    def checkpoint(self, name: str) -> Path | None:
        """Return the folder for checkpoints of a training, or None if the notebook runs without the runner."""
        folder = os.environ.get(CHECKPOINTS_VARIABLE)
        return Path(folder) / name.replace("/", "-") if folder else None

    def record(self) -> Record:
        """Return the current record of this run."""
        claims, checks, void = judging.judged(self.card, self.preset, self._samples, self._nulls)
        return Record(
            slug=self.card.slug,
            preset=self.preset,
            overrides=self.overrides,
            parameters=self.parameters,
            outcomes=claims,
            checks=checks,
            void=void,
            series=series.finite(self.series),
            datasets=list(self._datasets.values()),
            provenance=provenance.provenance(self._started),
        )

    def verdict(self) -> None:
        """Show the table of claims and store the record in the notebook, under its own MIME type."""
        from IPython.display import display  # only needed in a notebook

        record = self.record()
        display(
            {
                records.MIME: record.to_json(),
                "text/html": claims_table.claims_html(self.card, *results.beside_recorded(self.card, record)),
                "text/plain": claims_table.claims_text(self.card, record),
            },
            raw=True,
            metadata={records.MIME: {fingerprint.MODULES: fingerprint.modules_loaded()}},
        )

    def summary(self) -> str:
        """Return verdicts and expectations as text, which nbval compares. No digits differ between machines."""
        return claims_table.summary_text(self.card, self.record())

    @property
    def _label(self) -> str:
        return self.preset if not self.overrides else f"{self.preset}, modified"
