"""One run of a sweep on a worker."""

import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

from deepphenomena.book import runner
from deepphenomena.book.sweeps.grid import Task
from deepphenomena.book.sweeps.store import Store
from deepphenomena.runtime.errors import InputError, RunError


class Result(NamedTuple):
    """The result of a run: `reason` is None if it finished."""

    key: str
    reason: str | None


def run_task(task: Task, out: str) -> Result:
    """Execute and store a run, or store the reason of its failure. Do not repeat a run that has finished meanwhile."""
    store = Store(out)
    if store.has(task):
        return Result(task.key, None)
    with tempfile.TemporaryDirectory() as folder:
        source, executed = Path(folder) / f"{task.slug}.ipynb", Path(folder) / "run.ipynb"
        source.write_text(task.notebook, encoding="utf-8")
        failed = executed.with_suffix(".failed.ipynb")
        try:
            _, record = runner.execute(
                task.slug, preset=task.preset, overrides=task.overrides, out=executed, source=source
            )
            store.keep(task, executed.read_text(encoding="utf-8"), record)
        except (RunError, InputError) as problem:
            return _failed(store, task, str(problem), failed)
        except Exception:  # a failing run must not affect the others
            return _failed(store, task, traceback.format_exc(), failed)
    return Result(task.key, None)


def _failed(store: Store, task: Task, reason: str, notebook: Path) -> Result:
    try:
        store.keep_failure(task, reason, notebook.read_text(encoding="utf-8") if notebook.is_file() else None)
    except RunError as problem:  # for example, the disk is full
        reason = f"{reason}; {problem}"
    return Result(task.key, reason)
