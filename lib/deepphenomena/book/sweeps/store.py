"""The storage of the runs of a sweep: a folder on any file system that fsspec supports."""

import contextlib
import io
import json
import os
import platform
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import fsspec
import pandas as pd

from deepphenomena.book import cards, records
from deepphenomena.book.records import Record
from deepphenomena.book.sweeps.grid import Task
from deepphenomena.runtime.errors import InputError, RunError

_LOCK = "sweep.lock"


class Store:
    """Runs by chapter and key: `<slug>/<key>.ipynb`, the executed notebook, and `<slug>/<key>.json`, its record.

    A record is written last and atomically, so a run is finished if its record exists. The table of a chapter,
    `<slug>.parquet`, is computed from the records only.
    """

    def __init__(self, out: str):
        try:
            self.files, root = fsspec.core.url_to_fs(out)
        except (ValueError, ImportError) as problem:
            raise InputError(f"output '{out}': {problem}; give a folder or an address that fsspec supports") from None
        self.root = root.rstrip("/")
        self.out = out

    def _path(self, *parts: str) -> str:
        return "/".join((self.root, *parts))

    def finished(self, slug: str) -> set[str]:
        """Return the keys of the finished runs of a chapter."""
        return {path.rsplit("/", 1)[-1].removesuffix(".json") for path in self._records(slug)}

    def has(self, task: Task) -> bool:
        """Return whether a run has finished."""
        return self.files.exists(self._path(task.slug, f"{task.key}.json"))

    def _records(self, slug: str) -> list[str]:
        return [path for path in self.files.glob(self._path(slug, "*.json")) if not path.endswith(".failed.json")]

    def keep(self, task: Task, notebook: str, record: Record) -> None:
        """Store a finished run; the record last."""
        self._write(notebook, task.slug, f"{task.key}.ipynb")
        self._write(json.dumps(record.to_json(), ensure_ascii=False), task.slug, f"{task.key}.json")
        for ending in (".failed.json", ".failed.ipynb"):
            with contextlib.suppress(FileNotFoundError):
                self.files.rm_file(self._path(task.slug, task.key + ending))

    def keep_failure(self, task: Task, reason: str, notebook: str | None) -> None:
        """Store the reason of a failed run, and its partial notebook. The next sweep runs it again."""
        if notebook is not None:
            self._write(notebook, task.slug, f"{task.key}.failed.ipynb")
        content = {"preset": task.preset, "overrides": task.overrides, "reason": reason}
        self._write(json.dumps(content, ensure_ascii=False), task.slug, f"{task.key}.failed.json")

    def read(self, slug: str, key: str) -> Record:
        path = self._path(slug, f"{key}.json")
        return records.parse(json.loads(self.files.cat_file(path)), path)

    def write_table(self, slug: str) -> str:
        """Write the table of all finished runs of a chapter, one row for each claim; return its path.

        It has parameters, claims and measurements, without times and machines, in a fixed order: it does not depend on
        the order of the runs or the number of workers.
        """
        rows = [row for key in sorted(self.finished(slug)) for row in self._rows(slug, key)]
        parameters = [*cards.load(slug).parameters]
        table = pd.DataFrame(rows)
        order = [name for name in ["preset", *parameters, "claim"] if name in table]
        table = table.sort_values(order, key=lambda column: column.map(_sortable), kind="stable", ignore_index=True)
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        self._write(content.getvalue(), f"{slug}.parquet")
        return f"{self.out.rstrip('/')}/{slug}.parquet"

    def _rows(self, slug: str, key: str) -> Iterator[dict]:
        record = self.read(slug, key)
        for outcome in record.outcomes:
            yield {
                "chapter": slug,
                "key": key,
                "preset": record.preset,
                **record.parameters,
                "claim": outcome.id,
                "verdict": str(outcome.verdict),
                "mean": outcome.estimate.mean,
                "low": outcome.estimate.low,
                "high": outcome.estimate.high,
                "seeds_measured": outcome.estimate.n,
                "values": [float("nan") if value is None else value for value in outcome.sample.values],
            }

    def _write(self, content: str | bytes, *parts: str) -> None:
        """Write to a temporary file and rename it: files are complete or absent, even if the disk is full."""
        path = self._path(*parts)
        folder, _, name = path.rpartition("/")
        beside = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}"
        try:
            self.files.makedirs(folder, exist_ok=True)
            try:
                self.files.pipe_file(beside, content.encode() if isinstance(content, str) else content)
                self.files.mv(beside, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    self.files.rm_file(beside)
                raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                f"output {path}: cannot be written ({reason}); free or unlock it, then sweep again"
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against a second sweep. Raise InputError with the owner and the time if it is locked."""
        path, mine = self._path(_LOCK), uuid.uuid4().hex
        owner = {"host": platform.node(), "process": os.getpid(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
        held = self._holder(path)
        if held and not _gone(held):
            raise _occupied(self.out, held, path)
        self._write(json.dumps(owner | {"token": mine}), _LOCK)
        held = self._holder(path)  # of two simultaneous sweeps, the one whose token remains continues
        if not held or held["token"] != mine:
            raise _occupied(self.out, held or owner, path)
        try:
            yield
        finally:
            if (self._holder(path) or {}).get("token") == mine:
                self.files.rm_file(path)

    def _holder(self, path: str) -> dict | None:
        try:
            return json.loads(self.files.cat_file(path))
        except FileNotFoundError:
            return None


def _gone(held: dict) -> bool:
    """Return whether the lock belongs to a sweep on this machine that no longer runs (it was killed)."""
    if held["host"] != platform.node():
        return False
    try:
        os.kill(held["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _occupied(out: str, held: dict, path: str) -> InputError:
    return InputError(
        f"output {out}: a sweep writes there already (process {held['process']} on {held['host']}, since "
        f"{held['since']}); wait for it, give another --out, or, if it no longer runs, delete {path}"
    )


def _sortable(value):
    return tuple(value) if isinstance(value, list) else value
