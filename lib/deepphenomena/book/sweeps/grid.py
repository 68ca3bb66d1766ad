"""The grid of parameters of a sweep."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from deepphenomena import __version__, datasets
from deepphenomena.book import cards, fingerprint, runner
from deepphenomena.book.cards import Card, Value
from deepphenomena.runtime import text
from deepphenomena.runtime.errors import InputError, shown

_RANGE = re.compile(r"(-?[0-9]{1,18})\.\.(-?[0-9]{1,18})")
LARGEST = 100_000  # runs; a larger grid is most likely a typo


class Task(NamedTuple):
    """One run of a sweep, with everything that a worker needs.

    Attributes:
        slug, preset: the chapter and its preset.
        overrides: the parameters that the grid sets.
        key: the name of the run: a hash of the notebook and the card, all parameters, the data, this library as it lies
            on the disk, and the versions of the numerical stack. Equal keys mean the same run.
        notebook: the text of the chapter's notebook.
    """

    slug: str
    preset: str
    overrides: dict[str, Value]
    key: str
    notebook: str


def tasks(slug: str, texts: Iterable[tuple[str, str]] = (), *, preset: str = cards.QUICK) -> list[Task]:
    """Return every run of a grid over the parameters of a chapter. The last parameter varies fastest.

    Args:
        slug: the chapter.
        texts: pairs of a parameter name and its values as text. `0..9` is a range with both ends included; commas
            separate values; a repeated name adds values. For a parameter that is a list, commas separate its elements,
            and only a repeated name adds a value.
        preset: sets the other parameters.

    Raises:
        InputError: an unknown chapter, preset or parameter, an invalid value, a repeated value, or a grid of more than
            100,000 runs.
    """
    card = cards.load(slug)
    grid: dict[str, list[Value]] = {}
    for name, written in texts:
        grid.setdefault(name, []).extend(_values(card, name, written))
    for name, values in grid.items():
        seen = set()
        for value in values:
            marked = json.dumps(value)
            if marked in seen:
                raise InputError(f"parameter '{name}' of the sweep has the value {shown(value)} twice; give each once")
            seen.add(marked)
    size = 1
    for values in grid.values():
        size *= len(values)
    if size > LARGEST:
        raise InputError(f"a sweep of {size:,} runs: at most {LARGEST:,} are allowed; give fewer values")
    notebook = runner.notebook_path(slug).read_text(encoding="utf-8")
    known = datasets.catalogue()
    common = {"chapter": card.model_dump(mode="json"), "code": _code(notebook), "version": __version__}
    common |= fingerprint.library_state()
    beginning = hashlib.sha256(json.dumps(common, sort_keys=True).encode())  # the same for all points, so hashed once
    declared = {name: entry.model_dump(mode="json") for name, entry in known.items()}

    def task(overrides: dict[str, Value]) -> Task:
        values = card.values(preset, overrides)
        used = {*card.datasets, *(value for value in values.values() if isinstance(value, str) and value in known)}
        data = {name: declared[name] for name in sorted(used)}
        key = beginning.copy()
        key.update(json.dumps({"parameters": values, "data": data}, sort_keys=True).encode())
        return Task(slug, preset, overrides, key.hexdigest()[:20], notebook)

    return [task(overrides) for overrides in _points(grid)]


def _points(grid: dict[str, Sequence[Value]]) -> Iterable[dict[str, Value]]:
    for point in itertools.product(*grid.values()):
        yield dict(zip(grid, point, strict=True))


def _values(card: Card, name: str, written: str) -> list[Value]:
    if name in card.parameters and card.parameters[name].type.startswith("list["):
        return [card.parse(name, written)]
    values = []
    for piece in written.split(","):
        counted = _RANGE.fullmatch(piece.strip())
        if not counted:
            values.append(card.parse(name, piece))
            continue
        first, last = map(int, counted.groups())
        if first > last or last - first >= LARGEST:
            raise InputError(f"range {shown(piece)} of parameter '{name}': it must count up, by less than {LARGEST:,}")
        values += [card.parse(name, str(value)) for value in range(first, last + 1)]
    return values


def _code(notebook: str) -> list[str]:
    """Return the code of a notebook; changes of prose or stored outputs do not make it another experiment."""
    cells = text.from_json(notebook, "the notebook of the sweep")["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
