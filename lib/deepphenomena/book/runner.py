"""Run chapters with papermill: checked before a kernel starts, written atomically, resumable if killed."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager

from deepphenomena.book import cards, fingerprint, outputs, parameters_cell, records, results, tables
from deepphenomena.book.cards import QUICK, Card
from deepphenomena.book.records import Record
from deepphenomena.book.run import CHECKPOINTS_VARIABLE
from deepphenomena.runtime import documents, environment, paths, progress
from deepphenomena.runtime.errors import InputError, RunError

_TRIES_TO_START = 3  # a kernel
_SECONDS_TO_START = 300  # a kernel, on a machine on which many start at once

# Cells take from milliseconds to minutes: no rate over them is steady. The bars of the trainings show a rate.
_CELLS = "{desc}: cell {n_fmt} of {total_fmt}, {elapsed}"


def notebook_path(slug: str) -> Path:
    """Return the path of the notebook of a chapter. Raise InputError if only the card is installed."""
    notebook = cards.path(slug).with_suffix(".ipynb")
    if not notebook.is_file():
        raise InputError(
            f"chapter '{slug}' has a card but no notebook ({notebook}): the package does not include notebooks; "
            "clone the repository and run it there"
        )
    return notebook


def default_output(slug: str, preset: str, values: dict[str, Any]) -> Path:
    """Return the default path of a run: in `_build/runs/` of the clone, named by preset and parameters."""
    root = paths.repository() or Path.cwd()
    return root / "_build" / "runs" / slug / f"{preset}-{_digest(values)}.ipynb"


def execute(
    slug: str,
    *,
    preset: str = QUICK,
    overrides: dict[str, Any] | None = None,
    out: Path | None = None,
    source: Path | None = None,
) -> tuple[Path, Record]:
    """Run a chapter with a preset and overrides; return the path of the executed notebook and the record.

    All user input is checked before a kernel starts. The notebook is the one next to the card or, on a machine with
    only the installed package, a copy at `source`. The executed notebook is written to `out` when the run is complete.
    If the run is killed, the same call resumes from the last checkpoints.

    Raises:
        InputError: an unknown chapter, preset or parameter, a bad value, an output that cannot be written or is a file
            that no run made.
        RunError: a cell raised an error, or the kernel died; the partial notebook is next to `out`, with the suffix
            `.failed.ipynb`.
    """
    card = cards.load(slug)
    values = card.values(preset, overrides)
    source = source or notebook_path(slug)
    # The defaults in the notebook are the quick run; for any other run, all parameters are passed.
    injected = {} if (preset, values) == (QUICK, card.values()) else {"preset": preset, **values}
    out = (out or default_output(slug, preset, values)).expanduser().absolute()
    beside = out.with_name(f".{out.stem}.{os.getpid()}.ipynb")
    parameters_cell.check(source, card)
    outputs.check(out, source)
    _check_writable(beside)
    checkpoints = paths.cache() / "checkpoints" / f"{slug}-{fingerprint.run_key(source, card, preset, values)}"
    resumable = {CHECKPOINTS_VARIABLE: str(checkpoints)} if outputs.writable(checkpoints) else {}
    if not resumable:
        print(
            f"deepphenomena: cache {paths.cache()} cannot be written: this run keeps no checkpoints; set "
            "DEEPPHENOMENA_CACHE to a folder for them",
            file=sys.stderr,
        )
    try:
        with _environment({**resumable, **environment.for_speed(), **_terminal()}):
            bar = _progress_bar(slug, preset, overrides) if sys.stderr.isatty() else True
            _papermill(card, source, beside, injected, out, bar)
        record = records.read(beside)
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return out, record


def record(slug: str, *, preset: str = QUICK, reuse: str | None = None) -> tuple[Path, Record]:
    """Run a chapter with a preset and write its record to `data/results/`.

    The outputs of a quick run are also stored in the notebook of the chapter. A larger preset needs seeds that no
    earlier attempt used; `reuse` is a reason to use them again, which is shown.

    Raises:
        InputError: as for `execute`; or seeds that were used before; or the preset smoke.
    """
    results.check_recordable(cards.load(slug), preset, reuse=reuse)
    executed, made = execute(slug, preset=preset)
    made = made.model_copy(update={"seeds_reused": reuse})
    if preset == QUICK:
        store(executed, notebook_path(slug), cards.load(slug))
    return results.write(made), made


def store(executed: Path, chapter: Path, card: Card) -> None:
    """Store an executed notebook as the notebook of the chapter, with its fingerprint.

    Metadata that differs between runs is removed, and so are the series, which `data/results/` keeps.
    """
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if records.MIME in output.get("data", {}):
                output.data[records.MIME]["series"] = {}
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
    fingerprint.stamp(notebook, card)
    documents.write_whole(chapter, text_of(notebook))


_SHORT = r'(?:"[^"\\\n]{0,40}"|[-+.\w]+)'  # a word or a number
_ITEM = rf"(?:{_SHORT}: )?{_SHORT}"
_FLAT = re.compile(rf"([\[{{])\n\s+({_ITEM}(?:,\n\s+{_ITEM})*)\n\s+([\]}}])")


def text_of(notebook: nbformat.NotebookNode) -> str:
    """Return the JSON of a notebook, each list or object of numbers and short words on one line."""

    def on_one_line(found):
        opening, entries, closing = found.groups()
        return opening + re.sub(r",\n *", ", ", entries) + closing

    return _FLAT.sub(on_one_line, nbformat.writes(notebook)) + "\n"


def changed(slug: str) -> list[str]:
    """Return the keys of `fingerprint.fingerprint` that have changed since the outputs of a chapter were stored."""
    return fingerprint.changed(nbformat.read(notebook_path(slug), as_version=4), cards.load(slug))


def collect(runs: Path | None = None) -> list[tuple[Card, dict[str, Record]]]:
    """Return the card of every chapter with its records by preset, sorted by part and slug.

    Recorded runs come from `data/results/`. If `runs` is given, the executed notebooks `<part>/<slug>.ipynb` in it
    replace the recorded runs of their presets.
    """
    found = []
    for card in sorted((cards.load(slug) for slug in cards.slugs()), key=lambda card: (card.part, card.slug)):
        by_preset = results.all_recorded(card)
        if runs is not None:
            by_preset, _ = results.beside_recorded(card, records.read(runs / card.part / f"{card.slug}.ipynb"))
        found.append((card, by_preset))
    return found


def _papermill(card: Card, source: Path, beside: Path, parameters: dict[str, Any], out: Path, bar: dict | bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of papermill's dependencies that no user can fix
        import papermill
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        options = {
            "parameters": parameters,
            "kernel_name": "python3",
            "language": "python",  # also for a notebook whose metadata name none
            "progress_bar": bar,
            "cwd": str(source.parent),
            "kernel_manager_class": _QuietKernelManager,
            "start_timeout": _SECONDS_TO_START,
        }
        try:
            _with_a_kernel(card.slug, lambda: papermill.execute_notebook(str(source), str(beside), **options))
        except DeadKernelError:
            where = _kept(beside, out)
            raise RunError(
                f"{card.slug} stopped because its kernel died, as when memory runs out; free memory or give smaller "
                f"parameters{where and f'; what had run is in {where}'}"
            ) from None
        except PapermillExecutionError as error:
            failed = _kept(beside, out)
            reason = " ".join(str(error.evalue).split()) or "no message"
            raise RunError(
                f"{card.slug} stopped in cell {error.exec_count}: {error.ename}: {reason}; see {failed}"
            ) from None


def _progress_bar(slug: str, preset: str, overrides: dict[str, Any] | None) -> dict[str, Any]:
    """Return the options of the bar over the cells. It names the run, with the time that it took when recorded."""
    kept = None if overrides else results.recorded(slug, preset)
    name = f"{slug}, {tables.duration(kept.provenance.wall_seconds)} when recorded" if kept else slug
    return {"desc": name, "leave": False, "bar_format": _CELLS}


def _with_a_kernel(slug: str, run: Callable[[], Any]) -> None:
    """Call `run`, and again if its kernel does not start: kernels that start at once can choose the same ports."""
    from nbclient.exceptions import DeadKernelError

    for tries_left in reversed(range(_TRIES_TO_START)):
        try:
            run()
            return
        except DeadKernelError:  # while it ran a cell
            raise
        except RuntimeError as error:  # before the first cell
            if not tries_left:
                raise RunError(
                    f"{slug} did not run: {error}; free memory or cores, then give the same command again"
                ) from None


def _kept(beside: Path, out: Path) -> Path | None:
    """Keep what has run of a failed run; return its path, or None if nothing had."""
    if not beside.is_file():
        return None
    failed = out.with_suffix(".failed.ipynb")
    os.replace(beside, failed)
    return failed


class _QuietKernelManager(AsyncKernelManager):
    """Start kernels without their log in the terminal. Outputs and errors of cells still go to the notebook."""

    async def start_kernel(self, **options: Any) -> None:
        await super().start_kernel(stderr=subprocess.DEVNULL, **options)


def _check_writable(file: Path) -> None:
    documents.write_whole(file, "")
    file.unlink()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _terminal() -> dict[str, str]:
    """Return the terminal of the user, for the progress bars of the kernel."""
    try:
        return {progress.TERMINAL_VARIABLE: os.ttyname(sys.stderr.fileno())}
    except (OSError, ValueError):
        return {}


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a kernel that starts inside the context, and restore them afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
