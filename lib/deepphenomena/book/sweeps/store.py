"""The storage of the runs of a sweep: a folder on any file system that fsspec supports."""

import contextlib
import io
import json
import uuid
from collections.abc import Iterator

import fsspec
import pandas as pd

from deepphenomena.book import cards, records
from deepphenomena.book.records import Record
from deepphenomena.book.sweeps import lock
from deepphenomena.book.sweeps.grid import Task
from deepphenomena.runtime import text
from deepphenomena.runtime.errors import InputError, RunError


class Store:
    """Runs by chapter and key: `<slug>/<key>.ipynb`, the executed notebook, and `<slug>/<key>.json`, its record.

    A record is written last and atomically, so a run is finished if its record exists. The table of a chapter,
    `<slug>.parquet`, is computed from the records only. A relative folder means one on the machine of the caller, here
    and on the workers.
    """

    def __init__(self, out: str):
        try:
            self.files, root = fsspec.core.url_to_fs(out)
        except Exception as problem:  # each file system has its own errors for an impossible address
            raise InputError(f"output '{out}': {problem}; give a folder or an address that fsspec supports") from None
        self.root = root.rstrip("/")
        self.out = self.root if lock.is_local(self.files) else out

    def check(self) -> None:
        """Raise InputError, before any run, unless the workers can write there and the caller can read it."""
        protocols = (self.files.protocol,) if isinstance(self.files.protocol, str) else self.files.protocol
        if "memory" in protocols:
            raise InputError(f"output '{self.out}': it is lost with each process; give a folder or s3://bucket/folder")
        probe = self._path(f".{uuid.uuid4().hex}")
        try:
            self.files.makedirs(self.root, exist_ok=True)
            self.files.pipe_file(probe, b"probe")
            self.files.rm_file(probe)
        except Exception as problem:  # read-only, no permission, no network: each file system has its own errors
            reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            raise InputError(
                f"output '{self.out}': cannot be written ({reason}); give a folder or an address that can"
            ) from None

    def _path(self, *parts: str) -> str:
        return "/".join((self.root, *parts))

    def finished(self, slug: str) -> set[str]:
        """Return the keys of the finished runs of a chapter."""
        return {path.rsplit("/", 1)[-1].removesuffix(".json") for path in self._records(slug)}

    def has(self, task: Task) -> bool:
        """Return whether a run has finished."""
        return self.files.exists(self._path(task.slug, f"{task.key}.json"))

    def _records(self, slug: str) -> list[str]:
        self.files.invalidate_cache()  # other workers write there, too
        try:
            found = self.files.ls(self._path(slug), detail=False)  # a pattern would read brackets in the address
        except FileNotFoundError:
            return []
        names = {path: path.rsplit("/", 1)[-1] for path in map(str, found)}
        return [
            path
            for path, name in names.items()
            if name.endswith(".json") and not name.endswith(".failed.json") and not name.startswith(".")
        ]

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
        record = records.parse(text.from_json(self.files.cat_file(path).decode("utf-8", "replace"), path), path)
        if record.slug != slug:
            raise InputError(f"record {path}: it is of {record.slug}; delete it, then sweep again")
        return record

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
                self._rename(beside, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    self.files.rm_file(beside)
                raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                f"output {path}: cannot be written ({reason}); free or unlock it, then sweep again"
            ) from None

    def _rename(self, beside: str, path: str) -> None:
        if lock.is_local(self.files):
            self.files.mv(beside, path)
        else:  # there a move reads brackets as a pattern, and copies anyway
            self.files.cp_file(beside, path)
            self.files.rm_file(beside)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Lock the folder against a second sweep. Raise InputError with the owner and the time if it is locked."""
        return lock.locked(self.files, self.root, self.out)


def _sortable(value):
    return tuple(value) if isinstance(value, list) else value
