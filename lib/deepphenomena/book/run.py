"""A run in the making: what a chapter's notebook holds from its first line, `start`, to its last, `verdict`."""

import ast
import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deepphenomena.book import cards, records, tables
from deepphenomena.book.cards import Card
from deepphenomena.book.records import DatasetUse, Record
from deepphenomena.datasets import Dataset
from deepphenomena.runtime import compilation
from deepphenomena.runtime.errors import InputError, unknown

# Set by the runner: the folder where this very run may leave checkpoints, to go on from if it is killed.
CHECKPOINTS_VARIABLE = "DEEPPHENOMENA_CHECKPOINTS"


class Run:
    """A chapter's run: checked parameters, measurements handed to claims, and the record they make."""

    def __init__(self, card: Card, values: dict[str, cards.Value]):
        self.card = card
        self.parameters = SimpleNamespace(**values)
        self.preset, self.overrides = card.nearest_preset(values)
        self._values = values
        self._started = datetime.datetime.now(datetime.UTC)
        self._measured: dict[str, list[float]] = {}
        self.series: dict[str, dict[str, list[Any]]] = {}
        self._datasets: dict[tuple, DatasetUse] = {}

    @property
    def seeds(self) -> range:
        """The seeds of this run, from the parameters `first_seed` and `seeds` that every card has."""
        return range(self.parameters.first_seed, self.parameters.first_seed + self.parameters.seeds)

    def uses(self, dataset: Dataset) -> Dataset:
        """Note a dataset in the provenance, by its checksum, and hand it back."""
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

    def measure(self, claim_id: str, values: ArrayLike) -> None:
        """Hand a claim its measurement: one value per seed. Measuring again replaces, so that a cell may be re-run."""
        claim = self.card.claim(claim_id)
        measured = np.asarray(values, np.float64)
        if measured.ndim != 1 or measured.size == 0:
            raise InputError(
                f"claim '{claim.id}' was given values of shape {measured.shape}: it takes one value per seed, "
                "a list or array of one axis; reduce the other axes first"
            )
        self._measured[claim.id] = measured.tolist()

    def keep(self, name: str, **columns: Sequence | ArrayLike) -> None:
        """Keep a figure's data in the record, under a name, as columns of equal length; `series` hands it back.

        Columns are in alphabetical order, as in the recorded run beside it: ask for them by name.
        """
        table = {column: np.asarray(values).tolist() for column, values in sorted(columns.items())}
        lengths = {column: len(values) for column, values in table.items()}
        if len(set(lengths.values())) != 1:
            raise InputError(f"series '{name}' has columns of different lengths {lengths}: give them one length")
        self.series[name] = table

    def sources(self, name: str, preset: str = "full") -> dict[str, dict[str, list[Any]]]:
        """A kept series of this run and, where one was recorded, of the recorded run: {title: columns}.

        A figure draws one panel for each, so that the quick run stands beside the full one.
        """
        shown = {f"this run ({self._label})": self.series[name]}
        recorded = records.recorded(self.card.slug, preset)
        if recorded is not None and name in recorded.series and recorded.preset != self._label:
            shown[f"recorded run ({preset}, {recorded.provenance.device})"] = recorded.series[name]
        return shown

    def checkpoint(self, name: str) -> Path | None:
        """A folder for a stage's checkpoints where the runner provides one; None in a bare notebook: none are kept."""
        folder = os.environ.get(CHECKPOINTS_VARIABLE)
        return Path(folder) / name if folder else None

    def record(self) -> Record:
        """The record of this run as it stands."""
        return Record(
            slug=self.card.slug,
            preset=self.preset,
            overrides=self.overrides,
            parameters=self._values,
            outcomes=[
                records.outcome(claim, self._measured.get(claim.id, []), self.preset) for claim in self.card.claims
            ],
            series=_finite(self.series),
            datasets=list(self._datasets.values()),
            provenance=records.provenance(self._started),
        )

    def verdict(self) -> None:
        """Show the table of claims and leave the record in the notebook, under its own MIME type."""
        from IPython.display import display  # only a notebook needs it

        record = self.record()
        display(
            {
                records.MIME: record.to_json(),
                "text/html": tables.claims_html(self.card, [record]),
                "text/plain": tables.claims_text(self.card, record),
            },
            raw=True,
        )

    def summary(self) -> str:
        """Verdicts and expectations in fixed words: what nbval compares. No digits that differ between machines."""
        return tables.summary_text(self.card, self.record())

    @property
    def _label(self) -> str:
        return self.preset if not self.overrides else f"{self.preset}, modified"


def start(slug: str, **parameters: Any) -> Run:
    """Begin a chapter's run: check every parameter against the card, before any compute.

    Parameters not given take the card's defaults. InputError names an unknown chapter, an unknown or misspelt
    parameter (those that papermill injected into the notebook too), a wrong type, or a value out of bounds.
    """
    card = cards.load(slug)
    for name in _injected_by_papermill():
        if name not in card.parameters:
            raise unknown(f"parameter of {slug}", name, card.parameters)
    values = card.values(overrides=parameters)
    compilation.use_persistent_cache()
    return Run(card, values)


def _injected_by_papermill() -> list[str]:
    """The names assigned in the cell that papermill adds to a notebook.

    papermill only warns when a name is misspelt, and goes on; reading its cell closes that door.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return []
    shell = get_ipython()
    executed = shell.user_ns.get("In", []) if shell is not None else []
    for source in executed:
        if source.startswith("# Parameters\n"):
            return [
                target.id
                for statement in ast.parse(source).body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            ]
    return []


def _finite(value: Any) -> Any:
    """The same nested lists with None for numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
